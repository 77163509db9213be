#pragma once
// What the backend for GPUs has carried out: one function a kernel, or a few of them. Each queues
// its work on a stream and returns; the pointers are to memory of the device, and must be good
// until the work is done. Shapes have been checked by the caller (cuda_ops.cc); what a verb means
// stands in ops/ops.h.
//
// The functions are defined in the .cu files, which two compilers read: nvcc for devices, and g++
// for the CPU (host/dialect.h). A program links one of the two. So nothing of CUDA is named here.
//
// R rows, N outputs, K inputs, H heads, G heads of keys and values, E the size of a head.

#include <cstdint>

namespace tidar::cuda {

/// Where work is queued. What the handle is, launch() and the device (device.h) know.
struct Stream {
  void* handle = nullptr;
};

/// The bits of a bf16, without the constructors of BFloat16: shared memory holds it as it is.
struct Bf16 {
  uint16_t bits;
};

enum class Element : uint8_t { f32, bf16 };

/// Rows of a matrix in the device's memory, `stride` elements apart, with no alignment but that of
/// an element.
struct View {
  void* data = nullptr;
  Element type = Element::f32;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;

  template <class T>
  constexpr T* row(int64_t r) const {
    return static_cast<T*>(data) + r * stride;
  }
};

/// A weight [N, K]: rows of `stride` elements, of which those behind K are 0, so that every row
/// begins at a multiple of kWeightAlignment bytes.
struct WeightView {
  const void* data = nullptr;
  Element type = Element::f32;
  int64_t outputs = 0;
  int64_t inputs = 0;
  int64_t stride = 0;

  template <class T>
  constexpr const T* row(int64_t n) const {
    return static_cast<const T*>(data) + n * stride;
  }
};
inline constexpr int64_t kWeightAlignment = 16;

// ---- rows.cu ----

/// out[r] = table[tokens[r]]; out [R, K] f32.
void embed(Stream stream, const int32_t* tokens, const WeightView& table, const View& out);

/// out[i] = x[rows[i]]; both f32.
void gather(Stream stream, const View& x, const int32_t* rows, const View& out);

/// out = x / sqrt(mean(x²) + eps) * weight, for each of `heads` vectors of a row. x f32; out f32 or
/// bf16, may be x.
void rms_norm(Stream stream, const View& x, const float* weight, float eps, int heads,
              const View& out);

/// cos and sin of the angle of pair i at position p: [positions, half].
struct Angles {
  const float* cosines = nullptr;
  const float* sines = nullptr;
  int half = 0;  // E/2
};

/// Rotates elements i and i + E/2 of each of `heads` vectors of row r by the angle of positions[r],
/// in place. x f32.
void rope(Stream stream, const View& x, int heads, const int32_t* positions, const Angles& angles);

}  // namespace tidar::cuda
