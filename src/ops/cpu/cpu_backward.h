#pragma once
// The backward halves on vector kernels.

#include <memory>

#include "ops/cpu/cpu_ops.h"
#include "ops/host_backward.h"

namespace tidar {

/// A BackwardOps that can tell how much memory its intermediate results take.
class CpuBackward : public HostBackward {
 public:
  /// Grows with the largest call so far.
  virtual int64_t scratch_bytes() const = 0;
};

/// `forward` was made with the same threads and options; both must outlive the result, and be used
/// by nobody else during a verb.
std::unique_ptr<CpuBackward> make_cpu_backward(Threads& threads, const CpuOptions& options,
                                               Ops& forward);

}  // namespace tidar
