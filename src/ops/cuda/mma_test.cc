// The twins of instructions against the matrices that their fragments are parts of, by the formulas
// in which the PTX ISA gives them element by element.

#include "ops/cuda/mma.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace tidar::cuda {
namespace {

struct Matrices {
  float a[16][16] = {}, b[16][8] = {}, d[16][8] = {};
};

uint32_t pair_of(float low, float high) {
  return narrow<Bf16>(low).bits | uint32_t{narrow<Bf16>(high).bits} << 16;
}

// D after one instruction.
Matrices carry_out(const Matrices& in, uint64_t seed) {
  Matrices out = in;
  host::Grids(seed).run({{1, 1, 1}, kLanes, {}}, [&] {
    const int group = lane_index() >> 2, in_group = lane_index() % 4;
    const auto a_of = [&](int i) {
      const int row = i < 2 || (i >= 4 && i < 6) ? group : group + 8;
      const int column = in_group * 2 + (i & 1) + (i < 4 ? 0 : 8);
      return in.a[row][column];
    };
    const auto b_of = [&](int i) { return in.b[in_group * 2 + (i & 1) + (i < 2 ? 0 : 8)][group]; };
    const auto d_row = [&](int i) { return i < 2 ? group : group + 8; };
    const auto d_column = [&](int i) { return in_group * 2 + (i & 1); };
    MmaA a;
    MmaB b;
    MmaD d;
    for (int i = 0; i < 4; ++i) a.pairs[i] = pair_of(a_of(2 * i), a_of(2 * i + 1));
    for (int i = 0; i < 2; ++i) b.pairs[i] = pair_of(b_of(2 * i), b_of(2 * i + 1));
    for (int i = 0; i < 4; ++i) d.sums[i] = in.d[d_row(i)][d_column(i)];
    mma(a, b, d);
    for (int i = 0; i < 4; ++i) out.d[d_row(i)][d_column(i)] = d.sums[i];
  });
  return out;
}

// A single 1 in A takes a row of B to a row of D, for every place that it can have.
TEST(Mma, EveryElementMeetsWhatItMust) {
  Matrices in;
  for (int k = 0; k < 16; ++k)
    for (int n = 0; n < 8; ++n) in.b[k][n] = static_cast<float>(1 + 8 * k + n);  // exact in bf16
  for (int m = 0; m < 16; ++m)
    for (int n = 0; n < 8; ++n) in.d[m][n] = static_cast<float>(1000 * m + n);
  for (int row = 0; row < 16; ++row) {
    for (int k = 0; k < 16; ++k) {
      in.a[row][k] = 1;
      const Matrices out = carry_out(in, static_cast<uint64_t>(k));
      in.a[row][k] = 0;
      for (int m = 0; m < 16; ++m)
        for (int n = 0; n < 8; ++n)
          ASSERT_EQ(out.d[m][n], in.d[m][n] + (m == row ? in.b[k][n] : 0));
    }
  }
}

TEST(Mma, ProductsOfSmallWholeNumbersAreExact) {
  Rng rng(1);
  for (uint64_t round = 0; round < 10; ++round) {
    Matrices in;
    const auto draw = [&] { return static_cast<float>(rng.below(33) - 16); };
    for (auto& row : in.a)
      for (float& element : row) element = draw();
    for (auto& row : in.b)
      for (float& element : row) element = draw();
    const Matrices out = carry_out(in, round);
    for (int m = 0; m < 16; ++m) {
      for (int n = 0; n < 8; ++n) {
        float sum = 0;
        for (int k = 0; k < 16; ++k) sum += in.a[m][k] * in.b[k][n];
        ASSERT_EQ(out.d[m][n], sum);
      }
    }
  }
}

struct Blocks {
  Array<Words, 4 * 8> rows;  // of four blocks, one behind another
};

TEST(LoadTransposed, GivesEachLaneTheColumnsThatItMustHave) {
  int checked = 0;
  host::Grids(1).run({{1, 1, 1}, kLanes, {}}, [&] {
    TIDAR_SHARED(Blocks, shared);
    // The element (row, column) of block i is 64 i + 8 row + column.
    for (int pair = 0; pair < 4; ++pair) {
      const auto first = static_cast<uint32_t>(8 * lane_index() + 2 * pair);
      shared.rows[lane_index()].pairs[pair] = first | (first + 1) << 16;
    }
    __syncwarp();
    // Lanes name their rows in another order: blocks swapped, rows reversed.
    const int block = (lane_index() / 8) ^ 1, row = 7 - lane_index() % 8;
    const Words loaded = load_transposed(shared.rows[8 * block + row]);
    const auto g = static_cast<uint32_t>(lane_index() / 4),
               t = static_cast<uint32_t>(lane_index() % 4);
    for (uint32_t i = 0; i < 4; ++i) {
      const auto element = [&](uint32_t of_block) { return 64 * (i ^ 1) + 8 * (7 - of_block) + g; };
      EXPECT_EQ(loaded.pairs[i], element(2 * t) | element(2 * t + 1) << 16);
      ++checked;
    }
  });
  EXPECT_EQ(checked, 4 * kLanes);
}

TEST(AsyncCopies, ArriveWhenTheyAreWaitedFor) {
  const Words from[] = {{{1, 2, 3, 4}}, {{5, 6, 7, 8}}};
  Words to[] = {{{9, 9, 9, 9}}, {{9, 9, 9, 9}}, {{9, 9, 9, 9}}};
  AsyncCopies copies;
  copies.add(to[0], &from[0], true);
  copies.add(to[1], nullptr, false);
  copies.commit();
  copies.add(to[2], &from[1], true);
  copies.commit();
  EXPECT_EQ(to[0].pairs[0], 9u);
  copies.wait<1>();
  EXPECT_EQ(to[0].pairs[3], 4u);
  EXPECT_EQ(to[1].pairs[0], 0u);
  EXPECT_EQ(to[2].pairs[0], 9u);
  copies.wait<0>();
  EXPECT_EQ(to[2].pairs[0], 5u);
}

}  // namespace
}  // namespace tidar::cuda
