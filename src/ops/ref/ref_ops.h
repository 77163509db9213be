#pragma once
// The plain backend: every verb as its sentence in ops.h says it, one loop after another, on one
// thread. The truth that other backends are tested against, in float64 or float32.

#include <memory>

#include "ops/ops.h"

namespace tidar {

/// `activation` is f32 or f64; operands have the same type. Weights are rounded to their format and
/// kept as activations, and so PackedWeight::bytes counts them. So are keys and values: f32 or f64
/// as they come, bf16 and i8 rounded. Rounds q as given, before the scale 1/sqrt(E), and exp(score
/// - largest) before the sum, where the store is bf16.
std::unique_ptr<Ops> make_ref_ops(DType activation);

}  // namespace tidar
