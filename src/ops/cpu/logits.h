#pragma once
// Reading rows of logits with the kernels of an instruction set; see plan/ask.h.

#include "base/matrix.h"
#include "ops/cpu/kernels.h"
#include "plan/ask.h"

namespace tidar::cpu {

/// Answers one ask of `asks`. `scratch` has room for 2 V floats, this thread's own. The common case
/// (greedy with few changes) reads the row twice and copies nothing.
Answer answer(const Kernels& kernels, Matrix logits, const Ask& ask, const Asks& asks,
              float* scratch);

}  // namespace tidar::cpu
