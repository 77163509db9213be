#include "net/flops.h"

#include "model/weights.h"

namespace tidar {

namespace {

/// Of the product of one row with a weight; vectors and the embedding, which is looked up, have
/// none. The head is counted by itself.
double row_flops(const WeightSpec& spec) {
  const bool table = spec.role == WeightRole::embedding || spec.role == WeightRole::head;
  if (table || spec.shape.size() < 2) return 0;
  return 2.0 * static_cast<double>(spec.shape[0]) * static_cast<double>(spec.shape[1]);
}

double head_flops(const ModelConfig& config) { return 2.0 * config.vocabulary * config.hidden; }

}  // namespace

double forward_flops(const ModelConfig& config, const Pass& pass, int64_t head_rows) {
  double per_row = 0;
  for (const WeightSpec& spec : weight_table(config)) per_row += row_flops(spec);
  double seen = 0;
  for (const Sight& sight : pass.sights) {
    seen += sight.prefix.to - sight.prefix.from + sight.block.to - sight.block.from;
  }
  const double attention = 4.0 * config.layers * config.heads * config.head_size * seen;
  return pass.rows() * per_row + attention + static_cast<double>(head_rows) * head_flops(config);
}

double training_flops(const ModelConfig& config, const Parameters& parameters, const Pass& pass,
                      int64_t head_rows) {
  const bool tied = config.head == HeadWeight::tied;
  const WeightRole head = tied ? WeightRole::embedding : WeightRole::head;
  double saved = 0, added = 0;
  for (const Parameter& parameter : parameters.all()) {
    if (parameter.spec.part != WeightPart::whole) added += pass.rows() * row_flops(parameter.spec);
    if (!parameter.frozen()) continue;
    saved += pass.rows() * row_flops(parameter.spec);
    if (parameter.spec.role == head) saved += static_cast<double>(head_rows) * head_flops(config);
  }
  return 3 * (forward_flops(config, pass, head_rows) + added) - saved;
}

}  // namespace tidar
