#include "ops/host_ops.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ops/ref/ref_ops.h"

namespace tidar {
namespace {

TEST(HostRope, HoldsTheAngleOfEveryPositionRoundedOnce) {
  const std::vector<double> frequencies = {1.0, 0.1, 1e-6};
  const auto made = make_ref_ops(DType::f32)->make_rope(frequencies, 1, 5000);
  const HostRope& table = host(*made);
  EXPECT_EQ(table.half, 3);
  EXPECT_EQ(table.positions, 5000);
  EXPECT_EQ(table.bytes, 2 * 3 * 5000 * 4);
  for (const int position : {0, 1, 77, 4999}) {
    for (size_t i = 0; i < 3; ++i) {
      const size_t at = static_cast<size_t>(position) * 3 + i;
      EXPECT_EQ(table.cosines[at], static_cast<float>(std::cos(position * frequencies[i])));
      EXPECT_EQ(table.sines[at], static_cast<float>(std::sin(position * frequencies[i])));
    }
  }
  const auto scaled = make_ref_ops(DType::f32)->make_rope(frequencies, 1.1, 5000);
  EXPECT_EQ(host(*scaled).cosines[231], static_cast<float>(1.1 * std::cos(77.0)));
  EXPECT_EQ(host(*scaled).sines[231], static_cast<float>(1.1 * std::sin(77.0)));
}

TEST(HostOps, PacksTheConcatenationOfVectors) {
  const std::vector<float> first = {1, 2, 3};
  const std::vector<double> second = {0.5};
  const HostMatrix parts[] = {
      {reinterpret_cast<const std::byte*>(first.data()), DType::f32, 1, 3},
      {reinterpret_cast<const std::byte*>(second.data()), DType::f64, 1, 1}};
  const auto vector = make_ref_ops(DType::f32)->pack_vector(parts);
  EXPECT_EQ(vector->size, 4);
  EXPECT_EQ(vector->bytes, 16);
  const auto values = values_of(*vector);
  EXPECT_EQ(std::vector<float>(values.begin(), values.end()), (std::vector<float>{1, 2, 3, 0.5}));
}

TEST(HostOps, CopiesAndClearsPartsOfMatrices) {
  const auto ops = make_ref_ops(DType::f32);
  const auto memory = ops->allocate(6 * 5 * 4);
  const Matrix all(memory->data, DType::f32, 6, 5);
  std::vector<float> numbers = {1, 2, 3, 4, 5, 6};
  ops->write(Matrix(numbers.data(), DType::f32, 3, 2), all.row_range(1, 4).col_range(2, 4));
  ops->copy(all.row_range(1, 3), all.row_range(4, 6));
  ops->clear(all.row_range(1, 2));
  std::vector<float> seen(30);
  ops->read(all, Matrix(seen.data(), DType::f32, 6, 5));
  EXPECT_EQ(seen, (std::vector<float>{0, 0, 0, 0, 0,  //
                                      0, 0, 0, 0, 0,  //
                                      0, 0, 3, 4, 0,  //
                                      0, 0, 5, 6, 0,  //
                                      0, 0, 1, 2, 0,  //
                                      0, 0, 3, 4, 0}));
}

TEST(HostPass, CountsSightsInRowsWhereNothingIsKept) {
  Pass pass;
  for (int sequence = 0; sequence < 2; ++sequence) {
    pass.begin_sequence();
    pass.add_row(7, 0, {{0, 1}, {}}, Keep::scratch);
    pass.add_row(8, 1, {{0, 1}, {1, 2}}, Keep::scratch);
  }
  std::unique_ptr<PreparedPass> prepared;
  make_ref_ops(DType::f32)->prepare(pass, nullptr, prepared);
  const HostPass& kept = host(*prepared);
  EXPECT_EQ(kept.rows, 4);
  EXPECT_EQ(kept.keys_seen, 6);
  EXPECT_EQ(kept.row_sights[3], (Sight{{2, 3}, {3, 4}}));
  EXPECT_EQ(kept.tokens, (std::vector<int32_t>{7, 8, 7, 8}));
}

}  // namespace
}  // namespace tidar
