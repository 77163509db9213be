#pragma once
// For tests: an adapter of random numbers, in memory.

#include <vector>

#include "base/rng.h"
#include "model/adapter.h"

namespace tidar {

/// Some of the targets, a rank from 1 to 8, and a scale from 1/2 to 2.
inline AdapterConfig random_adapter_config(Rng& rng, AdapterRows rows, int mask_token) {
  AdapterConfig config = {.rank = 1 + rng.below(8),
                          .rows = rows,
                          .mask_token = rows == AdapterRows::masks ? mask_token : -1};
  config.alpha = config.rank * (1 + rng.below(4)) / 2.0;
  const auto modules = adapter_modules();
  const int always = rng.below(static_cast<int>(modules.size()));
  for (int i = 0; i < static_cast<int>(modules.size()); ++i) {
    if (i == always || rng.below(2) == 0) {
      config.targets.push_back(modules[static_cast<size_t>(i)].role);
    }
  }
  return config;
}

/// Owns what its adapter views. Elements are normal; those of B / 4.
struct RandomAdapter {
  RandomAdapter(const ModelConfig& model, const AdapterConfig& config, Rng& rng)
      : table(adapter_table(model, config)), adapter(fill(model, config, rng)) {}
  RandomAdapter(const RandomAdapter&) = delete;

  std::vector<WeightSpec> table;
  std::vector<std::vector<float>> numbers;  ///< a row of the table each
  Adapter adapter;

 private:
  Adapter fill(const ModelConfig& model, const AdapterConfig& config, Rng& rng) {
    std::vector<StoredTensor> tensors;
    for (const WeightSpec& spec : table) {
      std::vector<float>& own = numbers.emplace_back();
      const bool is_a = spec.part == WeightPart::lora_a;
      const double deviation =
          is_a ? 1 / std::sqrt(static_cast<double>(spec.shape[1])) : 0.25 / config.rank;
      for (int64_t i = 0; i < spec.shape[0] * spec.shape[1]; ++i) {
        own.push_back(static_cast<float>(deviation) * rng.normal());
      }
      tensors.push_back(
          {spec.name, DType::f32, spec.shape, std::as_bytes(std::span(own)), "memory"});
    }
    return Adapter::of_memory(model, config, std::move(tensors));
  }
};

}  // namespace tidar
