#pragma once
// The verbs on a GPU. Activations are f32; weights f32 or bf16, and the operands that meet them of
// the same type; keys and values f32 or bf16. Sums are f32.
//
// Verbs queue their work and return. read() and read_logits() wait for it. Where an ask wants the
// most probable token, or a given one's probability, a few numbers leave the device; otherwise
// logits are copied to the host, which answers as the reference does (ops/ref).
//
// What there is not: weights with scales (w8, w4), which pack() refuses; heads of more than 128
// elements. CudaOptions::exact_rows says what holds of a row's bits.

#include <memory>

#include "ops/cuda/device.h"
#include "ops/ops.h"

namespace tidar::cuda {

struct CudaOptions {
  /// A row's result is the same, to the bit, whatever other rows share its call. It costs reading
  /// weights once for every kFewRows (64) rows of a product, and attention in parts of always as
  /// many keys. Without it products of more than kFewestRows (8) rows are the device's library's,
  /// and parts as large as give all processors work; of all other verbs it holds in any case.
  bool exact_rows = false;
  /// Products with bf16 weights, and attention over stores of bf16, may be the tensor cores' work.
  bool tensor_cores = true;
};

/// Memory on the device: what is packed and allocated, and scratch that grows with the largest
/// attention so far.
class CudaOps : public Ops {
 public:
  virtual int64_t scratch_bytes() const = 0;
};

/// `device` must outlive the result, and be used by nobody else.
std::unique_ptr<CudaOps> make_cuda_ops(Device& device, const CudaOptions& options);

}  // namespace tidar::cuda
