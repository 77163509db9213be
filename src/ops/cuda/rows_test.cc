// Kernels that work on each row by itself, one by one: numbers beside what they must be, what lies
// between rows untouched.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/dtype.h"
#include "base/rng.h"
#include "ops/cuda/gpu.h"

namespace tidar::cuda {
namespace {

constexpr float kUntouched = -77;

// Rows with room between them, at no round address.
template <class T>
struct Numbers {
  Numbers(int64_t rows_, int64_t cols_, const std::function<T()>& draw)
      : rows(rows_), cols(cols_), memory(static_cast<size_t>(1 + rows_ * (cols_ + 3))) {
    for (T& number : memory) number = narrow<T>(kUntouched);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < cols; ++c) view().template row<T>(r)[c] = draw();
  }
  View view() {
    const Element type = sizeof(T) == sizeof(Bf16) ? Element::bf16 : Element::f32;
    return {memory.data() + 1, type, rows, cols, cols + 3};
  }
  float at(int64_t r, int64_t c) { return widen(view().template row<T>(r)[c]); }
  void expect_gaps_untouched() {
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = cols; c < cols + 3; ++c) EXPECT_EQ(at(r, c), kUntouched);
  }
  int64_t rows, cols;
  std::vector<T> memory;
};

template <class T>
std::function<T()> normal(Rng& rng) {
  return [&rng] { return narrow<T>(rng.normal()); };
}

template <class T>
std::function<T()> nothing() {
  return [] { return narrow<T>(0); };
}

void carry_out(uint64_t seed, const std::function<void(Stream)>& call) {
  host::Queue queue(seed);
  call({&queue});
  queue.catch_up();
}

template <class T>
void expect_embedded(uint64_t seed) {
  Rng rng(seed);
  const int64_t rows = 1 + rng.below(5), cols = 1 + rng.below(600), vocabulary = 1 + rng.below(9);
  Numbers<T> table(vocabulary, cols, normal<T>(rng));
  Numbers<float> out(rows, cols, nothing<float>());
  std::vector<int32_t> tokens;
  for (int64_t r = 0; r < rows; ++r) tokens.push_back(rng.below(static_cast<int>(vocabulary)));
  const View view = table.view();
  const WeightView weight = {view.data, view.type, vocabulary, cols, view.stride};
  carry_out(seed, [&](Stream stream) { embed(stream, tokens.data(), weight, out.view()); });
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < cols; ++c)
      ASSERT_EQ(out.at(r, c), table.at(tokens[static_cast<size_t>(r)], c));
  out.expect_gaps_untouched();
}

TEST(RowKernels, Embed) {
  for (uint64_t seed = 0; seed < 5; ++seed) expect_embedded<float>(seed);
  for (uint64_t seed = 0; seed < 5; ++seed) expect_embedded<Bf16>(seed);
}

TEST(RowKernels, Gather) {
  Rng rng(2);
  Numbers<float> x(7, 300, normal<float>(rng)), out(4, 300, nothing<float>());
  const std::vector<int32_t> rows = {6, 0, 3, 3};
  carry_out(1, [&](Stream stream) { gather(stream, x.view(), rows.data(), out.view()); });
  for (int64_t r = 0; r < 4; ++r)
    for (int64_t c = 0; c < 300; ++c)
      ASSERT_EQ(out.at(r, c), x.at(rows[static_cast<size_t>(r)], c));
  out.expect_gaps_untouched();
}

TEST(RowKernels, ScatterAdd) {
  Rng rng(3);
  Numbers<float> x(4, 300, normal<float>(rng)), out(7, 300, normal<float>(rng)), before = out;
  const std::vector<int32_t> rows = {6, 0, 3, 2};
  carry_out(1,
            [&](Stream stream) { scatter_add(stream, x.view(), rows.data(), 0.75f, out.view()); });
  for (int64_t c = 0; c < 300; ++c) {
    for (int64_t i = 0; i < 4; ++i) {
      const int64_t r = rows[static_cast<size_t>(i)];
      ASSERT_EQ(out.at(r, c), std::fma(0.75f, x.at(i, c), before.at(r, c)));
    }
    for (const int64_t r : {1, 4, 5}) ASSERT_EQ(out.at(r, c), before.at(r, c));
  }
  out.expect_gaps_untouched();
}

template <class T>
void expect_normed(uint64_t seed, int64_t size, int heads, double eps_of_out) {
  Rng rng(seed);
  const int64_t rows = 1 + rng.below(3);
  Numbers<float> x(rows, heads * size, normal<float>(rng));
  Numbers<T> out(rows, heads * size, nothing<T>());
  std::vector<float> weight;
  for (int64_t i = 0; i < size; ++i) weight.push_back(rng.normal());
  carry_out(seed, [&](Stream stream) {
    rms_norm(stream, x.view(), weight.data(), 1e-3f, heads, out.view());
  });
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < heads * size; ++c) {
      double squares = 0;
      for (int64_t i = c / size * size; i < (c / size + 1) * size; ++i)
        squares += double{x.at(r, i)} * double{x.at(r, i)};
      const double exact = x.at(r, c) / std::sqrt(squares / static_cast<double>(size) + 1e-3) *
                           weight[static_cast<size_t>(c % size)];
      const double eps = 0x1p-23 * (std::sqrt(static_cast<double>(size)) + 4) + eps_of_out / 2;
      ASSERT_NEAR(out.at(r, c), exact, eps * std::abs(exact)) << size << " at " << r << ", " << c;
    }
  }
  out.expect_gaps_untouched();
}

TEST(RowKernels, RmsNorm) {
  uint64_t seed = 0;
  for (const int64_t size : {1, 31, 32, 100, 1024, 1025, 2100}) {
    expect_normed<float>(++seed, size, 1, 0);
    expect_normed<Bf16>(++seed, size, 1, 0x1p-7);
    expect_normed<float>(++seed, size, 3, 0);
  }
}

TEST(RowKernels, Rope) {
  for (const int half : {1, 4, 20, 64}) {
    Rng rng(static_cast<uint64_t>(half));
    const int heads = 5, positions = 11;
    Numbers<float> x(3, 2 * half * heads, normal<float>(rng));
    std::vector<float> before = x.memory, cosines, sines;
    for (int i = 0; i < half * positions; ++i) {
      cosines.push_back(rng.normal());
      sines.push_back(rng.normal());
    }
    const std::vector<int32_t> at = {10, 0, 7};
    carry_out(1, [&](Stream stream) {
      rope(stream, x.view(), heads, at.data(), {cosines.data(), sines.data(), half});
    });
    x.memory.swap(before);  // now x is what was, and before what is
    Numbers<float> found = x;
    found.memory = before;
    for (int64_t r = 0; r < 3; ++r) {
      for (int64_t c = 0; c < x.cols; ++c) {
        const int64_t in_head = c % (2 * half), i = in_head % half;
        const bool is_low = in_head < half;
        const auto angle = static_cast<size_t>(at[static_cast<size_t>(r)] * half + i);
        const double a = x.at(r, c), b = x.at(r, is_low ? c + half : c - half);
        const double exact = a * cosines[angle] + (is_low ? -b : b) * sines[angle];
        const double size = std::abs(a * cosines[angle]) + std::abs(b * sines[angle]);
        ASSERT_NEAR(found.at(r, c), exact, 2 * 0x1p-23 * size);
      }
    }
    found.expect_gaps_untouched();
  }
}

}  // namespace
}  // namespace tidar::cuda
