#pragma once
// What a pass must compute: the base of every share of a roof.

#include <cstdint>

#include "model/config.h"
#include "net/parameters.h"
#include "plan/pass.h"

namespace tidar {

/// Floating-point operations (a multiply-add counts two) of the matrix products and of attention in
/// the forward of `pass`, with the logits of `head_rows` of its rows. Attention counts the keys
/// that rows see, and nothing else; norms, rotations and activations are left out, as is usual.
double forward_flops(const ModelConfig& config, const Pass& pass, int64_t head_rows);

/// Of forward and backward: three times as many, since each product has two gradients; frozen
/// weights have one only. Products of an adapter count as if it acted on all rows. What is computed
/// a second time to save memory is not counted.
double training_flops(const ModelConfig& config, const Parameters& parameters, const Pass& pass,
                      int64_t head_rows);

}  // namespace tidar
