#include "net/flops.h"

#include "model/weights.h"

namespace tidar {

double forward_flops(const ModelConfig& config, const Pass& pass, int64_t head_rows) {
  double per_row = 0;
  for (const WeightSpec& spec : weight_table(config)) {
    // The embedding is looked up, not multiplied with; the head is counted by itself.
    const bool table = spec.role == WeightRole::embedding || spec.role == WeightRole::head;
    if (table || spec.shape.size() < 2) continue;
    per_row += 2.0 * static_cast<double>(spec.shape[0]) * static_cast<double>(spec.shape[1]);
  }
  double seen = 0;
  for (const Sight& sight : pass.sights) {
    seen += sight.prefix.to - sight.prefix.from + sight.block.to - sight.block.from;
  }
  const double attention = 4.0 * config.layers * config.heads * config.head_size * seen;
  const double head = 2.0 * config.vocabulary * config.hidden;
  return pass.rows() * per_row + attention + static_cast<double>(head_rows) * head;
}

double training_flops(const ModelConfig& config, const Pass& pass, int64_t head_rows) {
  return 3 * forward_flops(config, pass, head_rows);
}

}  // namespace tidar
