// Attention on tensor cores where values are no numbers. What it makes of numbers the cases of
// ops/cases say (cuda_ops_test.cc).

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/rng.h"
#include "ops/cuda/host/host_backend_testing.h"

namespace tidar::cuda {
namespace {

constexpr int kRows = 90, kSize = 64, kOddRow = 40;

struct Numbers {
  explicit Numbers(int64_t cols_) : cols(cols_), values(static_cast<size_t>(kRows * cols_)) {}
  Matrix matrix() { return {reinterpret_cast<std::byte*>(values.data()), DType::f32, kRows, cols}; }
  int64_t cols;
  std::vector<float> values;
};

// Row i sees rows up to itself, but the last ten see the first 30 alone.
std::vector<float> attended(float odd) {
  Rng rng(1);
  Pass pass;
  pass.begin_sequence();
  for (int row = 0; row < kRows; ++row)
    pass.add_row(0, row, {{0, row < kRows - 10 ? row + 1 : 30}, {}}, Keep::scratch);
  host::OpsOnHost ops(1, {});
  const auto kv = ops.make_kv({.layers = 1,
                               .kv_heads = 1,
                               .head_size = kSize,
                               .pages = 1,
                               .rows = kRows,
                               .dtype = DType::bf16});
  std::unique_ptr<PreparedPass> prepared;
  ops.prepare(pass, kv.get(), prepared);
  Numbers q(2 * kSize), k(kSize), v(kSize), out(2 * kSize);
  for (Numbers* numbers : {&q, &k, &v})
    for (float& number : numbers->values) number = rng.normal();
  v.values[kOddRow * kSize + 5] = odd;
  std::vector<std::unique_ptr<Memory>> memory;
  const auto on_device = [&](Numbers& numbers) {
    Matrix matrix = numbers.matrix();
    memory.push_back(ops.allocate(matrix.bytes()));
    matrix.data = memory.back()->data;
    ops.write(numbers.matrix(), matrix);
    return matrix;
  };
  const Matrix there = on_device(out);
  ops.store_kv(on_device(k), on_device(v), *prepared, *kv, 0);
  ops.attend(on_device(q), *prepared, *kv, 0, there);
  ops.read(there, out.matrix());
  return out.values;
}

TEST(AttendMma, ValuesThatAreNoNumbersReachThoseAloneWhoSeeThem) {
  const std::vector<float> usual = attended(1);
  for (const float odd :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const std::vector<float> found = attended(odd);
    for (int row = 0; row < kRows; ++row) {
      const bool sees = row >= kOddRow && row < kRows - 10;
      for (int head = 0; head < 2; ++head) {
        bool all_numbers = true;
        for (int e = 0; e < kSize; ++e) {
          const auto at = static_cast<size_t>((row * 2 + head) * kSize + e);
          all_numbers = all_numbers && std::isfinite(found[at]);
          if (!sees) {
            ASSERT_EQ(found[at], usual[at]) << "row " << row;
          }
        }
        EXPECT_EQ(all_numbers, !sees) << "row " << row;
      }
    }
  }
}

}  // namespace
}  // namespace tidar::cuda
