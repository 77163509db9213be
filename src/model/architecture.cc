#include "model/architecture.h"

#include <array>

namespace tidar {

namespace {

constexpr std::array<Architecture, 4> kArchitectures = {{
    {"Qwen2ForCausalLM", "qwen2", Family::qwen2, QkvBias::present, QkNorm::none, BiasField::ignored,
     WindowRule::if_asked, 0, true},
    {"Qwen3ForCausalLM", "qwen3", Family::qwen3, QkvBias::none, QkNorm::per_head, BiasField::read,
     WindowRule::if_asked, 128, true},
    {"LlamaForCausalLM", "llama", Family::llama, QkvBias::none, QkNorm::none, BiasField::read,
     WindowRule::never, 0, true},
    {"MistralForCausalLM", "mistral", Family::llama, QkvBias::none, QkNorm::none,
     BiasField::ignored, WindowRule::if_given, 0, false},
}};

}  // namespace

std::span<const Architecture> architectures() { return kArchitectures; }

const Architecture* find_architecture(std::string_view name) {
  for (const Architecture& known : kArchitectures) {
    if (known.name == name) return &known;
  }
  return nullptr;
}

ModelConfig config_of(const Architecture& architecture) {
  ModelConfig config;
  config.family = architecture.family;
  config.architecture = architecture.name;
  config.qkv_bias = architecture.qkv_bias;
  config.qk_norm = architecture.qk_norm;
  return config;
}

}  // namespace tidar
