#include <array>
#include <set>
#include <string>
#include <utility>

#include "format/files.h"
#include "format/gguf.h"
#include "format/tensor_header.h"
#include "model/weight_source.h"

namespace tidar {
namespace {

/// By WeightRole; in a layer: what follows "blk.<i>.".
constexpr std::array<std::string_view, 17> kNames = {
    "token_embd.weight",  "attn_norm.weight",   "attn_q.weight",      "attn_k.weight",
    "attn_v.weight",      "attn_q.bias",        "attn_k.bias",        "attn_v.bias",
    "attn_q_norm.weight", "attn_k_norm.weight", "attn_output.weight", "ffn_norm.weight",
    "ffn_gate.weight",    "ffn_up.weight",      "ffn_down.weight",    "output_norm.weight",
    "output.weight",
};

std::string name_of(const WeightSpec& spec) {
  const std::string_view name = kNames[static_cast<size_t>(spec.role)];
  return spec.layer < 0 ? std::string(name) : fmt::format("blk.{}.{}", spec.layer, name);
}

/// In which order a file has the rows of a tensor.
enum class RowOrder : uint8_t {
  as_used,
  /// Element i and i + E/2 of a head, which one angle rotates, stand side by side.
  paired,
};

/// Files of the architecture "llama" have the rows of queries and keys in pairs.
RowOrder order_of(const WeightSpec& spec, const ModelConfig& config) {
  const bool rotated = spec.role == WeightRole::query || spec.role == WeightRole::key;
  return config.family == Family::llama && rotated ? RowOrder::paired : RowOrder::as_used;
}

Result<const GgufTensor*> find_checked(const Gguf& file, const WeightSpec& spec) {
  const std::string name = name_of(spec);
  const GgufTensor* tensor = file.find(name);
  if (tensor == nullptr) {
    return error("{}: tensor {} of shape {} is missing", file.where(), in_quotes(name),
                 shape_text(spec.shape));
  }
  if (tensor->shape != spec.shape) {
    return error("{}: tensor {} has the shape {}; the file's entries ask for {}", file.where(),
                 in_quotes(name), shape_text(tensor->shape), shape_text(spec.shape));
  }
  if (const auto at = first_not_finite(tensor->format, tensor->data)) {
    return error("{}: tensor {}: element {} is not a finite number; the file is broken",
                 file.where(), in_quotes(name), *at);
  }
  release_pages(tensor->data);
  return tensor;
}

/// Plain numbers are views of the mapped file, unless their rows must be put into order; blocks are
/// decoded to f32.
class GgufSource final : public WeightSource {
 public:
  explicit GgufSource(GgufFile file) : file_(std::move(file)) {}

  Result<void> check(const ModelConfig& config) {
    const Gguf& content = file_.content();
    std::set<std::string> used = {"rope_freqs.weight"};  // part of the config
    for (const WeightSpec& spec : weight_table(config)) {
      TIDAR_TRY(const GgufTensor* tensor, find_checked(content, spec));
      weights_.push_back({tensor, order_of(spec, config)});
      used.insert(tensor->name);
    }
    head_size_ = config.head_size;
    for (const GgufTensor& tensor : content.tensors()) {
      if (used.contains(tensor.name)) continue;
      return error("{}: tensor {} is not part of {} with {} layers, which the file describes",
                   content.where(), in_quotes(tensor.name), config.architecture, config.layers);
    }
    return {};
  }

  StoredTensor tensor(size_t row) const override {
    const auto& [stored, order] = weights_[row];
    const auto plain = facts_of(stored->format).plain;
    StoredTensor tensor{.name = stored->name,
                        .dtype = plain.value_or(DType::f32),
                        .shape = stored->shape,
                        .data = {},
                        .file = file_.content().where()};
    if (plain && order == RowOrder::as_used) tensor.data = stored->data;
    return tensor;
  }

  void make(size_t row, int64_t first, int64_t count, std::byte* out) const override {
    const GgufTensor& stored = *weights_[row].tensor;
    const auto cols = static_cast<size_t>(stored.shape.back());
    const auto plain = facts_of(stored.format).plain;
    const size_t out_bytes = cols * size_of(plain.value_or(DType::f32));
    for (int64_t r = 0; r < count; ++r) {
      const auto bytes = row_bytes(row, first + r);
      std::byte* const to = out + static_cast<size_t>(r) * out_bytes;
      if (plain) {
        std::copy(bytes.begin(), bytes.end(), to);
      } else {
        decode_blocks(stored.format, bytes, {reinterpret_cast<float*>(to), cols});
      }
    }
  }
  StoredForm form(size_t row) const override {
    const GgufTensor& stored = *weights_[row].tensor;
    const BlockFormatFacts& facts = facts_of(stored.format);
    // Vectors become f32, whatever they are stored as.
    if (facts.plain || stored.shape.size() == 1) return StoredForm::numbers;
    if (facts.even_codes == 8) return StoredForm::codes8;
    return facts.even_codes == 4 ? StoredForm::codes4 : StoredForm::other_codes;
  }
  void read_codes(size_t row, int64_t of_matrix, const GroupCodes& out) const override {
    read_group_codes(weights_[row].tensor->format, row_bytes(row, of_matrix), out);
  }

  void release(size_t row) const override { release_pages(weights_[row].tensor->data); }
  std::string_view stored_as(size_t row) const override {
    return facts_of(weights_[row].tensor->format).name;
  }

 private:
  struct Weight {
    const GgufTensor* tensor;
    RowOrder order;
  };

  /// What the file has for row r of a tensor.
  std::span<const std::byte> row_bytes(size_t row, int64_t r) const {
    const auto& [stored, order] = weights_[row];
    const auto rows = static_cast<size_t>(stored->shape.size() == 1 ? 1 : stored->shape[0]);
    const size_t bytes = stored->data.size() / rows;
    return stored->data.subspan(stored_row(static_cast<size_t>(r), order) * bytes, bytes);
  }

  /// Where the file has row r.
  size_t stored_row(size_t r, RowOrder order) const {
    if (order == RowOrder::as_used) return r;
    const auto size = static_cast<size_t>(head_size_), half = size / 2;
    const size_t begin = r / size * size, at = r % size;
    return begin + at % half * 2 + at / half;
  }

  GgufFile file_;
  std::vector<Weight> weights_;  // by row
  int head_size_ = 0;
};

}  // namespace

Result<std::unique_ptr<WeightSource>> gguf_source(const std::filesystem::path& path,
                                                  const ModelConfig& config) {
  TIDAR_TRY(GgufFile file, GgufFile::open(path));
  auto source = std::make_unique<GgufSource>(std::move(file));
  TIDAR_TRY_VOID(source->check(config));
  return std::unique_ptr<WeightSource>(std::move(source));
}

}  // namespace tidar
