// With a GPU and cuBLASLt: its products against sums in float64. Without one: a line that says so.

#include "ops/cuda/blas_lt.h"

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <vector>

#include "base/dtype.h"
#include "base/rng.h"

namespace tidar::cuda {
namespace {

/// A matrix in the device's memory and, as numbers, in the host's. Elements behind `cols` are
/// random as well: nobody may read or write them.
template <class T>
class OnBothSides {
 public:
  OnBothSides(int64_t rows, int64_t cols, int64_t gap, Rng& rng)
      : stride(cols + gap), host(static_cast<size_t>(rows * stride)) {
    for (T& element : host) element = T(rng.normal());
    EXPECT_EQ(cudaMalloc(&device, bytes()), cudaSuccess);
    EXPECT_EQ(cudaMemcpy(device, host.data(), bytes(), cudaMemcpyHostToDevice), cudaSuccess);
  }
  ~OnBothSides() { cudaFree(device); }
  OnBothSides(const OnBothSides&) = delete;
  OnBothSides& operator=(const OnBothSides&) = delete;

  std::vector<T> read() const {
    std::vector<T> found(host.size());
    EXPECT_EQ(cudaMemcpy(found.data(), device, bytes(), cudaMemcpyDeviceToHost), cudaSuccess);
    return found;
  }
  double at(int64_t row, int64_t col) const {
    return static_cast<double>(static_cast<float>(host[static_cast<size_t>(row * stride + col)]));
  }
  size_t bytes() const { return host.size() * sizeof(T); }

  int64_t stride;
  std::vector<T> host;
  void* device = nullptr;
};

class BlasLtProducts : public testing::Test {
 protected:
  void SetUp() override {
    int count = 0;
    if (cudaGetDeviceCount(&count) != cudaSuccess || count == 0) {
      std::printf("    not run: no GPU was found\n");
    } else if (blas_ = BlasLt::find(); blas_ == nullptr) {
      std::printf("    not run: cuBLASLt is not installed\n");
    }
  }

  /// Products of random shapes, each twice: the second time by the plan that is there.
  void expect_sums(BlasResult result, Rng& rng) {
    const int64_t rows = 1 + rng.below(100), inputs = 8 * (1 + rng.below(100)),
                  outputs = 8 * (1 + rng.below(60));
    const OnBothSides<BFloat16> x(rows, inputs, 8 * rng.below(3), rng);
    const OnBothSides<BFloat16> weight(outputs, inputs, 8 * rng.below(3), rng);
    const OnBothSides<float> out(rows, outputs, 4 * rng.below(3), rng);
    for (int call = 1; call <= 2; ++call) {
      blas_->multiply(nullptr,
                      {.x = x.device,
                       .x_stride = x.stride,
                       .weight = weight.device,
                       .weight_stride = weight.stride,
                       .out = static_cast<float*>(out.device),
                       .out_stride = out.stride,
                       .rows = rows,
                       .inputs = inputs,
                       .outputs = outputs},
                      result);
      const std::vector<float> found = out.read();
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t n = 0; n < out.stride; ++n) {
          double sum = 0, size = 0;
          for (int64_t k = 0; n < outputs && k < inputs; ++k) {
            sum += x.at(r, k) * weight.at(n, k);
            size += std::abs(x.at(r, k) * weight.at(n, k));
          }
          const bool adds = result == BlasResult::adds;
          const double before = n < outputs && !adds ? 0 : out.at(r, n);
          const double expected = before + (adds ? call : 1) * sum;
          const double limit =
              epsilon_of(DType::f32) * static_cast<double>(inputs) * (std::abs(before) + 2 * size);
          ASSERT_NEAR(found[static_cast<size_t>(r * out.stride + n)], expected, limit)
              << rows << " rows, " << outputs << " of " << inputs << ", row " << r << ", " << n;
        }
      }
    }
  }

  std::unique_ptr<BlasLt> blas_;
};

TEST_F(BlasLtProducts, AreSums) {
  if (blas_ == nullptr) return;
  constexpr int kShapes = 12;
  for (int i = 0; i < kShapes; ++i) {
    Rng rng(static_cast<uint64_t>(i));
    expect_sums(i % 2 == 0 ? BlasResult::replaces : BlasResult::adds, rng);
  }
}

}  // namespace
}  // namespace tidar::cuda
