#include "net/adapter_weights.h"

#include <algorithm>
#include <numeric>

namespace tidar {

namespace {

int64_t outputs_of(const ModelConfig& config, WeightRole role) {
  switch (role) {
    case WeightRole::query:
      return int64_t{config.heads} * config.head_size;
    case WeightRole::key:
    case WeightRole::value:
      return int64_t{config.kv_heads} * config.head_size;
    case WeightRole::gate:
    case WeightRole::up:
      return config.ffn;
    default:
      return config.hidden;
  }
}

int64_t most_outputs(const ModelConfig& config, const AdapterConfig& adapter) {
  int64_t most = 0;
  for (const WeightRole role : adapter.targets) most = std::max(most, outputs_of(config, role));
  return most;
}

constexpr int64_t kMostParts = 3;  // q, k, v

}  // namespace

std::vector<PackedPart> parts_of(const ModelConfig& config, PackedRole role) {
  std::vector<PackedPart> parts;
  int64_t column = 0;
  for (const AdapterModule& module : adapter_modules()) {
    if (packed_role(module.role) != role) continue;
    parts.push_back({module.role, column, outputs_of(config, module.role)});
    column += parts.back().outputs;
  }
  return parts;
}

WeightFormat adapter_format(const Ops& ops, WeightFormat weights) {
  const bool wide = ops.operand(weights) == ops.operand(WeightFormat::f32);
  return wide ? WeightFormat::f32 : WeightFormat::bf16;
}

AdaptedRows::AdaptedRows(const ModelConfig& config, Ops& ops, const AdapterConfig& adapter,
                         int max_rows)
    : config_(adapter),
      ascending_(static_cast<size_t>(max_rows)),
      planes_(ops, max_rows,
              {{&down, ops.activation(), kMostParts * adapter.rank},
               {&picked, ops.activation(), adapter.rank},
               {&up, ops.activation(), most_outputs(config, adapter)}}) {
  std::iota(ascending_.begin(), ascending_.end(), 0);
}

void AdaptedRows::take(const Pass& pass) {
  indices_.clear();
  for (int32_t row = 0; row < pass.rows(); ++row) {
    if (are_all() || pass.tokens[static_cast<size_t>(row)] == config_.mask_token) {
      indices_.push_back(row);
    }
  }
}

void AdapterForward::add(PackedRole product, Matrix x, Matrix out) const {
  if (!acts_on(product) || rows_->indices().empty()) return;
  const AdapterWeights& weights = weights_->of(product);
  const auto count = static_cast<int64_t>(rows_->indices().size());
  const int64_t rank = rows_->config().rank;
  const Matrix down = first(rows_->down, x.rows).col_range(0, weights.down->outputs);
  ops_->linear(x, *weights.down, nullptr, down);
  for (size_t i = 0; i < weights.parts.size(); ++i) {
    const AdapterWeights::Part& part = weights.parts[i];
    const auto at = static_cast<int64_t>(i) * rank;
    Matrix mine = down.col_range(at, at + rank);
    if (!rows_->are_all()) {
      const Matrix picked = first(rows_->picked, count);
      ops_->gather(mine, rows_->indices(), picked);
      mine = picked;
    }
    const Matrix up = first(rows_->up, count).col_range(0, part.up->outputs);
    ops_->linear(mine, *part.up, nullptr, up);
    ops_->scatter_add(up, rows_->indices(), rows_->config().scale(),
                      out.col_range(part.first_column, part.first_column + part.up->outputs));
  }
}

}  // namespace tidar
