#pragma once
// The matrix products of oneDNN, beside which ours are held.

#include "base/dtype.h"
#include "base/threads.h"

namespace tidar {

/// A product of 512 x 2048 x 2048, weights packed as oneDNN likes them best, operands f32 or bf16,
/// on as many threads as `threads` has: the best of 40 runs, 10^9 operations/s. About a third of a
/// second.
double onednn_product_gflops(const Threads& threads, DType operand);

}  // namespace tidar
