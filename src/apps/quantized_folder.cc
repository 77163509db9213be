#include "apps/quantized_folder.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/buffer.h"
#include "format/files.h"
#include "format/gguf.h"
#include "format/group_codes.h"
#include "format/tensors.h"
#include "model/quantization.h"
#include "net/host_weight.h"
#include "ops/group_codes.h"
#include "text/gguf_tokenizer.h"

namespace tidar {
namespace {

namespace fs = std::filesystem;

// Files and kernels count alike.
static_assert(kCodesOfScale == kGroup);

/// "model.layers.0.mlp.up_proj"
std::string module_of(const WeightSpec& spec) { return spec.name.substr(0, spec.name.rfind('.')); }

int64_t rows_of(const WeightSpec& spec) { return spec.shape.size() == 2 ? spec.shape[0] : 1; }

// --- config.json ---------------------------------------------------------------------------------

OrderedJson quantization_config(const std::vector<TensorPlan>& plan) {
  std::vector<PackedMatrices> groups;
  std::vector<std::string> plain;
  for (const TensorPlan& tensor : plan) {
    const auto role = packed_role(tensor.spec.role);
    if (!role || *role == PackedRole::embedding) continue;  // no linear layer
    const std::string module = module_of(tensor.spec);
    if (!tensor.as_codes) {
      plain.push_back(module);
      continue;
    }
    const int bits = facts_of(tensor.format).element_bits;
    const auto found = std::find_if(groups.begin(), groups.end(), [&](const PackedMatrices& group) {
      return group.bits == bits;
    });
    PackedMatrices& group =
        found != groups.end() ? *found : groups.emplace_back(PackedMatrices{bits, {}});
    group.names.push_back(module);
  }
  return packed_config(groups, plain);
}

Result<void> write_config(const QuantizedFolderJob& job, const std::vector<TensorPlan>& plan,
                          const fs::path& folder) {
  std::string text = to_json(job.config);
  if (!is_gguf_path(job.model)) {
    TIDAR_TRY(text, read_text_file(job.model / "config.json"));
  }
  OrderedJson config = OrderedJson::parse(text);  // it was read before: it is an object
  config["quantization_config"] = quantization_config(plan);
  return write_text_file(folder / "config.json", config.dump(2) + "\n");
}

// --- What stands beside --------------------------------------------------------------------------

/// Other copies of the weights.
bool holds_weights(const fs::path& path) {
  constexpr std::array<std::string_view, 9> kEnds = {
      ".safetensors", ".gguf", ".bin", ".pt", ".pth", ".h5", ".msgpack", ".onnx", ".index.json"};
  const std::string name = path.filename().string();
  return std::any_of(kEnds.begin(), kEnds.end(),
                     [&](std::string_view end) { return name.ends_with(end); });
}

Result<void> copy_neighbours(const fs::path& model, const fs::path& folder,
                             WrittenFolder& written) {
  std::vector<fs::path> entries;
  for (const auto& entry : fs::directory_iterator(model)) entries.push_back(entry.path());
  std::sort(entries.begin(), entries.end());
  for (const fs::path& path : entries) {
    const std::string name = path.filename().string();
    if (name == "config.json") continue;
    if (!fs::is_regular_file(path) || holds_weights(path)) {
      const bool replaced = name == "model.safetensors" || name == "model.safetensors.index.json";
      if (!replaced) written.left_out.push_back(fs::is_directory(path) ? name + "/" : name);
      continue;
    }
    TIDAR_TRY_VOID(write_copy(path, folder / name));
    written.copied.push_back(name);
  }
  return {};
}

/// The adapter that config.json names stays beside the weights, as it is.
Result<void> copy_adapter(const fs::path& model, const std::string& name, const fs::path& folder,
                          WrittenFolder& written) {
  if (name.empty()) return {};
  fs::create_directory(folder / name);
  for (const auto& entry : fs::directory_iterator(model / name)) {
    if (!entry.is_regular_file()) continue;
    TIDAR_TRY_VOID(write_copy(entry.path(), folder / name / entry.path().filename()));
  }
  std::erase(written.left_out, name + "/");
  written.copied.push_back(name + "/");
  return {};
}

Result<void> write_tokenizer(const fs::path& model, const fs::path& folder,
                             WrittenFolder& written) {
  TIDAR_TRY(const GgufFile file, GgufFile::open(model));
  if (!has_tokenizer(file.content())) return {};
  TIDAR_TRY(const std::string tokenizer, tokenizer_json_of(file.content()));
  TIDAR_TRY_VOID(write_text_file(folder / "tokenizer.json", tokenizer));
  TIDAR_TRY(const Json config, tokenizer_config_of(file.content()));
  TIDAR_TRY_VOID(write_text_file(folder / "tokenizer_config.json", config.dump(2) + "\n"));
  written.copied = {"tokenizer.json", "tokenizer_config.json"};
  return {};
}

// --- Weights -------------------------------------------------------------------------------------

/// The type of a tensor that is written as numbers.
DType plain_type(const ModelWeights& weights, const WeightSpec& spec) {
  return weights.look_at(spec.role, spec.layer).dtype;
}

std::vector<TensorToWrite> tensors_of(const ModelWeights& weights,
                                      const std::vector<TensorPlan>& plan) {
  std::vector<TensorToWrite> tensors;
  for (const auto& [spec, format, as_codes] : plan) {
    if (as_codes) {
      const auto parts = packed_tensors(module_of(spec), spec.shape[0], spec.shape[1],
                                        facts_of(format).element_bits);
      tensors.insert(tensors.end(), parts.begin(), parts.end());
    } else {
      tensors.push_back({spec.name, plain_type(weights, spec), spec.shape, {}});
    }
  }
  return tensors;
}

/// The codes of a row behind each other: 8 bits each, or 4, the earlier one in the lower half.
void put_codes(const HostMatrix& matrix, WeightFormat format, int64_t row, std::byte* codes,
               std::byte* scales) {
  const WeightRow groups(format, matrix, row);
  const bool halves = facts_of(format).element_bits == 4;
  for (int64_t g = 0; g < groups_of(matrix.cols); ++g) {
    const WeightGroup group = groups.group(g);
    for (size_t i = 0; i < kGroup; i += halves ? 2 : 1) {
      const int byte = halves ? group.codes[i] | group.codes[i + 1] << 4 : group.codes[i];
      *codes++ = static_cast<std::byte>(byte);
    }
    std::memcpy(scales + g * static_cast<int64_t>(sizeof(Half)), &group.scale, sizeof(Half));
  }
}

Result<void> write_codes(const QuantizedFolderJob& job, const TensorPlan& tensor,
                         TensorFileWriter& file) {
  const WeightSpec& spec = tensor.spec;
  const WeightFormatFacts& facts = facts_of(tensor.format);
  const HostWeight weight(job.weights, spec.role, spec.layer, tensor.format);
  const HostMatrix& matrix = weight.matrix();
  const Buffer codes(static_cast<size_t>(facts.element_bytes(matrix.rows, matrix.cols)));
  const Buffer scales(static_cast<size_t>(facts.scale_bytes(matrix.rows, matrix.cols)));
  job.threads.split(matrix.rows, 1, [&](Range range, int) {
    for (int64_t row = range.begin; row < range.end; ++row) {
      put_codes(matrix, tensor.format, row,
                codes.data() + row * facts.element_bytes(1, matrix.cols),
                scales.data() + row * facts.scale_bytes(1, matrix.cols));
    }
  });
  const auto parts = packed_tensors(module_of(spec), matrix.rows, matrix.cols, facts.element_bits);
  const std::array<int64_t, 2> shape = {matrix.rows, matrix.cols};
  TIDAR_TRY_VOID(file.write(parts[0].name, 0, {codes.data(), codes.bytes()}));
  TIDAR_TRY_VOID(file.write(parts[1].name, 0, {scales.data(), scales.bytes()}));
  return file.write(parts[2].name, 0, std::as_bytes(std::span(shape)));
}

Result<void> write_numbers(const ModelWeights& weights, const WeightSpec& spec,
                           TensorFileWriter& file) {
  if (weights.form(spec.role, spec.layer) == StoredForm::numbers) {
    const StoredTensor& tensor = weights.get(spec.role, spec.layer);
    TIDAR_TRY_VOID(file.write(spec.name, 0, tensor.data));
    weights.release(tensor);
    return {};
  }
  const StoredTensor& tensor = weights.look_at(spec.role, spec.layer);
  std::vector<float> row(static_cast<size_t>(spec.shape.back()));
  const auto bytes = std::as_bytes(std::span(row));
  for (int64_t r = 0; r < rows_of(spec); ++r) {
    weights.make_row(tensor, r, row);
    TIDAR_TRY_VOID(file.write(spec.name, static_cast<size_t>(r) * bytes.size(), bytes));
  }
  weights.release(tensor);
  return {};
}

}  // namespace

std::vector<TensorPlan> plan_quantized(const ModelConfig& config, const WeightFormats& formats) {
  std::vector<TensorPlan> plan;
  for (WeightSpec& spec : weight_table(config)) {
    TensorPlan tensor;
    if (const auto role = packed_role(spec.role)) {
      tensor.format = formats.of({*role, spec.layer});
      tensor.as_codes = *role != PackedRole::embedding && *role != PackedRole::head &&
                        facts_of(tensor.format).group > 0 && spec.shape[1] % kGroup == 0;
    }
    tensor.spec = std::move(spec);
    plan.push_back(std::move(tensor));
  }
  return plan;
}

Result<WrittenFolder> write_quantized_folder(const QuantizedFolderJob& job,
                                             const std::vector<TensorPlan>& plan) {
  WrittenFolder written;
  TIDAR_TRY(FolderWriter writer, FolderWriter::create(job.out));
  const fs::path folder = writer.folder();
  TIDAR_TRY_VOID(write_config(job, plan, folder));
  TIDAR_TRY_VOID(is_gguf_path(job.model) ? write_tokenizer(job.model, folder, written)
                                         : copy_neighbours(job.model, folder, written));
  TIDAR_TRY_VOID(copy_adapter(job.model, job.config.adapter, folder, written));
  const std::vector<TensorToWrite> tensors = tensors_of(job.weights, plan);
  TIDAR_TRY(TensorFileWriter file, TensorFileWriter::create(folder / "model.safetensors", tensors));
  for (size_t i = 0; i < plan.size(); ++i) {
    if (!job.proceed(i, plan.size(), plan[i].spec.name)) return written;
    TIDAR_TRY_VOID(plan[i].as_codes ? write_codes(job, plan[i], file)
                                    : write_numbers(job.weights, plan[i].spec, file));
  }
  TIDAR_TRY_VOID(file.commit());
  written.weight_bytes = static_cast<int64_t>(fs::file_size(folder / "model.safetensors"));
  TIDAR_TRY_VOID(writer.commit());
  written.finished = true;
  return written;
}

}  // namespace tidar
