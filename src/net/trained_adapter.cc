#include "net/trained_adapter.h"

#include <algorithm>
#include <array>
#include <vector>

namespace tidar {

namespace {

int64_t most_inputs(const ModelConfig& config) {
  return std::max<int64_t>({config.hidden, int64_t{config.heads} * config.head_size, config.ffn});
}

}  // namespace

TrainedAdapterRows::TrainedAdapterRows(const ModelConfig& config, BackwardOps& ops,
                                       const AdapterConfig& adapter, int max_rows)
    : rows_(config, ops.forward(), adapter, max_rows),
      planes_(ops.forward(), max_rows,
              {{&scaled, ops.forward().activation(), adapter.rank},
               {&d_down, ops.forward().activation(), rows_.down.cols},
               {&d_x, ops.forward().activation(), most_inputs(config)}}) {}

TrainedAdapter::TrainedAdapter(const ModelConfig& config, Parameters& parameters, int layer,
                               BackwardOps& ops, WeightFormat format, TrainedAdapterRows* rows)
    : parameters_(parameters), layer_(layer), ops_(ops), rows_(rows) {
  if (rows == nullptr) return;
  const std::vector<WeightRole>& targets = rows->rows().config().targets;
  weights_ = {
      config, [&](WeightRole role) { return std::ranges::find(targets, role) != targets.end(); },
      [&](PackedRole, std::span<const WeightRole> roles) {
        std::vector<Matrix> masters;
        for (const WeightRole role : roles) {
          masters.push_back(parameters.get(role, layer, WeightPart::lora_a).value);
        }
        return ops.make_weight(PackOrder::stacked, masters, adapter_format(ops.forward(), format));
      },
      [&](WeightRole role) {
        const std::array masters = {parameters.get(role, layer, WeightPart::lora_b).value};
        return ops.make_weight(PackOrder::stacked, masters, WeightFormat::f32);
      }};
  refresh();
}

void TrainedAdapter::refresh() {
  weights_.for_each([&](auto& trained) { ops_.refresh(trained); });
}

int64_t TrainedAdapter::bytes() const {
  int64_t bytes = 0;
  weights_.for_each([&](const auto& trained) { bytes += trained.bytes(); });
  return bytes;
}

BlockAdapter TrainedAdapter::view() const {
  return weights_.view([](const auto& trained) { return &trained.forward(); });
}

AdapterForward TrainedAdapter::forward(const BlockAdapter& view) const {
  return rows_ == nullptr ? AdapterForward() : AdapterForward(ops_.forward(), view, rows_->rows());
}

void TrainedAdapter::backward(PackedRole product, Matrix x, Matrix d_out, Matrix d_x) const {
  const Product& weights = weights_.of(product);
  if (!weights.down || rows_->rows().indices().empty()) return;
  Ops& forward = ops_.forward();
  const AdaptedRows& rows = rows_->rows();
  const int64_t width = weights.down->forward().outputs;
  const Matrix down = first(rows.down, x.rows).col_range(0, width);
  const Matrix d_down = first(rows_->d_down, x.rows).col_range(0, width);
  forward.linear(x, weights.down->forward(), nullptr,
                 down);  // once more: it costs less than memory
  forward.clear(d_down);
  std::vector<Matrix> d_a;
  for (size_t part = 0; part < weights.parts.size(); ++part) {
    part_backward(weights, part, down, d_out);
    d_a.push_back(gradient(weights.parts[part].role, WeightPart::lora_a));
  }
  const Matrix through = first(rows_->d_x, x.rows).col_range(0, x.cols);
  ops_.linear(x, *weights.down, d_down, {.d_x = through, .d_parts = d_a});
  forward.scatter_add(through, rows.first_indices(x.rows), 1, d_x);
}

// With y = scale * down B^T: d_B = d_y^T (scale * down), d_down = scale * d_y B.
void TrainedAdapter::part_backward(const Product& product, size_t part, Matrix down,
                                   Matrix d_out) const {
  Ops& forward = ops_.forward();
  const AdaptedRows& rows = rows_->rows();
  const double scale = rows.config().scale();
  const auto count = static_cast<int64_t>(rows.indices().size());
  const int64_t rank = rows.config().rank, at = static_cast<int64_t>(part) * rank;
  const auto& [role, up, column] = product.parts[part];
  const int64_t outputs = up->forward().outputs;
  Matrix mine = down.col_range(at, at + rank), d_mine = d_out.col_range(column, column + outputs);
  const Matrix picked = first(rows.picked, count), scaled = first(rows_->scaled, count);
  if (!rows.are_all()) {
    const Matrix d_picked = first(rows.up, count).col_range(0, outputs);
    forward.gather(mine, rows.indices(), picked);
    forward.gather(d_mine, rows.indices(), d_picked);
    mine = picked, d_mine = d_picked;
  }
  forward.clear(scaled);
  forward.scatter_add(mine, rows.first_indices(count), scale, scaled);
  const std::array d_b = {gradient(role, WeightPart::lora_b)};
  ops_.linear(scaled, *up, d_mine, {.d_x = picked, .d_parts = d_b});
  forward.scatter_add(picked, rows.indices(), scale,
                      first(rows_->d_down, down.rows).col_range(at, at + rank));
}

}  // namespace tidar
