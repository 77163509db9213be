#include "plan/shown_rows.h"

namespace tidar {

ShownRows shown_rows(const Pass& pass, const PassSequence& sequence) {
  ShownRows shown{.cached = sequence.cached, .first_row = sequence.first_row, .rows = {}};
  shown.rows.reserve(static_cast<size_t>(sequence.rows));
  for (int32_t i = 0; i < sequence.rows; ++i) {
    const auto row = static_cast<size_t>(sequence.first_row + i);
    const Sight& sight = pass.sights[row];
    shown.rows.push_back(
        {pass.tokens[row], pass.positions[row], pass.keeps[row], sight.prefix, sight.block});
  }
  return shown;
}

}  // namespace tidar
