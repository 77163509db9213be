#include <set>
#include <string>
#include <utility>
#include <vector>

#include "format/files.h"
#include "format/json.h"
#include "format/tensor_header.h"
#include "model/quantization.h"
#include "model/weight_source.h"

namespace tidar {
namespace {

// Tensors that real checkpoints hold beside what the network needs.
bool is_spare(const std::string& name, const ModelConfig& config) {
  return name.ends_with("rotary_emb.inv_freq") ||
         (name == "lm_head.weight" && config.head == HeadWeight::tied);
}

std::string described(const WeightSpec& spec) {
  return fmt::format("F32, BF16 or F16 of shape {}", shape_text(spec.shape));
}

/// Whether there is one, and its elements are numbers by themselves.
bool is_plain(const StoredTensor* tensor) {
  return tensor != nullptr && (tensor->dtype == DType::f32 || tensor->dtype == DType::bf16 ||
                               tensor->dtype == DType::f16);
}

// The stored tensor of a row of the table, checked against it.
Result<const StoredTensor*> find_checked(const TensorFolder& folder, const WeightSpec& spec,
                                         const std::string& where) {
  const StoredTensor* tensor = folder.find(spec.name);
  if (tensor == nullptr) {
    return error("{}: tensor {} is missing; config.json asks for {}", where, in_quotes(spec.name),
                 described(spec));
  }
  if (!is_plain(tensor) || tensor->shape != spec.shape) {
    return error("{}: tensor {} is {} of shape {}; config.json asks for {}", tensor->file,
                 in_quotes(spec.name), header_name(tensor->dtype), shape_text(tensor->shape),
                 described(spec));
  }
  if (const auto at = first_not_finite(*tensor)) {
    return error(
        "{}: tensor {}: element {} is not a finite number; the file is broken, or its "
        "training was",
        tensor->file, in_quotes(tensor->name), *at);
  }
  release_pages(tensor->data);
  return tensor;
}

/// "quantization_config" of the folder's config.json, if there is one.
Result<std::vector<Quantization>> quantizations_of(const std::filesystem::path& folder) {
  const auto path = folder / "config.json";
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return std::vector<Quantization>();
  TIDAR_TRY(const std::string text, read_text_file(path));
  TIDAR_TRY(const Json json, parse_json_object(text, path.string()));
  return read_quantizations(JsonFields(json, path.string()));
}

/// Plain tensors are views of mapped files, quantised ones are decoded to f32.
class FolderSource final : public WeightSource {
 public:
  FolderSource(TensorFolder folder, std::vector<Quantization> quantizations)
      : folder_(std::move(folder)), quantizations_(std::move(quantizations)) {}

  Result<void> check(const ModelConfig& config, const std::string& where) {
    std::set<std::string> used;
    for (const WeightSpec& spec : weight_table(config)) {
      TIDAR_TRY(Weight weight, find(spec, where, used));
      weights_.push_back(std::move(weight));
      used.insert(spec.name);
    }
    for (const std::string& name : folder_.names()) {
      if (used.contains(name) || is_spare(name, config)) continue;
      return error("{}: tensor {} is not part of {} with {} layers, which config.json describes",
                   folder_.find(name)->file, in_quotes(name), config.architecture, config.layers);
    }
    return {};
  }

  StoredTensor tensor(size_t row) const override {
    const Weight& weight = weights_[row];
    if (weight.plain != nullptr) return *weight.plain;
    return {.name = weight.name,
            .dtype = DType::f32,
            .shape = {weight.quantized.rows, weight.quantized.cols},
            .data = {},
            .file = weight.quantized.scales.values->file};
  }

  void make(size_t row, int64_t first, int64_t count, std::byte* out) const override {
    const QuantizedMatrix& matrix = weights_[row].quantized;
    auto* const numbers = reinterpret_cast<float*>(out);
    const auto cols = static_cast<size_t>(matrix.cols);
    for (int64_t r = 0; r < count; ++r) {
      matrix.decode_row(first + r, {numbers + static_cast<size_t>(r) * cols, cols});
    }
  }

  void release(size_t row) const override {
    const StoredTensor* plain = weights_[row].plain;
    const QuantizedMatrix& matrix = weights_[row].quantized;
    if (plain != nullptr) return release_pages(plain->data);
    release_pages((matrix.codes ? matrix.codes->words : matrix.bytes)->data);
    release_pages(matrix.scales.values->data);
  }
  StoredForm form(size_t row) const override { return weights_[row].form; }
  void read_codes(size_t row, int64_t of_matrix, const GroupCodes& out) const override {
    weights_[row].quantized.read_codes(of_matrix, out);
  }
  std::string_view stored_as(size_t row) const override {
    const StoredTensor* plain = weights_[row].plain;
    return plain != nullptr ? header_name(plain->dtype) : weights_[row].scheme;
  }

 private:
  struct Weight {
    std::string name;
    const StoredTensor* plain = nullptr;  ///< or
    QuantizedMatrix quantized{};
    std::string_view scheme;  ///< its name
    StoredForm form = StoredForm::numbers;
  };

  Result<Weight> find(const WeightSpec& spec, const std::string& where,
                      std::set<std::string>& used) const {
    Weight weight;
    weight.name = spec.name;
    const bool may_be = !quantizations_.empty() && spec.shape.size() == 2;
    if (may_be && !is_plain(folder_.find(spec.name))) {
      TIDAR_TRY(const FoundMatrix found, find_quantized(folder_, quantizations_, spec.name,
                                                        spec.shape[0], spec.shape[1], used));
      weight.quantized = found.matrix;
      weight.scheme = found.scheme;
      const int bits = weight.quantized.even_codes();
      weight.form = bits == 8   ? StoredForm::codes8
                    : bits == 4 ? StoredForm::codes4
                                : StoredForm::other_codes;
    } else {
      TIDAR_TRY(weight.plain, find_checked(folder_, spec, where));
    }
    return weight;
  }

  TensorFolder folder_;
  std::vector<Quantization> quantizations_;
  std::vector<Weight> weights_;  // by row
};

}  // namespace

Result<std::unique_ptr<WeightSource>> folder_source(const std::filesystem::path& folder,
                                                    const ModelConfig& config) {
  TIDAR_TRY(TensorFolder files, TensorFolder::open(folder));
  TIDAR_TRY(auto quantizations, quantizations_of(folder));
  auto source = std::make_unique<FolderSource>(std::move(files), std::move(quantizations));
  TIDAR_TRY_VOID(source->check(config, folder.string()));
  return std::unique_ptr<WeightSource>(std::move(source));
}

}  // namespace tidar
