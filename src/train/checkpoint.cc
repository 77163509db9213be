#include "train/checkpoint.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <map>
#include <system_error>

#include "base/dtype.h"
#include "format/files.h"
#include "format/json.h"
#include "format/tensors.h"

namespace tidar {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "step-";
constexpr std::array kTokenizerFiles = {"tokenizer.json", "tokenizer_config.json",
                                        "special_tokens_map.json", "generation_config.json",
                                        "chat_template.jinja"};

std::span<const std::byte> bytes_of(const Matrix& matrix) {
  return {matrix.data, static_cast<size_t>(matrix.bytes())};
}

Result<void> write_weights(const fs::path& path, const Parameters& parameters, DType dtype) {
  std::vector<TensorToWrite> tensors;
  std::vector<std::vector<BFloat16>> rounded;
  for (const Parameter& parameter : parameters.all()) {
    TensorToWrite tensor = {parameter.spec.name, dtype, parameter.spec.shape,
                            bytes_of(parameter.value)};
    if (dtype == DType::bf16) {
      const float* const values = parameter.value.row<float>(0);
      const int64_t count = parameter.value.rows * parameter.value.cols;
      rounded.emplace_back(values, values + count);
      tensor.data = std::as_bytes(std::span(rounded.back()));
    }
    tensors.push_back(std::move(tensor));
  }
  return write_tensors(path, tensors);
}

/// The tensors of optimizer.safetensors, in a fixed order.
std::vector<TensorToWrite> training_tensors(const Parameters& parameters, const AdamW& optimizer) {
  std::vector<TensorToWrite> tensors;
  for (size_t i = 0; i < parameters.all().size(); ++i) {
    const Parameter& parameter = parameters.all()[i];
    const AdamW::Moments& moments = optimizer.moments()[i];
    const auto add = [&](std::string_view kind, const Matrix& values) {
      tensors.push_back({fmt::format("{}.{}", kind, parameter.spec.name), DType::f32,
                         parameter.spec.shape, bytes_of(values)});
    };
    add("master", parameter.value);
    add("first", moments.first);
    add("second", moments.second);
  }
  return tensors;
}

std::string to_json(const TrainingState& state, const std::string& run) {
  const StreamPosition& at = state.position;
  const Json json = {{"step", state.step},
                     {"tokens", state.tokens},
                     {"updates", state.updates},
                     // Text, as JSON readers that know doubles only would round it.
                     {"corpus", fmt::format("{:016x}", at.corpus)},
                     {"epoch", at.epoch},
                     {"window", at.window},
                     {"pack", at.pack},
                     {"spikes_left_out", state.spikes.left_out},
                     {"recent_losses", state.spikes.losses},
                     {"recent_norms", state.spikes.norms},
                     {"run", run}};
  return json.dump(1) + "\n";
}

Result<std::vector<double>> numbers(const Json& json, const char* key, const fs::path& path) {
  std::vector<double> values;
  if (json.contains(key) && json[key].is_array()) {
    for (const Json& value : json[key]) {
      if (value.is_number()) values.push_back(value.get<double>());
    }
    if (values.size() == json[key].size()) return values;
  }
  return error("{}: field '{}' is not a list of numbers", path.string(), key);
}

Result<RestoredRun> read_state(const fs::path& path) {
  TIDAR_TRY(const std::string text, read_text_file(path));
  TIDAR_TRY(const Json json, parse_json_object(text, path.string()));
  const JsonFields fields(json, path.string());
  RestoredRun restored;
  TrainingState& state = restored.state;
  TIDAR_TRY(state.step, fields.count("step", 0));
  TIDAR_TRY(state.tokens, fields.count("tokens", 0));
  TIDAR_TRY(state.updates, fields.count("updates", 0));
  TIDAR_TRY(const std::string corpus, fields.text("corpus"));
  const auto [end, code] =
      std::from_chars(corpus.data(), corpus.data() + corpus.size(), state.position.corpus, 16);
  if (code != std::errc{} || end != corpus.data() + corpus.size()) {
    return fields.wrong("corpus", "a hexadecimal number");
  }
  TIDAR_TRY(state.position.epoch, fields.count("epoch", 0));
  TIDAR_TRY(state.position.window, fields.count("window", 0));
  TIDAR_TRY(state.position.pack, fields.count("pack", 0));
  TIDAR_TRY(state.spikes.left_out, fields.integer("spikes_left_out", {0, 1 << 20}));
  TIDAR_TRY(state.spikes.losses, numbers(json, "recent_losses", path));
  TIDAR_TRY(state.spikes.norms, numbers(json, "recent_norms", path));
  TIDAR_TRY(restored.run, fields.text("run"));
  return restored;
}

Result<void> copy_tokenizer(const fs::path& from, const fs::path& to) {
  if (from.empty()) return {};
  for (const char* name : kTokenizerFiles) {
    std::error_code ignored;
    if (!fs::exists(from / name, ignored)) continue;
    TIDAR_TRY(const std::string text, read_text_file(from / name));
    TIDAR_TRY_VOID(write_text_file(to / name, text));
  }
  return {};
}

// A link is renamed over another in one step.
Result<void> point_latest(const fs::path& out, const fs::path& name) {
  const fs::path fresh = out / "latest.partial";
  std::error_code failure;
  fs::remove(fresh, failure);
  fs::create_symlink(name, fresh, failure);
  if (!failure) fs::rename(fresh, out / "latest", failure);
  if (failure) {
    return error("{}: cannot be made to point to {}: {}", (out / "latest").string(), name.string(),
                 failure.message());
  }
  return {};
}

}  // namespace

std::vector<Checkpoint> checkpoints_of(const fs::path& out) {
  std::vector<Checkpoint> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(out, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix) || entry.is_symlink(ignored)) continue;
    int64_t step = 0;
    const char* const end = name.data() + name.size();
    const auto [stop, code] = std::from_chars(name.data() + kPrefix.size(), end, step);
    if (code == std::errc{} && stop == end) found.push_back({step, entry.path()});
  }
  std::sort(found.begin(), found.end(),
            [](const Checkpoint& a, const Checkpoint& b) { return a.step < b.step; });
  return found;
}

Result<Checkpoint> save_checkpoint(const fs::path& out, const CheckpointContents& contents,
                                   int keep) {
  const int64_t step = contents.state.step;
  const Checkpoint saved = {step, out / fmt::format("{}{:08}", kPrefix, step)};
  std::error_code ignored;
  if (fs::exists(saved.folder, ignored)) return saved;
  TIDAR_TRY(FolderWriter writer, FolderWriter::create(saved.folder));
  const fs::path folder = writer.folder();
  TIDAR_TRY_VOID(write_text_file(folder / "config.json", to_json(contents.config)));
  TIDAR_TRY_VOID(copy_tokenizer(contents.tokenizer, folder));
  TIDAR_TRY_VOID(
      write_weights(folder / "model.safetensors", contents.parameters, contents.weights));
  const auto tensors = training_tensors(contents.parameters, contents.optimizer);
  TIDAR_TRY_VOID(write_tensors(folder / "optimizer.safetensors", tensors));
  TIDAR_TRY_VOID(write_text_file(folder / "training.json", to_json(contents.state, contents.run)));
  TIDAR_TRY_VOID(writer.commit());
  TIDAR_TRY_VOID(point_latest(out, saved.folder.filename()));
  std::vector<Checkpoint> all = checkpoints_of(out);
  for (size_t i = 0; i + static_cast<size_t>(keep) < all.size(); ++i) {
    if (all[i].step != step) fs::remove_all(all[i].folder, ignored);
  }
  return saved;
}

Result<RestoredRun> restore_checkpoint(const Checkpoint& checkpoint, Parameters& parameters,
                                       const AdamW& optimizer) {
  const fs::path path = checkpoint.folder / "optimizer.safetensors";
  TIDAR_TRY(RestoredRun restored, read_state(checkpoint.folder / "training.json"));
  TIDAR_TRY(const TensorFile file, TensorFile::open(path));
  std::map<std::string_view, const StoredTensor*> stored;
  for (const StoredTensor& tensor : file.tensors()) stored.emplace(tensor.name, &tensor);
  for (const TensorToWrite& tensor : training_tensors(parameters, optimizer)) {
    const auto found = stored.find(tensor.name);
    if (found == stored.end() || found->second->dtype != DType::f32 ||
        found->second->shape != tensor.shape) {
      return error("{}: tensor {} is missing or of another shape; it belongs to another model",
                   path.string(), in_quotes(tensor.name));
    }
    // The views are of the memory that is to be restored.
    std::memcpy(const_cast<std::byte*>(tensor.data.data()), found->second->data.data(),
                tensor.data.size());
  }
  return restored;
}

}  // namespace tidar
