#pragma once
// Reading rows of logits with the kernels of an instruction set; see plan/ask.h.

#include "base/matrix.h"
#include "ops/cpu/kernels.h"
#include "plan/ask.h"

namespace tidar::cpu {

/// Answers one ask. `scratch` has room for 2 V floats, this thread's own. The common cases (greedy
/// with few changes, scores) read the row twice and copy nothing.
Answer answer(const Kernels& kernels, Matrix logits, const Ask& ask, float* scratch);

}  // namespace tidar::cpu
