#include "train/initial_weights.h"

#include <algorithm>
#include <cmath>

#include "base/rng.h"

namespace tidar {

namespace {

constexpr float kDeviation = 0.02f;
/// So that an adapter has other numbers than new weights of the same seed.
constexpr uint64_t kAdapterSeed = 0x6c6f7261;

enum class Start : uint8_t { ones, zeros, normal, normal_into_stream };

Start start_of(WeightRole role) {
  switch (role) {
    case WeightRole::input_norm:
    case WeightRole::query_norm:
    case WeightRole::key_norm:
    case WeightRole::ffn_norm:
    case WeightRole::final_norm:
      return Start::ones;
    case WeightRole::query_bias:
    case WeightRole::key_bias:
    case WeightRole::value_bias:
      return Start::zeros;
    case WeightRole::attention_out:
    case WeightRole::down:
      return Start::normal_into_stream;
    default:
      return Start::normal;
  }
}

}  // namespace

void initialise(const ModelConfig& config, uint64_t seed, Parameters& parameters) {
  Rng rng(seed);
  const float into_stream = kDeviation / std::sqrt(2 * static_cast<float>(config.layers));
  for (Parameter& parameter : parameters.all()) {
    if (parameter.spec.part != WeightPart::whole) continue;
    const Start start = start_of(parameter.spec.role);
    const Matrix& value = parameter.value;
    float* const first = value.row<float>(0);  // rows are contiguous, as in the checkpoint
    float* const last = first + value.rows * value.cols;
    if (start == Start::ones || start == Start::zeros) {
      std::fill(first, last, start == Start::ones ? 1.0f : 0.0f);
      continue;
    }
    const float deviation = start == Start::normal ? kDeviation : into_stream;
    std::generate(first, last, [&] { return deviation * rng.normal(); });
  }
}

void initialise_adapter(uint64_t seed, Parameters& parameters) {
  Rng rng(seed ^ kAdapterSeed);
  for (Parameter& parameter : parameters.all()) {
    if (parameter.spec.part == WeightPart::whole) continue;
    const Matrix& value = parameter.value;
    float* const first = value.row<float>(0);
    float* const last = first + value.rows * value.cols;
    if (parameter.spec.part == WeightPart::lora_b) {
      std::fill(first, last, 0.0f);
      continue;
    }
    const float bound = 1 / std::sqrt(static_cast<float>(value.cols));
    std::generate(first, last, [&] { return bound * (2 * rng.uniform() - 1); });
  }
}

}  // namespace tidar
