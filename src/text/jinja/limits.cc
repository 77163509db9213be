#include "text/jinja/limits.h"

namespace tidar::jinja {

Result<void> Budget::spend_steps(size_t steps) {
  if (steps > limits_.steps - steps_) {
    return error("takes more than {} steps", limits_.steps);
  }
  steps_ += steps;
  return {};
}

Result<void> Budget::spend_bytes(size_t bytes) {
  if (bytes > limits_.bytes - bytes_) {
    return error("makes more than {} bytes of text", limits_.bytes);
  }
  bytes_ += bytes;
  return {};
}

Result<void> Budget::spend_bytes(size_t count, size_t bytes) {
  if (bytes > 0 && count > limits_.bytes / bytes) return spend_bytes(limits_.bytes + 1);
  return spend_bytes(count * bytes);
}

}  // namespace tidar::jinja
