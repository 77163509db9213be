#include "train/initial_weights.h"

#include <algorithm>
#include <cmath>

#include "base/rng.h"

namespace tidar {

namespace {

constexpr float kDeviation = 0.02f;

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

}  // namespace tidar
