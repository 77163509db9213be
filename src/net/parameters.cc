#include "net/parameters.h"

#include <algorithm>
#include <cstring>

#include "ops/host_matrix.h"

namespace tidar {

namespace {

int64_t cols_of(const WeightSpec& spec) { return spec.shape.back(); }
int64_t rows_of(const WeightSpec& spec) { return spec.shape.size() == 2 ? spec.shape[0] : 1; }

}  // namespace

std::vector<WeightSpec> trained_table(const ModelConfig& config, const AdapterConfig* adapter) {
  std::vector<WeightSpec> table = weight_table(config);
  if (adapter == nullptr) return table;
  for (WeightSpec& spec : adapter_table(config, *adapter)) {
    const auto last = std::find_if(table.rbegin(), table.rend(),
                                   [&](const WeightSpec& one) { return one.layer == spec.layer; });
    table.insert(last.base(), std::move(spec));
  }
  return table;
}

Parameters::Parameters(const ModelConfig& config, const ModelWeights& weights, DType gradients,
                       std::span<const std::string> frozen, const AdapterConfig* adapter) {
  const std::vector<WeightSpec> table = trained_table(config, adapter);
  const auto is_frozen = [&](const WeightSpec& spec) {
    return std::find(frozen.begin(), frozen.end(), spec.name) != frozen.end();
  };
  int64_t trained = 0;
  for (const WeightSpec& spec : table) {
    const int64_t count = rows_of(spec) * cols_of(spec);
    count_ += count;
    if (!is_frozen(spec)) trained += count;
  }
  values_ = Buffer(static_cast<size_t>(count_) * sizeof(float));
  gradients_ = Buffer(static_cast<size_t>(trained) * size_of(gradients));
  int64_t at = 0;                           // elements behind the parameters so far
  std::byte* gradient = gradients_.data();  // of the next one that has one
  for (const WeightSpec& spec : table) {
    const int64_t rows = rows_of(spec), cols = cols_of(spec);
    Parameter parameter;
    parameter.spec = spec;
    parameter.value = Matrix(values_.as<float>() + at, DType::f32, rows, cols);
    const bool trains = !is_frozen(spec);
    parameter.gradient = Matrix(trains ? gradient : nullptr, gradients, rows, cols);
    if (trains) gradient += static_cast<size_t>(rows * cols) * size_of(gradients);
    if (spec.part == WeightPart::whole) {
      const StoredTensor& stored = weights.get(spec.role, spec.layer);
      const HostMatrix host = {stored.data.data(), stored.dtype, rows, cols};
      for (int64_t r = 0; r < rows; ++r) read_row(host, r, parameter.value.row<float>(r));
      weights.release(stored);
    }
    parameters_.push_back(std::move(parameter));
    at += rows * cols;
  }
}

Parameter& Parameters::get(WeightRole role, int layer, WeightPart part) {
  const auto found =
      std::find_if(parameters_.begin(), parameters_.end(), [&](const Parameter& one) {
        return one.spec.role == role && one.spec.layer == layer && one.spec.part == part;
      });
  TIDAR_CHECK(found != parameters_.end());
  return *found;
}

const Parameter& Parameters::get(WeightRole role, int layer, WeightPart part) const {
  return const_cast<Parameters*>(this)->get(role, layer, part);
}

void Parameters::zero_gradients() { std::memset(gradients_.data(), 0, gradients_.bytes()); }

}  // namespace tidar
