#include "apps/folder_parts.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "format/files.h"
#include "format/gguf.h"
#include "format/json.h"
#include "text/gguf_tokenizer.h"

namespace tidar {
namespace {

namespace fs = std::filesystem;

/// Other copies of the weights.
bool holds_weights(const fs::path& path) {
  constexpr std::array<std::string_view, 9> kEnds = {
      ".safetensors", ".gguf", ".bin", ".pt", ".pth", ".h5", ".msgpack", ".onnx", ".index.json"};
  const std::string name = path.filename().string();
  return std::any_of(kEnds.begin(), kEnds.end(),
                     [&](std::string_view end) { return name.ends_with(end); });
}

Result<Neighbours> copy_neighbours(const fs::path& model, const fs::path& folder) {
  Neighbours neighbours;
  std::vector<fs::path> entries;
  for (const auto& entry : fs::directory_iterator(model)) entries.push_back(entry.path());
  std::sort(entries.begin(), entries.end());
  for (const fs::path& path : entries) {
    const std::string name = path.filename().string();
    if (name == "config.json") continue;
    if (!fs::is_regular_file(path) || holds_weights(path)) {
      const bool replaced = name == "model.safetensors" || name == "model.safetensors.index.json";
      if (!replaced) neighbours.left_out.push_back(fs::is_directory(path) ? name + "/" : name);
      continue;
    }
    TIDAR_TRY_VOID(write_copy(path, folder / name));
    neighbours.copied.push_back(name);
  }
  return neighbours;
}

Result<Neighbours> write_tokenizer(const fs::path& model, const fs::path& folder) {
  TIDAR_TRY(const GgufFile file, GgufFile::open(model));
  if (!has_tokenizer(file.content())) return Neighbours();
  TIDAR_TRY(const std::string tokenizer, tokenizer_json_of(file.content()));
  TIDAR_TRY_VOID(write_text_file(folder / "tokenizer.json", tokenizer));
  TIDAR_TRY(const Json config, tokenizer_config_of(file.content()));
  TIDAR_TRY_VOID(write_text_file(folder / "tokenizer_config.json", config.dump(2) + "\n"));
  return Neighbours{.copied = {"tokenizer.json", "tokenizer_config.json"}, .left_out = {}};
}

}  // namespace

Result<Neighbours> write_neighbours(const fs::path& model, const fs::path& folder) {
  return is_gguf_path(model) ? write_tokenizer(model, folder) : copy_neighbours(model, folder);
}

Result<std::string> config_json_of(const fs::path& model, const ModelConfig& config) {
  if (is_gguf_path(model)) return to_json(config);
  return read_text_file(model / "config.json");
}

TensorToWrite as_numbers(const ModelWeights& weights, const WeightSpec& spec) {
  return {spec.name, weights.look_at(spec.role, spec.layer).dtype, spec.shape, {}};
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
  for (int64_t r = 0; r < spec.shape.front(); ++r) {
    weights.make_row(tensor, r, row);
    TIDAR_TRY_VOID(file.write(spec.name, static_cast<size_t>(r) * bytes.size(), bytes));
  }
  weights.release(tensor);
  return {};
}

}  // namespace tidar
