#pragma once
// Products by cuBLASLt, where it is installed. The library is looked for when it is asked for
// (dlopen), so that a program needs it neither to be built nor to start.

#include <cstdint>
#include <memory>

namespace tidar::cuda {

/// What a product does to its result.
enum class BlasResult : uint8_t { replaces, adds };

/// The operands of out = x W^T, or out += x W^T, on the device. Strides are counted in elements.
struct BlasOperands {
  const void* x = nullptr;  ///< [R, K] bf16
  int64_t x_stride = 0;
  const void* weight = nullptr;  ///< [N, K] bf16
  int64_t weight_stride = 0;
  float* out = nullptr;  ///< [R, N]
  int64_t out_stride = 0;
  int64_t rows = 0;     // R
  int64_t inputs = 0;   // K
  int64_t outputs = 0;  // N
};

/// For one device and one stream: products share a workspace, so none may begin before the one
/// before it has ended, as in a stream. Not thread-safe.
class BlasLt {
 public:
  /// For the device that is current (cudaSetDevice), where 32 MiB are taken. nullptr where the
  /// library is not found among those that the system loads, and in the usual place of CUDA.
  /// Stops the program where the device refuses. The result must end before the program gives
  /// back the device.
  static std::unique_ptr<BlasLt> find();
  virtual ~BlasLt() = default;

  /// Queues the product on `stream`, a cudaStream_t; sums are f32. The first call of a shape
  /// chooses how it is computed, on the host alone; later ones look that up. Nothing is allocated
  /// on the device and nothing waits, so that a stream which is being captured takes it as well. R,
  /// K and N are 1 at least. Which algorithm computes a shape is the library's choice: a row's bits
  /// may depend on R. Stops the program where the library refuses.
  virtual void multiply(void* stream, const BlasOperands& operands, BlasResult result) = 0;
};

}  // namespace tidar::cuda
