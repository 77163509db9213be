#include "base/rng.h"

#include <cmath>
#include <numbers>

namespace tidar {

float Rng::normal() {
  const float radius = std::sqrt(-2.0f * std::log(uniform()));
  return radius * std::cos(2.0f * std::numbers::pi_v<float> * uniform());
}

}  // namespace tidar
