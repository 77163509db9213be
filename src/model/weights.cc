#include "model/weights.h"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <utility>

#include "base/buffer.h"
#include "format/gguf.h"
#include "model/weight_source.h"

namespace tidar {

namespace {

enum class Dimension : uint8_t { one, hidden, queries, keys, head_size, ffn, vocabulary };
enum class Place : uint8_t { before, in_layer, after };
enum class When : uint8_t { always, qkv_bias, qk_norm, own_head };

struct TableRow {
  WeightRole role;
  Place place;
  When when;
  std::string_view name;  // in a layer: what follows "model.layers.<i>."
  Dimension rows;         // one: the tensor is a vector
  Dimension cols;
};

using D = Dimension;
using P = Place;
using R = WeightRole;
using W = When;

// In the order in which a pass uses them.
constexpr std::array<TableRow, 17> kTable = {{
    {R::embedding, P::before, W::always, "model.embed_tokens.weight", D::vocabulary, D::hidden},
    {R::input_norm, P::in_layer, W::always, "input_layernorm.weight", D::one, D::hidden},
    {R::query, P::in_layer, W::always, "self_attn.q_proj.weight", D::queries, D::hidden},
    {R::key, P::in_layer, W::always, "self_attn.k_proj.weight", D::keys, D::hidden},
    {R::value, P::in_layer, W::always, "self_attn.v_proj.weight", D::keys, D::hidden},
    {R::query_bias, P::in_layer, W::qkv_bias, "self_attn.q_proj.bias", D::one, D::queries},
    {R::key_bias, P::in_layer, W::qkv_bias, "self_attn.k_proj.bias", D::one, D::keys},
    {R::value_bias, P::in_layer, W::qkv_bias, "self_attn.v_proj.bias", D::one, D::keys},
    {R::query_norm, P::in_layer, W::qk_norm, "self_attn.q_norm.weight", D::one, D::head_size},
    {R::key_norm, P::in_layer, W::qk_norm, "self_attn.k_norm.weight", D::one, D::head_size},
    {R::attention_out, P::in_layer, W::always, "self_attn.o_proj.weight", D::hidden, D::queries},
    {R::ffn_norm, P::in_layer, W::always, "post_attention_layernorm.weight", D::one, D::hidden},
    {R::gate, P::in_layer, W::always, "mlp.gate_proj.weight", D::ffn, D::hidden},
    {R::up, P::in_layer, W::always, "mlp.up_proj.weight", D::ffn, D::hidden},
    {R::down, P::in_layer, W::always, "mlp.down_proj.weight", D::hidden, D::ffn},
    {R::final_norm, P::after, W::always, "model.norm.weight", D::one, D::hidden},
    {R::head, P::after, W::own_head, "lm_head.weight", D::vocabulary, D::hidden},
}};

int64_t size_of(Dimension dimension, const ModelConfig& config) {
  switch (dimension) {
    case Dimension::one:
      return 1;
    case Dimension::hidden:
      return config.hidden;
    case Dimension::queries:
      return int64_t{config.heads} * config.head_size;
    case Dimension::keys:
      return int64_t{config.kv_heads} * config.head_size;
    case Dimension::head_size:
      return config.head_size;
    case Dimension::ffn:
      return config.ffn;
    case Dimension::vocabulary:
      return config.vocabulary;
  }
  return 0;
}

bool exists(When when, const ModelConfig& config) {
  switch (when) {
    case When::always:
      return true;
    case When::qkv_bias:
      return config.qkv_bias == QkvBias::present;
    case When::qk_norm:
      return config.qk_norm == QkNorm::per_head;
    case When::own_head:
      return config.head == HeadWeight::own;
  }
  return false;
}

void add_rows(const ModelConfig& config, Place place, int layer, std::vector<WeightSpec>& table) {
  for (const TableRow& row : kTable) {
    if (row.place != place || !exists(row.when, config)) continue;
    WeightSpec spec{.role = row.role,
                    .layer = layer,
                    .name = layer < 0 ? std::string(row.name)
                                      : fmt::format("model.layers.{}.{}", layer, row.name),
                    .shape = {size_of(row.cols, config)}};
    if (row.rows != Dimension::one) {
      spec.shape.insert(spec.shape.begin(), size_of(row.rows, config));
    }
    table.push_back(std::move(spec));
  }
}

}  // namespace

std::vector<WeightSpec> weight_table(const ModelConfig& config) {
  std::vector<WeightSpec> table;
  add_rows(config, Place::before, -1, table);
  for (int layer = 0; layer < config.layers; ++layer) {
    add_rows(config, Place::in_layer, layer, table);
  }
  add_rows(config, Place::after, -1, table);
  return table;
}

int64_t ModelConfig::parameters() const {
  int64_t total = 0;
  for (const WeightSpec& spec : weight_table(*this)) {
    int64_t count = 1;
    for (const int64_t dimension : spec.shape) count *= dimension;
    total += count;
  }
  return total;
}

namespace {

/// Tensors that are somebody else's memory.
class MemorySource final : public WeightSource {
 public:
  explicit MemorySource(std::vector<StoredTensor> tensors) : tensors_(std::move(tensors)) {}

  StoredTensor tensor(size_t row) const override { return tensors_[row]; }
  void make(size_t, int64_t, int64_t, std::byte*) const override { TIDAR_CHECK(false); }
  void release(size_t) const override {}
  StoredForm form(size_t) const override { return StoredForm::numbers; }
  std::string_view stored_as(size_t row) const override {
    return tidar::name_of(tensors_[row].dtype);
  }

 private:
  std::vector<StoredTensor> tensors_;
};

}  // namespace

std::unique_ptr<WeightSource> memory_source(std::vector<StoredTensor> tensors) {
  return std::make_unique<MemorySource>(std::move(tensors));
}

// The numbers of a tensor are the source's, or stand in `memory` between get() and release().
struct ModelWeights::Impl {
  Impl(const ModelConfig& config, std::unique_ptr<WeightSource> source_)
      : table(weight_table(config)), source(std::move(source_)), memory(table.size()) {
    for (size_t row = 0; row < table.size(); ++row) {
      row_of.emplace(std::pair(table[row].role, table[row].layer), row);
      tensors.push_back(source->tensor(row));
    }
  }

  size_t row(WeightRole role, int layer) const {
    const auto found = row_of.find({role, layer});
    TIDAR_CHECK(found != row_of.end());
    return found->second;
  }

  /// Of a tensor that get() or look_at() returned.
  size_t row(const StoredTensor& tensor) const {
    const auto row = static_cast<size_t>(&tensor - tensors.data());
    TIDAR_CHECK_LT(row, tensors.size());
    return row;
  }

  std::vector<WeightSpec> table;
  std::unique_ptr<WeightSource> source;
  std::vector<StoredTensor> tensors;  // one a row of the table
  std::map<std::pair<WeightRole, int>, size_t> row_of;
  std::mutex mutex;  // guards `memory`, and `tensors` where it is used
  std::vector<Buffer> memory;
};

ModelWeights::ModelWeights(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ModelWeights::ModelWeights(ModelWeights&&) noexcept = default;
ModelWeights& ModelWeights::operator=(ModelWeights&&) noexcept = default;
ModelWeights::~ModelWeights() = default;

Result<ModelWeights> ModelWeights::open(const std::filesystem::path& model,
                                        const ModelConfig& config) {
  TIDAR_TRY(auto source,
            is_gguf_path(model) ? gguf_source(model, config) : folder_source(model, config));
  return ModelWeights(std::make_unique<Impl>(config, std::move(source)));
}

ModelWeights ModelWeights::random(const ModelConfig& config, DType dtype, uint64_t seed,
                                  Threads* threads) {
  return ModelWeights(std::make_unique<Impl>(config, random_source(config, dtype, seed, threads)));
}

ModelWeights ModelWeights::of_memory(const ModelConfig& config, std::vector<StoredTensor> tensors) {
  const std::vector<WeightSpec> table = weight_table(config);
  TIDAR_CHECK_EQ(tensors.size(), table.size());
  for (size_t row = 0; row < tensors.size(); ++row) {
    TIDAR_CHECK(tensors[row].shape == table[row].shape);
  }
  return ModelWeights(std::make_unique<Impl>(config, memory_source(std::move(tensors))));
}

const StoredTensor& ModelWeights::get(WeightRole role, int layer) const {
  const size_t row = impl_->row(role, layer);
  StoredTensor& tensor = impl_->tensors[row];
  const std::lock_guard lock(impl_->mutex);
  if (tensor.data.empty()) {
    const int64_t rows = tensor.shape.size() == 2 ? tensor.shape[0] : 1;
    const auto bytes = static_cast<size_t>(rows * tensor.shape.back()) * size_of(tensor.dtype);
    impl_->memory[row] = Buffer(bytes);
    impl_->source->make(row, 0, rows, impl_->memory[row].data());
    impl_->source->release(row);
    tensor.data = {impl_->memory[row].data(), bytes};
  }
  return tensor;
}

StoredForm ModelWeights::form(WeightRole role, int layer) const {
  return impl_->source->form(impl_->row(role, layer));
}

CodeMatrix ModelWeights::codes(WeightRole role, int layer) const {
  const size_t row = impl_->row(role, layer);
  const int64_t rows = impl_->tensors[row].shape[0], cols = impl_->tensors[row].shape[1];
  const auto code_bytes = static_cast<size_t>(
      bytes_of_codes(cols, impl_->source->form(row) == StoredForm::codes8 ? 8 : 4));
  const auto scales = static_cast<size_t>(scales_of_codes(cols));
  CodeMatrix matrix{Buffer(static_cast<size_t>(rows) * code_bytes),
                    Buffer(static_cast<size_t>(rows) * scales * sizeof(Half))};
  for (int64_t r = 0; r < rows; ++r) {
    const auto at = static_cast<size_t>(r);
    impl_->source->read_codes(row, r,
                              {{matrix.codes.as<uint8_t>() + at * code_bytes, code_bytes},
                               {matrix.scales.as<Half>() + at * scales, scales}});
  }
  impl_->source->release(row);
  return matrix;
}

const StoredTensor& ModelWeights::look_at(WeightRole role, int layer) const {
  return impl_->tensors[impl_->row(role, layer)];
}

void ModelWeights::make_row(const StoredTensor& tensor, int64_t row, std::span<float> out) const {
  const size_t of_table = impl_->row(tensor);
  TIDAR_CHECK(impl_->source->form(of_table) != StoredForm::numbers);
  impl_->source->make(of_table, row, 1, std::as_writable_bytes(out).data());
}

std::string_view ModelWeights::stored_as(WeightRole role, int layer) const {
  return impl_->source->stored_as(impl_->row(role, layer));
}

DType ModelWeights::matrix_dtype() const {
  const bool all_bf16 =
      std::all_of(impl_->tensors.begin(), impl_->tensors.end(), [](const StoredTensor& tensor) {
        return tensor.shape.size() < 2 || tensor.dtype == DType::bf16;
      });
  return all_bf16 ? DType::bf16 : DType::f32;
}

void ModelWeights::release(const StoredTensor& tensor) const {
  const size_t row = impl_->row(tensor);
  const std::lock_guard lock(impl_->mutex);
  if (impl_->memory[row].data() == nullptr) return impl_->source->release(row);
  impl_->memory[row] = Buffer();
  impl_->tensors[row].data = {};
}

}  // namespace tidar
