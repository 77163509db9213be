#include "ops/ops.h"

#include <cmath>

namespace tidar {

int64_t AttendPlan::keys_seen() const {
  int64_t keys = 0;
  for (const TileSight& sight : sights) {
    keys += sight.prefix_to - sight.prefix_from + sight.block_to - sight.block_from;
  }
  return keys;
}

RopeTable make_rope_table(std::span<const double> frequencies, int64_t positions, double factor) {
  RopeTable table;
  table.half = static_cast<int>(frequencies.size());
  table.cosines.reserve(frequencies.size() * static_cast<size_t>(positions));
  table.sines.reserve(frequencies.size() * static_cast<size_t>(positions));
  for (int64_t position = 0; position < positions; ++position) {
    for (const double frequency : frequencies) {
      const double angle = static_cast<double>(position) * frequency;
      table.cosines.push_back(static_cast<float>(factor * std::cos(angle)));
      table.sines.push_back(static_cast<float>(factor * std::sin(angle)));
    }
  }
  return table;
}

}  // namespace tidar
