#include "model/weights.h"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "base/buffer.h"
#include "format/files.h"
#include "format/tensor_header.h"
#include "model/random_weights.h"

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

// Tensors that real checkpoints hold beside what the network needs.
bool is_spare(const std::string& name, const ModelConfig& config) {
  return name.ends_with("rotary_emb.inv_freq") ||
         (name == "lm_head.weight" && config.head == HeadWeight::tied);
}

std::string described(const WeightSpec& spec) {
  return fmt::format("F32, BF16 or F16 of shape {}", shape_text(spec.shape));
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

// `folder` or `random` is there, or neither: then the tensors are somebody else's memory. `memory`
// holds the random tensors that are in use.
struct ModelWeights::Impl {
  explicit Impl(const ModelConfig& config) : table(weight_table(config)), tensors(table.size()) {
    for (size_t row = 0; row < table.size(); ++row) {
      row_of.emplace(std::pair(table[row].role, table[row].layer), row);
    }
  }

  std::vector<WeightSpec> table;
  std::vector<StoredTensor> tensors;  // one a row of the table
  std::map<std::pair<WeightRole, int>, size_t> row_of;

  std::optional<TensorFolder> folder;
  std::optional<RandomWeights> random;
  std::mutex mutex;  // guards `memory`, and `tensors` while weights are random
  std::vector<Buffer> memory;
};

ModelWeights::ModelWeights(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ModelWeights::ModelWeights(ModelWeights&&) noexcept = default;
ModelWeights& ModelWeights::operator=(ModelWeights&&) noexcept = default;
ModelWeights::~ModelWeights() = default;

namespace {

// The stored tensor of a row of the table, checked against it.
Result<const StoredTensor*> find_checked(const TensorFolder& folder, const WeightSpec& spec,
                                         const std::string& where) {
  const StoredTensor* tensor = folder.find(spec.name);
  if (tensor == nullptr) {
    return error("{}: tensor {} is missing; config.json asks for {}", where, in_quotes(spec.name),
                 described(spec));
  }
  const bool type_fits =
      tensor->dtype == DType::f32 || tensor->dtype == DType::bf16 || tensor->dtype == DType::f16;
  if (!type_fits || tensor->shape != spec.shape) {
    return error("{}: tensor {} is {} of shape {}; config.json asks for {}", tensor->file,
                 in_quotes(spec.name), header_name(tensor->dtype), shape_text(tensor->shape),
                 described(spec));
  }
  return tensor;
}

}  // namespace

Result<ModelWeights> ModelWeights::from_folder(const std::filesystem::path& folder,
                                               const ModelConfig& config) {
  TIDAR_TRY(TensorFolder files, TensorFolder::open(folder));
  auto impl = std::make_unique<Impl>(config);
  std::set<std::string_view> used;
  for (size_t row = 0; row < impl->table.size(); ++row) {
    TIDAR_TRY(const StoredTensor* tensor, find_checked(files, impl->table[row], folder.string()));
    if (const auto at = first_not_finite(*tensor)) {
      return error(
          "{}: tensor {}: element {} is not a finite number; the file is broken, or its "
          "training was",
          tensor->file, in_quotes(tensor->name), *at);
    }
    files.release(*tensor);
    impl->tensors[row] = *tensor;
    used.insert(impl->table[row].name);
  }
  for (const std::string& name : files.names()) {
    if (used.contains(name) || is_spare(name, config)) continue;
    return error("{}: tensor {} is not part of {} with {} layers, which config.json describes",
                 files.find(name)->file, in_quotes(name), config.architecture, config.layers);
  }
  impl->folder = std::move(files);
  return ModelWeights(std::move(impl));
}

ModelWeights ModelWeights::random(const ModelConfig& config, DType dtype, uint64_t seed) {
  TIDAR_CHECK(dtype == DType::f32 || dtype == DType::bf16);
  auto impl = std::make_unique<Impl>(config);
  for (size_t row = 0; row < impl->table.size(); ++row) {
    const WeightSpec& spec = impl->table[row];
    impl->tensors[row] = {
        .name = spec.name, .dtype = dtype, .shape = spec.shape, .data = {}, .file = "random"};
  }
  impl->memory.resize(impl->table.size());
  impl->random.emplace(seed);
  return ModelWeights(std::move(impl));
}

ModelWeights ModelWeights::of_memory(const ModelConfig& config, std::vector<StoredTensor> tensors) {
  auto impl = std::make_unique<Impl>(config);
  TIDAR_CHECK_EQ(tensors.size(), impl->table.size());
  for (size_t row = 0; row < tensors.size(); ++row) {
    TIDAR_CHECK(tensors[row].shape == impl->table[row].shape);
  }
  impl->tensors = std::move(tensors);
  return ModelWeights(std::move(impl));
}

const StoredTensor& ModelWeights::get(WeightRole role, int layer) const {
  const auto found = impl_->row_of.find({role, layer});
  TIDAR_CHECK(found != impl_->row_of.end());
  const size_t row = found->second;
  StoredTensor& tensor = impl_->tensors[row];
  if (!impl_->random) return tensor;
  const std::lock_guard lock(impl_->mutex);
  if (tensor.data.empty()) {
    size_t bytes = tidar::size_of(tensor.dtype);
    for (const int64_t dimension : tensor.shape) bytes *= static_cast<size_t>(dimension);
    impl_->memory[row] = Buffer(bytes);
    impl_->random->fill(impl_->table[row], row, tensor.dtype, impl_->memory[row].data());
    tensor.data = {impl_->memory[row].data(), bytes};
  }
  return tensor;
}

DType ModelWeights::matrix_dtype() const {
  const bool all_bf16 =
      std::all_of(impl_->tensors.begin(), impl_->tensors.end(), [](const StoredTensor& tensor) {
        return tensor.shape.size() < 2 || tensor.dtype == DType::bf16;
      });
  return all_bf16 ? DType::bf16 : DType::f32;
}

void ModelWeights::release(const StoredTensor& tensor) const {
  const auto row = static_cast<size_t>(&tensor - impl_->tensors.data());
  TIDAR_CHECK_LT(row, impl_->tensors.size());
  if (impl_->folder) return impl_->folder->release(tensor);
  if (!impl_->random) return;
  const std::lock_guard lock(impl_->mutex);
  impl_->memory[row] = Buffer();
  impl_->tensors[row].data = {};
}

}  // namespace tidar
