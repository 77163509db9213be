#include "train/checkpoint.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <list>
#include <map>
#include <optional>
#include <system_error>

#include "base/dtype.h"
#include "format/crc32c.h"
#include "format/files.h"
#include "format/json.h"
#include "format/tensors.h"

namespace tidar {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "step-";
constexpr const char* kOptimizerFile = "optimizer.safetensors";
constexpr const char* kStateFile = "training.json";
constexpr const char* kConfigFile = "config.json";
constexpr const char* kChecksum = "optimizer_crc32c";  // in training.json
constexpr std::array kTokenizerFiles = {"tokenizer.json", "tokenizer_config.json",
                                        "special_tokens_map.json", "generation_config.json",
                                        "chat_template.jinja"};

std::span<std::byte> bytes_of(const Matrix& matrix) {
  return {matrix.data, static_cast<size_t>(matrix.bytes())};
}

/// An Error that names the first value which is NaN or infinite, or became so by rounding.
Result<void> check_finite(const TensorToWrite& tensor) {
  if (tensor.dtype == DType::i8) return {};
  const auto at = first_not_finite({tensor.name, tensor.dtype, tensor.shape, tensor.data, ""});
  if (!at) return {};
  return error(
      "{}: value {} has become NaN or infinite, so that this step is not saved; go on from an "
      "older checkpoint with a lower \"learning_rate\"",
      tensor.name, *at);
}

/// The average of a parameter, or where there is none the parameter.
const Matrix& saved_value(const RunMemory& memory, size_t parameter) {
  const Parameter& own = memory.parameters.all()[parameter];
  const bool averaged = memory.average != nullptr && !own.frozen();
  return averaged ? memory.average->means()[parameter] : own.value;
}

std::span<const float> numbers_of(const Matrix& value) {
  return {value.row<float>(0), static_cast<size_t>(value.rows * value.cols)};
}

/// The saved values of an adapter's parts of a weight: A, then B; empty where it has none.
std::array<std::span<const float>, 2> adapter_parts(const RunMemory& memory,
                                                    const WeightSpec& weight) {
  std::array<std::span<const float>, 2> parts;
  std::string_view stem = weight.name;  // with which the names of its parts begin, too
  if (!stem.ends_with(".weight")) return parts;
  stem.remove_suffix(std::string_view("weight").size());
  for (size_t i = 0; i < memory.parameters.all().size(); ++i) {
    const WeightSpec& spec = memory.parameters.all()[i].spec;
    if (spec.part == WeightPart::whole || !spec.name.starts_with(stem)) continue;
    parts[spec.part == WeightPart::lora_a ? 0 : 1] = numbers_of(saved_value(memory, i));
  }
  return parts;
}

/// The weights without their adapter, or merged with it.
Result<void> write_weights(const fs::path& path, const RunMemory& memory, DType dtype,
                           const AdapterConfig* merged) {
  std::vector<TensorToWrite> tensors;
  std::list<std::vector<float>> sums;
  std::list<std::vector<BFloat16>> rounded;
  for (size_t i = 0; i < memory.parameters.all().size(); ++i) {
    const WeightSpec& spec = memory.parameters.all()[i].spec;
    if (spec.part != WeightPart::whole) continue;
    std::span<const float> values = numbers_of(saved_value(memory, i));
    const auto [a, b] = adapter_parts(memory, spec);
    if (merged != nullptr && !a.empty()) {
      std::vector<float>& sum = sums.emplace_back(values.begin(), values.end());
      const auto cols = static_cast<size_t>(spec.shape[1]);
      for (int64_t n = 0; n < spec.shape[0]; ++n) {
        merge_row(*merged, a, b, n, std::span(sum).subspan(static_cast<size_t>(n) * cols, cols));
      }
      values = sum;
    }
    TensorToWrite tensor = {spec.name, dtype, spec.shape, std::as_bytes(values)};
    if (dtype == DType::bf16) {
      tensor.data = std::as_bytes(std::span(rounded.emplace_back(values.begin(), values.end())));
    }
    TIDAR_TRY_VOID(check_finite(tensor));
    tensors.push_back(std::move(tensor));
  }
  return write_tensors(path, tensors);
}

/// The weight files of a model, as they are.
Result<void> copy_weights(const fs::path& from, const fs::path& to) {
  TIDAR_TRY(const std::vector<std::string> names, weight_files_of(from));
  for (const std::string& name : names) TIDAR_TRY_VOID(write_copy(from / name, to / name));
  return {};
}

Result<void> write_kept_adapter(const fs::path& folder, const RunMemory& memory,
                                const SavedAdapter& adapter) {
  std::vector<TensorToWrite> tensors;
  for (size_t i = 0; i < memory.parameters.all().size(); ++i) {
    const WeightSpec& spec = memory.parameters.all()[i].spec;
    if (spec.part == WeightPart::whole) continue;
    tensors.push_back(
        {spec.name, DType::f32, spec.shape, std::as_bytes(numbers_of(saved_value(memory, i)))});
    TIDAR_TRY_VOID(check_finite(tensors.back()));
  }
  return write_adapter(folder, adapter.config, adapter.base.string(), tensors);
}

/// model.safetensors, and the adapter that is kept beside it.
Result<void> write_model(const fs::path& folder, const CheckpointContents& contents) {
  const auto& adapter = contents.adapter;
  const bool kept = adapter && !adapter->merges;
  if (kept) {
    TIDAR_TRY_VOID(write_kept_adapter(folder / kAdapterFolder, contents.memory, *adapter));
    if (!adapter->base.empty()) return copy_weights(adapter->base, folder);
  }
  return write_weights(folder / "model.safetensors", contents.memory, contents.weights,
                       adapter && !kept ? &adapter->config : nullptr);
}

/// A tensor of optimizer.safetensors, and the memory of the run that it is a copy of.
struct RunTensor {
  std::string name;
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
  std::span<std::byte> bytes;
};

/// All of them, in a fixed order.
std::vector<RunTensor> tensors_of(const RunMemory& memory) {
  std::vector<RunTensor> tensors;
  for (size_t i = 0; i < memory.parameters.all().size(); ++i) {
    const Parameter& parameter = memory.parameters.all()[i];
    const std::vector<int64_t>& shape = parameter.spec.shape;
    const auto add = [&](std::string_view kind, DType dtype, const std::vector<int64_t>& of_shape,
                         std::span<std::byte> bytes) {
      tensors.push_back({fmt::format("{}.{}", kind, parameter.spec.name), dtype, of_shape, bytes});
    };
    add("master", DType::f32, shape, bytes_of(parameter.value));
    if (parameter.frozen()) continue;
    for (const MomentArray& array : memory.moments.arrays(i)) {
      const auto items = static_cast<int64_t>(array.items.size() / size_of(array.dtype));
      add(array.name, array.dtype, array.elements_each == 1 ? shape : std::vector{items},
          array.items);
    }
    if (memory.average != nullptr) {
      add("average", DType::f32, shape, bytes_of(memory.average->means()[i]));
    }
  }
  return tensors;
}

/// Writes optimizer.safetensors. The value is the checksum of the bytes of all its tensors.
Result<uint32_t> write_optimizer(const fs::path& path, const std::vector<RunTensor>& tensors) {
  std::vector<TensorToWrite> to_write;
  uint32_t checksum = 0;
  for (const RunTensor& tensor : tensors) {
    to_write.push_back({tensor.name, tensor.dtype, tensor.shape, tensor.bytes});
    TIDAR_TRY_VOID(check_finite(to_write.back()));
    checksum = crc32c(tensor.bytes, checksum);
  }
  TIDAR_TRY_VOID(write_tensors(path, to_write));
  return checksum;
}

/// What the file has for each of the tensors. An Error unless it has all of them.
Result<std::vector<std::span<const std::byte>>> stored_bytes(const TensorFile& file,
                                                             const std::vector<RunTensor>& tensors,
                                                             const fs::path& path) {
  std::map<std::string_view, const StoredTensor*> stored;
  for (const StoredTensor& tensor : file.tensors()) stored.emplace(tensor.name, &tensor);
  std::vector<std::span<const std::byte>> found;
  for (const RunTensor& tensor : tensors) {
    const auto at = stored.find(tensor.name);
    if (at == stored.end() || at->second->dtype != tensor.dtype ||
        at->second->shape != tensor.shape) {
      return error(
          "{}: tensor {} is missing or of another shape; it belongs to another model, or to a run "
          "with other fields \"frozen\", \"lora\", \"ema\" and \"moments\"",
          path.string(), in_quotes(tensor.name));
    }
    found.push_back(at->second->data);
  }
  if (stored.size() == tensors.size()) return found;
  return error(
      "{}: has {} tensors, but a run with these fields \"frozen\", \"lora\", \"ema\" and "
      "\"moments\" has {}",
      path.string(), stored.size(), tensors.size());
}

std::string to_json(const CheckpointContents& contents, uint32_t checksum) {
  const TrainingState& state = contents.state;
  const StreamPosition& at = state.position;
  Json json = {{"step", state.step},
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
               {kChecksum, fmt::format("{:08x}", checksum)},
               {"run", contents.run}};
  if (contents.best) {
    json["best"] = {{"value", contents.best->value}, {"step", contents.best->step}};
  }
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

/// A number that is kept as hexadecimal text.
template <class T>
Result<T> hexadecimal(const JsonFields& fields, const char* key) {
  TIDAR_TRY(const std::string text, fields.text(key));
  T value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (code != std::errc{} || end != text.data() + text.size()) {
    return fields.wrong(key, "a hexadecimal number");
  }
  return value;
}

/// What training.json says.
struct StoredState {
  RestoredRun run;
  std::optional<uint32_t> checksum;  ///< older checkpoints have none
};

Result<StoredState> read_state(const fs::path& path) {
  TIDAR_TRY(const std::string text, read_text_file(path));
  TIDAR_TRY(const Json json, parse_json_object(text, path.string()));
  const JsonFields fields(json, path.string());
  StoredState stored;
  TrainingState& state = stored.run.state;
  TIDAR_TRY(state.step, fields.count("step", 0));
  TIDAR_TRY(state.tokens, fields.count("tokens", 0));
  TIDAR_TRY(state.updates, fields.count("updates", 0));
  TIDAR_TRY(state.position.corpus, hexadecimal<uint64_t>(fields, "corpus"));
  TIDAR_TRY(state.position.epoch, fields.count("epoch", 0));
  TIDAR_TRY(state.position.window, fields.count("window", 0));
  TIDAR_TRY(state.position.pack, fields.count("pack", 0));
  TIDAR_TRY(state.spikes.left_out, fields.integer("spikes_left_out", {0, 1 << 20}));
  TIDAR_TRY(state.spikes.losses, numbers(json, "recent_losses", path));
  TIDAR_TRY(state.spikes.norms, numbers(json, "recent_norms", path));
  if (json.contains(kChecksum)) {
    TIDAR_TRY(stored.checksum, hexadecimal<uint32_t>(fields, kChecksum));
  }
  TIDAR_TRY(stored.run.run, fields.text("run"));
  TIDAR_TRY(const auto best, fields.object("best"));
  if (best) {
    stored.run.best.emplace();
    TIDAR_TRY(stored.run.best->value, best->number("value", {-1e300, 1e300}));
    TIDAR_TRY(stored.run.best->step, best->count("step", 0));
  }
  return stored;
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
Result<void> point(const fs::path& link, const fs::path& name) {
  fs::path fresh = link;
  fresh += ".partial";
  std::error_code failure;
  fs::remove(fresh, failure);
  fs::create_symlink(name, fresh, failure);
  if (!failure) fs::rename(fresh, link, failure);
  if (failure) {
    return error("{}: cannot be made to point to {}: {}", link.string(), name.string(),
                 failure.message());
  }
  return {};
}

std::string name_of_step(int64_t step) { return fmt::format("{}{:08}", kPrefix, step); }

/// Lets `latest` and `best` point to their checkpoints, of which the best may be one to come.
Result<void> point_links(const fs::path& out, const CheckpointContents& contents) {
  TIDAR_TRY_VOID(point(out / "latest", name_of_step(contents.state.step)));
  if (!contents.best) return {};
  return point(out / "best", name_of_step(contents.best->step));
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

namespace {

// Removes the oldest checkpoints until `keep` are left, those of `spared` steps besides. A
// checkpoint loses its name before its files, so that what has the name is whole even if this is
// killed; what an earlier run was killed over goes as well.
void remove_all_but(const fs::path& out, std::span<const int64_t> spared, int keep) {
  std::error_code ignored;
  const std::vector<Checkpoint> all = checkpoints_of(out);
  for (size_t i = 0; i + static_cast<size_t>(keep) < all.size(); ++i) {
    if (std::find(spared.begin(), spared.end(), all[i].step) != spared.end()) continue;
    fs::path unnamed = all[i].folder;
    fs::rename(all[i].folder, unnamed += ".partial", ignored);
  }
  std::vector<fs::path> partial;
  for (const auto& entry : fs::directory_iterator(out, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(kPrefix) && name.ends_with(".partial")) partial.push_back(entry.path());
  }
  for (const fs::path& folder : partial) fs::remove_all(folder, ignored);
}

/// A checkpoint that was found to be whole, and where its bytes go.
struct CheckedCheckpoint {
  StoredState state;
  TensorFile file;
  std::vector<RunTensor> tensors;
  std::vector<std::span<const std::byte>> stored;  ///< of `file`, one for each tensor
};

Result<CheckedCheckpoint> open_checked(const Checkpoint& checkpoint, const RunMemory& memory) {
  const fs::path path = checkpoint.folder / kOptimizerFile;
  TIDAR_TRY(StoredState state, read_state(checkpoint.folder / kStateFile));
  TIDAR_TRY(TensorFile file, TensorFile::open(path));
  std::vector<RunTensor> tensors = tensors_of(memory);
  TIDAR_TRY(auto stored, stored_bytes(file, tensors, path));
  if (state.checksum) {
    uint32_t checksum = 0;
    for (const auto bytes : stored) checksum = crc32c(bytes, checksum);
    if (checksum != *state.checksum) {
      return error("{}: is damaged: the checksum of its tensors is {:08x}, but {:08x} was written",
                   path.string(), checksum, *state.checksum);
    }
  }
  return CheckedCheckpoint{std::move(state), std::move(file), std::move(tensors),
                           std::move(stored)};
}

bool has_text(const fs::path& file, const std::string& expected) {
  const auto text = read_text_file(file);
  return text.ok() && *text == expected;
}

/// Whether the checkpoint that has the name of this step is this very step, to the bit, and of the
/// same run.
bool is_saved(const Checkpoint& checkpoint, const CheckpointContents& contents,
              const std::string& config) {
  const auto checked = open_checked(checkpoint, contents.memory);
  if (!checked.ok() || !checked->state.checksum ||
      !has_text(checkpoint.folder / kStateFile, to_json(contents, *checked->state.checksum)) ||
      !has_text(checkpoint.folder / kConfigFile, config)) {
    return false;
  }
  for (size_t i = 0; i < checked->tensors.size(); ++i) {
    const auto bytes = checked->tensors[i].bytes;
    if (!std::equal(bytes.begin(), bytes.end(), checked->stored[i].begin())) return false;
  }
  return true;
}

/// Renames a checkpoint, if it is there, to "step-NNNNNNNN.left".
Result<void> leave_behind(const fs::path& folder) {
  std::error_code failure;
  if (!fs::exists(folder, failure)) return {};
  fs::path aside = folder;
  aside += ".left";
  fs::remove_all(aside, failure);
  if (!failure) fs::rename(folder, aside, failure);
  if (!failure) return {};
  return error("{}: cannot be renamed to {}: {}", folder.string(), aside.filename().string(),
               failure.message());
}

}  // namespace

Result<Checkpoint> save_checkpoint(const fs::path& out, const CheckpointContents& contents,
                                   int keep) {
  const int64_t step = contents.state.step;
  const Checkpoint saved = {step, out / name_of_step(step)};
  const bool as_base =
      contents.adapter && !contents.adapter->merges && !contents.adapter->base.empty();
  TIDAR_TRY(const std::string config,
            to_json(contents.config, contents.config_json,
                    as_base ? std::nullopt : std::optional(contents.weights)));
  if (is_saved(saved, contents, config)) {
    TIDAR_TRY_VOID(point_links(out, contents));
    return saved;
  }
  TIDAR_TRY_VOID(leave_behind(saved.folder));
  TIDAR_TRY(FolderWriter writer, FolderWriter::create(saved.folder));
  const fs::path folder = writer.folder();
  TIDAR_TRY_VOID(write_text_file(folder / kConfigFile, config));
  TIDAR_TRY_VOID(copy_tokenizer(contents.tokenizer, folder));
  TIDAR_TRY_VOID(write_model(folder, contents));
  TIDAR_TRY(const uint32_t checksum,
            write_optimizer(folder / kOptimizerFile, tensors_of(contents.memory)));
  TIDAR_TRY_VOID(write_text_file(folder / kStateFile, to_json(contents, checksum)));
  TIDAR_TRY_VOID(writer.commit());
  TIDAR_TRY_VOID(point_links(out, contents));
  remove_all_but(out, std::array{step, contents.best ? contents.best->step : step}, keep);
  return saved;
}

Result<void> check_checkpoint(const Checkpoint& checkpoint, const RunMemory& memory) {
  TIDAR_TRY_VOID(open_checked(checkpoint, memory));
  return {};
}

Result<RestoredRun> restore_checkpoint(const Checkpoint& checkpoint, const RunMemory& memory) {
  TIDAR_TRY(CheckedCheckpoint checked, open_checked(checkpoint, memory));
  for (size_t i = 0; i < checked.tensors.size(); ++i) {
    std::memcpy(checked.tensors[i].bytes.data(), checked.stored[i].data(),
                checked.stored[i].size());
  }
  RestoredRun& run = checked.state.run;
  const fs::path out = checkpoint.folder.parent_path();
  std::error_code failure;
  if (run.best && !fs::exists(out / name_of_step(run.best->step), failure)) run.best.reset();
  return std::move(run);
}

Result<void> leave_newer_behind(const fs::path& out, const Checkpoint& checkpoint) {
  TIDAR_TRY_VOID(point(out / "latest", checkpoint.folder.filename()));
  for (const Checkpoint& other : checkpoints_of(out)) {
    if (other.step > checkpoint.step) TIDAR_TRY_VOID(leave_behind(other.folder));
  }
  std::error_code failure;
  if (!fs::exists(out / "best", failure)) fs::remove(out / "best", failure);
  return {};
}

}  // namespace tidar
