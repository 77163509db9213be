#pragma once
// The families as data: what the name of an architecture says that config.json leaves unsaid.

#include <span>
#include <string_view>

#include "model/config.h"

namespace tidar {

/// When a sliding window of attention is in force.
enum class WindowRule : uint8_t {
  never,     ///< the architecture has none
  if_asked,  ///< if use_sliding_window is true
  if_given,  ///< if sliding_window is not null; 4096 when config.json is silent
};

/// Whether attention_bias of config.json is read. Where it is, true is an Error: it would put a
/// bias on the attention output too.
enum class BiasField : uint8_t { ignored, read };

struct Architecture {
  std::string_view name;        ///< in "architectures"
  std::string_view model_type;  ///< in "model_type"
  Family family;
  QkvBias qkv_bias;
  QkNorm qk_norm;
  BiasField bias_field;
  WindowRule window;
  int head_size;  ///< when config.json is silent; 0: hidden / heads
  bool in_gguf;   ///< whether GGUF files have a model_type of this name
};

/// All that are supported.
std::span<const Architecture> architectures();

/// The one of this name, or nullptr.
const Architecture* find_architecture(std::string_view name);

/// A config with what the architecture alone decides; the rest is unset.
ModelConfig config_of(const Architecture& architecture);

}  // namespace tidar
