#pragma once
// The verbs by name and number, for accounts about them: those of ops.h that carry out a pass. What
// only moves memory between host and backend is not among them.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tidar {

enum class Verb : uint8_t {
  embed,
  gather,
  scatter_add,
  rms_norm,
  linear,
  linear_add,
  linear_swiglu,
  swiglu,
  rope,
  store_kv,
  move_kv,
  attend,
  read_logits,
};

inline constexpr size_t kVerbs = 13;

constexpr std::string_view name_of(Verb verb) {
  constexpr std::array<std::string_view, kVerbs> kNames = {
      "embed",  "gather", "scatter_add", "rms_norm", "linear", "linear_add", "linear_swiglu",
      "swiglu", "rope",   "store_kv",    "move_kv",  "attend", "read_logits"};
  return kNames[static_cast<size_t>(verb)];
}

}  // namespace tidar
