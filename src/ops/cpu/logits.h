#pragma once
// Reading rows of logits with the kernels of an instruction set; see ops/logits.h.

#include "base/matrix.h"
#include "ops/cpu/kernels.h"
#include "ops/logits.h"

namespace tidar::cpu {

/// Answers one task. `scratch` has room for 2 V floats, this thread's own. The common cases (greedy
/// with few changes, scores) read the row twice and copy nothing.
LogitAnswer read_task(const Kernels& kernels, Matrix logits, const LogitTask& task, float* scratch);

}  // namespace tidar::cpu
