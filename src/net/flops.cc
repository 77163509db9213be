#include "net/flops.h"

namespace tidar {

double forward_flops(const ModelConfig& config, const Pass& pass, int64_t head_rows) {
  const double head = double{1} * config.vocabulary * config.hidden;
  // The embedding is looked up, not multiplied with.
  const double tables = config.head == HeadWeight::tied ? head : 2 * head;
  const double body = static_cast<double>(config.parameters()) - tables;
  double seen = 0;
  for (const Sight& sight : pass.sights) {
    seen += sight.prefix.to - sight.prefix.from + sight.block.to - sight.block.from;
  }
  const double attention = 4.0 * config.layers * config.heads * config.head_size * seen;
  return 2 * pass.rows() * body + 2 * static_cast<double>(head_rows) * head + attention;
}

double training_flops(const ModelConfig& config, const Pass& pass, int64_t head_rows) {
  return 3 * forward_flops(config, pass, head_rows);
}

}  // namespace tidar
