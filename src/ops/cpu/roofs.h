#pragma once
// What this machine can do at most, measured: every speed is told as a share of these.

#include <cstdint>

#include "base/buffer.h"
#include "base/dtype.h"
#include "base/threads.h"
#include "ops/cpu/isa.h"

namespace tidar {

/// Rates of all threads together.
struct CpuRoofs {
  double memory_gbps = 0;  ///< reading memory that no cache holds, 10^9 bytes/s
  double f32_gflops = 0;   ///< multiply-adds of floats, registers only, 10^9 operations/s
  double bf16_gflops = 0;  ///< the fastest bf16 products of the instruction set, registers only;
                           ///< f32_gflops where it has none
  double i8_gops = 0;      ///< products of codes (group_codes.h), likewise

  /// What products with operands of this type stand under.
  double products_of(DType operand) const {
    if (operand == DType::i8) return i8_gops;
    return operand == DType::bf16 ? bf16_gflops : f32_gflops;
  }
};

/// Reads memory that no cache holds with all threads. Holds 1 GiB while it lives. The threads must
/// outlive it.
class MemoryReader {
 public:
  /// `isa` is one of usable_isas().
  MemoryReader(Threads& threads, Isa isa);
  /// Reads all of it once, which takes 10 to 40 ms; returns 10^9 bytes/s.
  double measure_gbps();

 private:
  Threads& threads_;
  void (*read_)(const std::byte*, int64_t);
  Buffer buffer_;
};

/// Takes about half a second and 1 GiB of memory, given back at the end. Each rate is the best of
/// several short runs: other programs can only lower it. `isa` is one of usable_isas().
CpuRoofs measure_roofs(Threads& threads, Isa isa);

/// CpuRoofs::memory_gbps alone: about a third of a second, and the 1 GiB.
double measure_memory_gbps(Threads& threads, Isa isa);

/// CpuRoofs::products_of(operand) alone: a few hundredths of a second.
double measure_product_gflops(Threads& threads, Isa isa, DType operand);

}  // namespace tidar
