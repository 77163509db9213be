#pragma once
// The weights from which a model learns that has learnt nothing yet.

#include <cstdint>

#include "model/config.h"
#include "net/parameters.h"

namespace tidar {

/// Sets all masters but an adapter's, as GPT-2 and its successors do: norms 1, biases 0, matrices
/// normal with deviation 0.02, but for the two of each layer that write to the residual stream
/// (attention out and down), with 0.02 / sqrt(2 layers), so that the stream does not grow with
/// depth. A function of the seed alone.
void initialise(const ModelConfig& config, uint64_t seed, Parameters& parameters);

/// Sets the masters of an adapter as PEFT does: A uniform within ±1 / sqrt(in), B 0, so that
/// nothing is added at first. A function of the seed alone.
void initialise_adapter(uint64_t seed, Parameters& parameters);

}  // namespace tidar
