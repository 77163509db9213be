#include "model/adapter.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.h"
#include "format/files.h"
#include "format/tensor_header.h"

namespace tidar {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "base_model.model.";
constexpr std::string_view kWeight = "weight";
constexpr std::string_view kPartA = "lora_A.weight", kPartB = "lora_B.weight";
constexpr const char* kConfigFile = "adapter_config.json";
constexpr const char* kTensorFile = "adapter_model.safetensors";
constexpr int kMostRank = 1 << 16;
constexpr std::string_view kAllLinear = "all-linear";

constexpr std::array<AdapterModule, 7> kModules = {{{"q_proj", WeightRole::query},
                                                    {"k_proj", WeightRole::key},
                                                    {"v_proj", WeightRole::value},
                                                    {"o_proj", WeightRole::attention_out},
                                                    {"gate_proj", WeightRole::gate},
                                                    {"up_proj", WeightRole::up},
                                                    {"down_proj", WeightRole::down}}};

std::vector<WeightRole> all_targets() {
  std::vector<WeightRole> all;
  for (const AdapterModule& module : kModules) all.push_back(module.role);
  return all;
}

bool has_target(const AdapterConfig& config, WeightRole role) {
  return std::ranges::find(config.targets, role) != config.targets.end();
}

/// "model.layers.0.self_attn.q_proj." of a weight that may have an adapter.
std::string stem_of(const WeightSpec& weight) {
  return weight.name.substr(0, weight.name.size() - kWeight.size());
}

bool may_have_adapter(const WeightSpec& weight) {
  return std::ranges::any_of(kModules,
                             [&](const AdapterModule& one) { return one.role == weight.role; });
}

/// PEFT's rule: the whole name of a module, or its end behind a dot.
bool is_named(std::string_view module, std::string_view name) {
  return module == name || (module.size() > name.size() && module.ends_with(name) &&
                            module[module.size() - name.size() - 1] == '.');
}

bool is_named(std::string_view module, std::span<const std::string> names) {
  return std::ranges::any_of(names, [&](const std::string& one) { return is_named(module, one); });
}

}  // namespace

std::string_view name_of(AdapterRows rows) { return rows == AdapterRows::all ? "all" : "masks"; }

std::span<const AdapterModule> adapter_modules() { return kModules; }

std::string module_names(std::span<const WeightRole> targets) {
  std::string names;
  for (const AdapterModule& module : kModules) {
    if (std::ranges::find(targets, module.role) == targets.end()) continue;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", module.name);
  }
  return names;
}

double AdapterConfig::scale() const {
  return alpha / (scaling == AdapterScaling::by_root ? std::sqrt(rank) : rank);
}

std::string text_of(const AdapterConfig& config) {
  return fmt::format("LoRA of rank {}, scale {:.4g}, on {}, {}", config.rank, config.scale(),
                     module_names(config.targets),
                     config.rows == AdapterRows::all ? "all rows" : "mask rows alone");
}

std::vector<WeightSpec> adapter_table(const ModelConfig& model, const AdapterConfig& adapter) {
  std::vector<WeightSpec> table;
  for (const WeightSpec& weight : weight_table(model)) {
    if (!has_target(adapter, weight.role)) continue;
    const auto add = [&](WeightPart part, std::string_view name, std::vector<int64_t> shape) {
      table.push_back({.role = weight.role,
                       .layer = weight.layer,
                       .name = stem_of(weight) + std::string(name),
                       .shape = std::move(shape),
                       .part = part});
    };
    add(WeightPart::lora_a, kPartA, {adapter.rank, weight.shape[1]});
    add(WeightPart::lora_b, kPartB, {weight.shape[0], adapter.rank});
  }
  return table;
}

namespace {

/// What every file of an adapter and every run of training say. alpha_of(rank) where they are
/// silent.
Result<AdapterConfig> parse_size(const JsonFields& fields, double (*alpha_of)(int)) {
  AdapterConfig config;
  TIDAR_TRY(config.rank, fields.integer("r", {1, kMostRank}));
  TIDAR_TRY(config.alpha, fields.number("lora_alpha", {1e-6, 1e6}, alpha_of(config.rank)));
  TIDAR_TRY(const bool by_root, fields.boolean("use_rslora", false));
  config.scaling = by_root ? AdapterScaling::by_root : AdapterScaling::by_rank;
  return config;
}

/// "target_modules", where it is a list; nothing where it is a text, or not there.
Result<std::optional<std::vector<std::string>>> target_names(const JsonFields& fields) {
  using Names = std::optional<std::vector<std::string>>;
  if (!fields.has("target_modules") || fields.text("target_modules").ok()) return Names();
  TIDAR_TRY(auto names, fields.texts("target_modules"));
  return Names(std::move(names));
}

}  // namespace

Result<AdapterConfig> parse_adapter_fields(const JsonFields& fields) {
  TIDAR_TRY(AdapterConfig config, parse_size(fields, [](int rank) { return 2.0 * rank; }));
  TIDAR_TRY(const auto names, target_names(fields));
  const auto refuse = [&] {
    return fields.wrong("target_modules", fmt::format("'all-linear', or a list of some of {}",
                                                      module_names(all_targets())));
  };
  if (!names) {
    TIDAR_TRY(const std::string text, fields.text("target_modules", std::string(kAllLinear)));
    if (text != kAllLinear) return refuse();
    config.targets = all_targets();
    return config;
  }
  for (const AdapterModule& module : kModules) {
    if (std::ranges::find(*names, module.name) != names->end()) {
      config.targets.push_back(module.role);
    }
  }
  // A name that is none, or that stands there twice.
  if (names->empty() || config.targets.size() != names->size()) return refuse();
  return config;
}

namespace {

/// Whether a field says nothing: absent, false, empty.
bool says_nothing(const Json& value) {
  const auto* const text = value.get_ptr<const std::string*>();
  return value.is_null() || value == false || (text != nullptr && text->empty()) ||
         (value.is_structured() && value.empty());
}

/// Fields that would change what an adapter computes.
constexpr std::array<std::string_view, 14> kUnsupported = {"use_dora",
                                                           "use_qalora",
                                                           "use_bdlora",
                                                           "rank_pattern",
                                                           "alpha_pattern",
                                                           "modules_to_save",
                                                           "lora_bias",
                                                           "fan_in_fan_out",
                                                           "layer_replication",
                                                           "target_parameters",
                                                           "trainable_token_indices",
                                                           "alora_invocation_tokens",
                                                           "alora_invocation_string",
                                                           "arrow_config"};

/// Ways of beginning that leave the base as it is. Others (PiSSA, OLoRA, LoftQ, CorDA) change it.
bool leaves_base(const Json& way) {
  constexpr std::array<std::string_view, 3> kNames = {"gaussian", "eva", "orthogonal"};
  return way.is_null() || way.is_boolean() ||
         (way.is_string() && std::ranges::find(kNames, way.get<std::string>()) != kNames.end());
}

Error unsupported(const JsonFields& fields, std::string_view key, const Json& value) {
  std::string found = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  return error(
      "{}: field '{}' is {}; this program has no such adapters: merge it into its base with PEFT's "
      "merge_and_unload() and open the folder that is saved then",
      fields.where(), key, in_quotes(found));
}

Result<void> refuse_unsupported(const Json& document, const JsonFields& fields) {
  TIDAR_TRY(const std::string kind, fields.text("peft_type"));
  if (kind != "LORA") return fields.wrong("peft_type", "'LORA', the only kind that is supported");
  const auto value = [&](std::string_view key) { return document.value(std::string(key), Json()); };
  for (const std::string_view key : kUnsupported) {
    if (!says_nothing(value(key))) return unsupported(fields, key, value(key));
  }
  if (const Json bias = value("bias"); !bias.is_null() && bias != "none") {
    return unsupported(fields, "bias", bias);
  }
  if (const Json way = value("init_lora_weights"); !leaves_base(way)) {
    return unsupported(fields, "init_lora_weights", way);
  }
  return {};
}

/// What adapter_config.json says, but for its targets.
struct FolderConfig {
  AdapterConfig config;
  std::optional<std::vector<std::string>> names;  ///< "target_modules"; nothing: a pattern
  std::vector<std::string> excluded;
  std::vector<int> only_layers;  ///< "layers_to_transform"; empty: all
};

Result<FolderConfig> read_config(const fs::path& path, const ModelConfig& model) {
  TIDAR_TRY(const std::string text, read_text_file(path));
  TIDAR_TRY(const Json document, parse_json_object(text, path.string()));
  const JsonFields fields(document, path.string());
  TIDAR_TRY_VOID(refuse_unsupported(document, fields));
  FolderConfig found;
  TIDAR_TRY(found.config, parse_size(fields, [](int) { return 8.0; }));  // as PEFT has it
  TIDAR_TRY(found.names, target_names(fields));
  if (!fields.text("exclude_modules").ok()) {
    TIDAR_TRY(found.excluded, fields.texts("exclude_modules"));
  }
  TIDAR_TRY(found.only_layers, fields.integers("layers_to_transform", {0, model.layers - 1}));
  TIDAR_TRY(const auto own, fields.object("tidar"));
  if (!own) return found;
  TIDAR_TRY(const std::string rows, own->text("rows"));
  if (rows != "all" && rows != "masks") return own->wrong("rows", "'all' or 'masks'");
  if (rows == "all") return found;
  found.config.rows = AdapterRows::masks;
  const int known = model.tidar ? model.tidar->mask_token : -1;
  TIDAR_TRY(found.config.mask_token,
            own->integer("mask_token_id", {0, model.vocabulary - 1}, known));
  if (found.config.mask_token < 0) {
    return error(
        "{}: acts on rows of the mask token, but neither its \"tidar\" nor the model's config.json "
        "says which token that is; name it as \"mask_token_id\" there",
        path.string());
  }
  return found;
}

/// Part and module of a tensor's name: "base_model.model.MODULE.lora_A.weight".
struct TensorName {
  WeightPart part = WeightPart::whole;
  std::string module;
};

std::optional<TensorName> split(std::string_view name) {
  if (!name.starts_with(kPrefix)) return {};
  name.remove_prefix(kPrefix.size());
  for (const auto& [part, end] :
       {std::pair(WeightPart::lora_a, kPartA), std::pair(WeightPart::lora_b, kPartB)}) {
    if (!name.ends_with(end) || name.size() < end.size() + 2) continue;
    return TensorName{part, std::string(name.substr(0, name.size() - end.size() - 1))};
  }
  return {};
}

/// The weights that may have an adapter, by their modules' names.
std::map<std::string, WeightSpec> modules_of(const ModelConfig& model) {
  std::map<std::string, WeightSpec> modules;
  for (WeightSpec& weight : weight_table(model)) {
    if (!may_have_adapter(weight)) continue;
    std::string module = stem_of(weight);
    module.pop_back();
    modules.emplace(std::move(module), std::move(weight));
  }
  return modules;
}

Result<void> check_tensor(const StoredTensor& tensor, const std::vector<int64_t>& shape) {
  const bool plain =
      tensor.dtype == DType::f32 || tensor.dtype == DType::bf16 || tensor.dtype == DType::f16;
  if (!plain || tensor.shape != shape) {
    return error(
        "{}: tensor {} is {} of shape {}; this model and {} ask for F32, BF16 or F16 of {}",
        tensor.file, in_quotes(tensor.name), header_name(tensor.dtype), shape_text(tensor.shape),
        kConfigFile, shape_text(shape));
  }
  if (const auto at = first_not_finite(tensor)) {
    return error("{}: tensor {}: element {} is not a finite number", tensor.file,
                 in_quotes(tensor.name), *at);
  }
  return {};
}

/// Whether the config calls for an adapter of this module: where it is a list of names.
bool is_called_for(const FolderConfig& config, const std::string& module,
                   const WeightSpec& weight) {
  if (!config.names || !is_named(module, *config.names)) return false;
  if (is_named(module, config.excluded)) return false;
  return config.only_layers.empty() ||
         std::ranges::find(config.only_layers, weight.layer) != config.only_layers.end();
}

}  // namespace

Result<Adapter> Adapter::open(const fs::path& folder, const ModelConfig& model) {
  std::error_code ignored;
  if (!fs::exists(folder / kConfigFile, ignored)) {
    return error("{}: has no {}; an adapter is a folder that PEFT's save_pretrained() wrote",
                 folder.string(), kConfigFile);
  }
  TIDAR_TRY(FolderConfig config, read_config(folder / kConfigFile, model));
  if (!fs::exists(folder / kTensorFile, ignored) &&
      fs::exists(folder / "adapter_model.bin", ignored)) {
    return error(
        "{}: has adapter_model.bin, but not {}; save it again with safe_serialization=True",
        folder.string(), kTensorFile);
  }
  Adapter adapter;
  TIDAR_TRY(adapter.file_, TensorFile::open(folder / kTensorFile));
  const std::map<std::string, WeightSpec> modules = modules_of(model);
  for (const StoredTensor& tensor : adapter.file_->tensors()) {
    const auto name = split(tensor.name);
    const auto module = name ? modules.find(name->module) : modules.end();
    if (module == modules.end()) {
      return error(
          "{}: tensor {} belongs to no weight of this model ({}, {} layers) that may have an "
          "adapter; those are {} of each layer, named as {}{}.{}",
          tensor.file, in_quotes(tensor.name), model.architecture, model.layers,
          module_names(all_targets()), kPrefix, modules.begin()->first, kPartA);
    }
    const WeightSpec& weight = module->second;
    Pair& pair = adapter.pairs_[{weight.role, weight.layer}];
    const bool is_a = name->part == WeightPart::lora_a;
    const std::vector<int64_t> shape =
        is_a ? std::vector<int64_t>{config.config.rank, weight.shape[1]}
             : std::vector<int64_t>{weight.shape[0], config.config.rank};
    TIDAR_TRY_VOID(check_tensor(tensor, shape));
    (is_a ? pair.a : pair.b) = tensor;
  }
  for (const auto& [module, weight] : modules) {
    const Pair* pair = adapter.find(weight.role, weight.layer);
    const bool whole = pair != nullptr && !pair->a.name.empty() && !pair->b.name.empty();
    if (whole || (pair == nullptr && !is_called_for(config, module, weight))) continue;
    const bool lacks_a = pair == nullptr || pair->a.name.empty();
    return error("{}: tensor '{}{}.{}' is missing", (folder / kTensorFile).string(), kPrefix,
                 module, lacks_a ? kPartA : kPartB);
  }
  if (config.names) {
    for (const std::string& name : *config.names) {
      if (std::ranges::any_of(modules,
                              [&](const auto& one) { return is_named(one.first, name); })) {
        continue;
      }
      return error("{}: 'target_modules' names {}, which may have no adapter here; it may name {}",
                   (folder / kConfigFile).string(), in_quotes(name), module_names(all_targets()));
    }
  }
  if (adapter.pairs_.empty()) {
    return error("{}: holds no tensors of an adapter", (folder / kTensorFile).string());
  }
  for (const AdapterModule& module : kModules) {
    const auto is_of = [&](const auto& one) { return one.first.first == module.role; };
    if (std::ranges::any_of(adapter.pairs_, is_of)) config.config.targets.push_back(module.role);
  }
  adapter.config_ = std::move(config.config);
  return adapter;
}

Adapter Adapter::of_memory(const ModelConfig& model, const AdapterConfig& config,
                           std::vector<StoredTensor> tensors) {
  Adapter adapter;
  adapter.config_ = config;
  const std::vector<WeightSpec> table = adapter_table(model, config);
  TIDAR_CHECK_EQ(tensors.size(), table.size());
  for (size_t i = 0; i < table.size(); ++i) {
    TIDAR_CHECK(tensors[i].shape == table[i].shape);
    Pair& pair = adapter.pairs_[{table[i].role, table[i].layer}];
    (table[i].part == WeightPart::lora_a ? pair.a : pair.b) = std::move(tensors[i]);
  }
  return adapter;
}

const Adapter::Pair* Adapter::find(WeightRole role, int layer) const {
  const auto found = pairs_.find({role, layer});
  return found == pairs_.end() ? nullptr : &found->second;
}

int64_t Adapter::parameters() const {
  int64_t count = 0;
  for (const auto& [place, pair] : pairs_) {
    for (const StoredTensor* tensor : {&pair.a, &pair.b}) {
      count += tensor->shape[0] * tensor->shape[1];
    }
  }
  return count;
}

Result<void> write_adapter(const fs::path& folder, const AdapterConfig& config,
                           std::string_view base, std::span<const TensorToWrite> tensors) {
  OrderedJson json = {{"peft_type", "LORA"},
                      {"task_type", "CAUSAL_LM"},
                      {"base_model_name_or_path", base},
                      {"r", config.rank},
                      {"lora_alpha", config.alpha},
                      {"use_rslora", config.scaling == AdapterScaling::by_root},
                      {"target_modules", OrderedJson::array()},
                      {"lora_dropout", 0.0},
                      {"bias", "none"},
                      {"fan_in_fan_out", false},
                      {"init_lora_weights", true},
                      {"inference_mode", true}};
  for (const AdapterModule& module : kModules) {
    if (has_target(config, module.role)) json["target_modules"].push_back(module.name);
  }
  // PEFT knows no such rows: it must not take this for an adapter of all of them without a word.
  if (config.rows == AdapterRows::masks) {
    json["tidar"] = {{"rows", name_of(config.rows)}, {"mask_token_id", config.mask_token}};
  }
  std::vector<TensorToWrite> named(tensors.begin(), tensors.end());
  for (TensorToWrite& tensor : named) tensor.name.insert(0, kPrefix);
  TIDAR_TRY(FolderWriter writer, FolderWriter::create(folder));
  TIDAR_TRY_VOID(write_text_file(writer.folder() / kConfigFile, json.dump(2) + "\n"));
  TIDAR_TRY_VOID(write_tensors(writer.folder() / kTensorFile, named));
  return writer.commit();
}

void merge_row(const AdapterConfig& config, std::span<const float> a, std::span<const float> b,
               int64_t n, std::span<float> row) {
  const auto rank = static_cast<size_t>(config.rank);
  const float* const of_row = b.data() + static_cast<size_t>(n) * rank;
  std::vector<float> added(row.size());
  for (size_t i = 0; i < rank; ++i) {
    const float* const from = a.data() + i * row.size();
    const float factor = of_row[i];
    for (size_t k = 0; k < row.size(); ++k) added[k] += factor * from[k];
  }
  const auto scale = static_cast<float>(config.scale());
  for (size_t k = 0; k < row.size(); ++k) row[k] += scale * added[k];
}

}  // namespace tidar
