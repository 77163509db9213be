#pragma once
// The verbs on vector kernels, for x86-64 processors from AVX2 on.

#include <memory>

#include "base/threads.h"
#include "ops/cpu/isa.h"
#include "ops/host_ops.h"

namespace tidar {

/// In what the operands of products with bf16 weights are held. Keys and values have a type of
/// their own (KvShape::dtype), and so do the operands of products with them.
enum class Precision : uint8_t {
  f32,   ///< operands stay float: products are those of the reference, up to the order of sums
  bf16,  ///< operands are rounded to bf16 where the instruction set multiplies bf16, which is
         ///< faster; sums are float in any case
};

struct CpuOptions {
  Isa isa = Isa::avx2;  ///< one of usable_isas()
  Precision precision = Precision::bf16;
};

/// `threads` must outlive the result, and be used by nobody else during a verb. name() is that of
/// the instruction set. Memory: packed weights, KV stores, and scratch that grows with the largest
/// call so far (scratch_bytes()).
class CpuOps : public HostOps {
 public:
  virtual int64_t scratch_bytes() const = 0;
};

std::unique_ptr<CpuOps> make_cpu_ops(Threads& threads, const CpuOptions& options);

}  // namespace tidar
