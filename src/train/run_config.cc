#include "train/run_config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <span>

#include "base/nearest.h"
#include "format/files.h"
#include "format/json.h"

namespace tidar {

namespace {

constexpr int kMostTokens = 1 << 20;  // of a pack
constexpr int kMostPacks = 1 << 16;
constexpr int64_t kUnknown = -1;
constexpr NumberRange kPositive = {0, 1e30};
constexpr NumberRange kBeta = {0, 0.999999};
constexpr NumberRange kGibibytes = {0, 1e6};

constexpr std::array<std::string_view, 61> kFields = {"out",
                                                      "init",
                                                      "model_config",
                                                      "tokenizer",
                                                      "objective",
                                                      "recipe",
                                                      "alpha",
                                                      "place_decay",
                                                      "target",
                                                      "masking",
                                                      "block_start",
                                                      "block_end",
                                                      "block_sizes",
                                                      "block_stages",
                                                      "prompts",
                                                      "noise",
                                                      "label_shift",
                                                      "end_token",
                                                      "padding",
                                                      "mask_token",
                                                      "train",
                                                      "validation",
                                                      "repeat",
                                                      "sequence",
                                                      "packs",
                                                      "packing",
                                                      "seed",
                                                      "epochs",
                                                      "steps",
                                                      "schedule",
                                                      "learning_rate",
                                                      "final_learning_rate",
                                                      "warmup_steps",
                                                      "decay_steps",
                                                      "beta1",
                                                      "beta2",
                                                      "epsilon",
                                                      "weight_decay",
                                                      "moments",
                                                      "frozen",
                                                      "no_decay",
                                                      "rates",
                                                      "lora",
                                                      "ema",
                                                      "clip",
                                                      "spike_factor",
                                                      "precision",
                                                      "activation_gib",
                                                      "logit_gib",
                                                      "validate_every",
                                                      "validation_packs",
                                                      "prompts_file",
                                                      "prompt_count",
                                                      "samples",
                                                      "max_new",
                                                      "draft_lengths",
                                                      "checkpoint_every",
                                                      "keep",
                                                      "best",
                                                      "weights",
                                                      "log_every"};

/// A word and what it stands for.
template <class T>
struct Choice {
  std::string_view word;
  T value;
};

template <class T, size_t N>
Result<T> choose(const JsonFields& fields, std::string_view key,
                 const std::array<Choice<T>, N>& choices, T absent) {
  if (!fields.has(key)) return absent;
  const auto word = fields.text(key);
  std::string list;
  for (const Choice<T>& choice : choices) {
    if (word.ok() && *word == choice.word) return choice.value;
    list += fmt::format("{}'{}'", list.empty() ? "" : " or ", choice.word);
  }
  return fields.wrong(key, list);
}

constexpr std::array kPrecisions = {Choice<WeightFormat>{"f32", WeightFormat::f32},
                                    Choice<WeightFormat>{"bf16", WeightFormat::bf16}};
constexpr std::array kTypes = {Choice<DType>{"f32", DType::f32},
                               Choice<DType>{"bf16", DType::bf16}};
constexpr std::array kMoments = {Choice<MomentFormat>{"f32", MomentFormat::f32},
                                 Choice<MomentFormat>{"8bit", MomentFormat::bits8}};
constexpr std::array kMaskings = {Choice<Masking>{"full", Masking::full},
                                  Choice<Masking>{"random", Masking::random}};
constexpr std::array kStarts = {Choice<BlockStart>{"aligned", BlockStart::aligned},
                                Choice<BlockStart>{"random", BlockStart::random},
                                Choice<BlockStart>{"anchors", BlockStart::anchors}};
constexpr std::array kEnds = {Choice<BlockEnd>{"cut", BlockEnd::cut},
                              Choice<BlockEnd>{"whole", BlockEnd::whole},
                              Choice<BlockEnd>{"end_tokens", BlockEnd::end_tokens}};
constexpr std::array kShifts = {Choice<LabelShift>{"none", LabelShift::none},
                                Choice<LabelShift>{"one", LabelShift::one}};
constexpr std::array kRecipes = {Choice<Recipe>{"mixed", Recipe::mixed},
                                 Choice<Recipe>{"paper", Recipe::paper}};
constexpr std::array kDistances = {Choice<Distance>{"l1", Distance::l1},
                                   Choice<Distance>{"kl", Distance::kl}};
constexpr std::array kPackings = {Choice<Packing>{"filled", Packing::filled},
                                  Choice<Packing>{"whole", Packing::whole}};
constexpr std::array kRows = {Choice<AdapterRows>{"all", AdapterRows::all},
                              Choice<AdapterRows>{"masks", AdapterRows::masks}};
constexpr std::array<std::string_view, 6> kLoraFields = {
    "r", "lora_alpha", "target_modules", "use_rslora", "rows", "merge"};
constexpr std::array kPrompts = {Choice<Prompts>{"learnt", Prompts::learnt},
                                 Choice<Prompts>{"given", Prompts::given}};

Result<std::filesystem::path> path_of(const JsonFields& fields, std::string_view key) {
  TIDAR_TRY(const std::string text, fields.text(key, ""));
  return std::filesystem::path(text);
}

Result<std::vector<std::filesystem::path>> paths_of(const JsonFields& fields,
                                                    std::string_view key) {
  TIDAR_TRY(const std::vector<std::string> texts, fields.texts(key));
  return std::vector<std::filesystem::path>(texts.begin(), texts.end());
}

Result<void> parse_model(const JsonFields& fields, RunConfig& run) {
  TIDAR_TRY(run.init, path_of(fields, "init"));
  TIDAR_TRY(run.model_config, path_of(fields, "model_config"));
  TIDAR_TRY(run.tokenizer, path_of(fields, "tokenizer"));
  if (run.init.empty() == run.model_config.empty()) {
    return error(
        "{}: expected either 'init', the folder of a model to go on from, or 'model_config', a "
        "config.json for random weights; found {}",
        fields.where(), run.init.empty() ? "neither" : "both");
  }
  if (run.tokenizer.empty()) run.tokenizer = run.init;
  return {};
}

Result<void> parse_target(const JsonFields& fields, TargetOptions& target) {
  TIDAR_TRY(const auto object, fields.object("target"));
  if (!object) return {};
  constexpr std::string_view kKnown[] = {"kind", "share"};
  TIDAR_TRY_VOID(object->refuse_others(kKnown));
  TIDAR_TRY(target.distance, choose(*object, "kind", kDistances, target.distance));
  TIDAR_TRY(target.share, object->number("share", {0, 1}));
  return {};
}

// An id, or the text of a token.
Result<std::string> token_of(const JsonFields& fields, std::string_view key) {
  const auto text = fields.text(key, "");
  if (text.ok()) return *text;
  const auto id = fields.integer(key, {0, INT32_MAX});
  if (!id.ok()) return fields.wrong(key, "the id or the text of a token");
  return std::to_string(*id);
}

Result<void> parse_baseline(const JsonFields& fields, RunConfig& run) {
  ObjectiveOptions& options = run.objective;
  if (fields.has("noise")) {
    const auto levels = fields.numbers("noise", {0, 1});
    if (!levels.ok() || levels->size() != 2) {
      return fields.wrong("noise", "the lowest and the highest level, such as [0.3, 0.8]");
    }
    options.noise = {(*levels)[0], (*levels)[1]};
  }
  TIDAR_TRY(options.label_shift, choose(fields, "label_shift", kShifts, options.label_shift));
  TIDAR_TRY(options.padding, fields.integer("padding", {0, kMostTokens}, options.padding));
  TIDAR_TRY(run.end_token, token_of(fields, "end_token"));
  return {};
}

// {"500": [8], "1000": [8, 16]}, by ascending steps.
Result<std::vector<BlockStage>> stages_of(const JsonFields& fields) {
  std::vector<BlockStage> stages;
  TIDAR_TRY(const auto object, fields.object("block_stages"));
  if (!object) return stages;
  for (const std::string& key : object->keys()) {
    BlockStage stage;
    const auto [stop, code] = std::from_chars(key.data(), key.data() + key.size(), stage.step);
    if (code != std::errc{} || stop != key.data() + key.size() || stage.step < 1) {
      return fields.wrong("block_stages",
                          "lists of sizes by the step that they begin with, such as "
                          "{\"500\": [8], \"1000\": [8, 16]}");
    }
    TIDAR_TRY(stage.sizes, object->integers(key, {1, kMostTokens}));
    stages.push_back(std::move(stage));
  }
  std::sort(stages.begin(), stages.end(),
            [](const BlockStage& a, const BlockStage& b) { return a.step < b.step; });
  return stages;
}

Result<void> parse_loss(const JsonFields& fields, RunConfig& run) {
  TIDAR_TRY(run.objective_text, fields.text("objective", run.objective_text));
  auto parsed = parse_objective(run.objective_text);
  if (!parsed.ok()) return error("{}: {}", fields.where(), parsed.error().message);
  ObjectiveOptions& options = run.objective = *parsed;
  TIDAR_TRY(const Recipe recipe, choose(fields, "recipe", kRecipes, Recipe::mixed));
  follow(recipe, options);
  TIDAR_TRY(options.alpha, fields.number("alpha", kPositive, options.alpha));
  TIDAR_TRY(options.place_decay, fields.number("place_decay", {0, 1e6}, options.place_decay));
  TIDAR_TRY_VOID(parse_target(fields, options.target));
  TIDAR_TRY(options.masking, choose(fields, "masking", kMaskings, options.masking));
  TIDAR_TRY(options.block_start, choose(fields, "block_start", kStarts, options.block_start));
  TIDAR_TRY(options.block_end, choose(fields, "block_end", kEnds, options.block_end));
  if (fields.has("block_sizes")) {
    TIDAR_TRY(options.block_sizes, fields.integers("block_sizes", {1, kMostTokens}));
  }
  TIDAR_TRY(options.block_stages, stages_of(fields));
  TIDAR_TRY(options.prompts, choose(fields, "prompts", kPrompts, options.prompts));
  TIDAR_TRY(run.mask_token, token_of(fields, "mask_token"));
  return parse_baseline(fields, run);
}

Result<std::map<std::string, double>> numbers_by_name(const JsonFields& fields,
                                                      std::string_view key, NumberRange range) {
  std::map<std::string, double> numbers;
  TIDAR_TRY(const auto object, fields.object(key));
  if (!object) return numbers;
  for (const std::string& name : object->keys()) {
    TIDAR_TRY(numbers[name], object->number(name, range));
  }
  return numbers;
}

Result<void> parse_repeat(const JsonFields& fields, RunConfig& run) {
  TIDAR_TRY(run.repeat, numbers_by_name(fields, "repeat", {1e-6, 1e6}));
  for (const auto& [name, times] : run.repeat) {
    if (std::find(run.train.begin(), run.train.end(), name) != run.train.end()) continue;
    return error("{}: 'repeat' names {}, which 'train' does not", fields.where(), in_quotes(name));
  }
  return {};
}

Result<void> parse_data(const JsonFields& fields, RunConfig& run) {
  TIDAR_TRY(run.train, paths_of(fields, "train"));
  if (run.train.empty()) {
    return error("{}: field 'train' names no token shards; tidar data tokens makes them",
                 fields.where());
  }
  TIDAR_TRY(const auto sets, fields.object("validation"));
  if (sets) {
    for (const std::string& name : sets->keys()) {
      TIDAR_TRY(run.validation[name], paths_of(*sets, name));
      if (run.validation[name].empty()) {
        return error("{}: set '{}' names no token shards", sets->where(), name);
      }
    }
  }
  TIDAR_TRY_VOID(parse_repeat(fields, run));
  TIDAR_TRY(run.sequence, fields.integer("sequence", {2, kMostTokens}, run.sequence));
  TIDAR_TRY(run.packs, fields.integer("packs", {1, kMostPacks}, run.packs));
  TIDAR_TRY(run.packing, choose(fields, "packing", kPackings, run.packing));
  TIDAR_TRY(const int64_t seed, fields.count("seed", 0, 0));
  run.seed = static_cast<uint64_t>(seed);
  return {};
}

Result<void> parse_optimizer(const JsonFields& fields, RunConfig& run) {
  Schedule& schedule = run.schedule;
  if (fields.has("epochs") && fields.has("steps")) {
    return error("{}: expected 'steps' or 'epochs', found both", fields.where());
  }
  if (fields.has("epochs")) {
    TIDAR_TRY(run.epochs, fields.number("epochs", {1e-6, 1e6}, 0));
  } else {
    TIDAR_TRY(schedule.steps, fields.count("steps", 1));
  }
  TIDAR_TRY(const std::string decay, fields.text("schedule", "cosine"));
  auto named = decay_named(decay);
  if (!named.ok()) return error("{}: {}", fields.where(), named.error().message);
  schedule.decay = *named;
  TIDAR_TRY(schedule.peak, fields.number("learning_rate", kPositive, schedule.peak));
  TIDAR_TRY(schedule.floor, fields.number("final_learning_rate", kPositive, schedule.peak / 10));
  TIDAR_TRY(schedule.warmup_steps, fields.count("warmup_steps", 0, kUnknown));
  TIDAR_TRY(schedule.decay_steps, fields.count("decay_steps", 0, 0));
  if (run.epochs == 0) {
    const auto sound = set_steps(run, schedule.steps);
    if (!sound.ok()) return error("{}: {}", fields.where(), sound.error().message);
  }

  AdamWOptions& adamw = run.adamw;
  TIDAR_TRY(adamw.beta1, fields.number("beta1", kBeta, adamw.beta1));
  TIDAR_TRY(adamw.beta2, fields.number("beta2", kBeta, adamw.beta2));
  TIDAR_TRY(adamw.epsilon, fields.number("epsilon", {1e-30, 1}, adamw.epsilon));
  TIDAR_TRY(adamw.weight_decay, fields.number("weight_decay", {0, 1e3}, adamw.weight_decay));
  TIDAR_TRY(adamw.moments, choose(fields, "moments", kMoments, adamw.moments));
  TIDAR_TRY(run.rules.frozen, fields.texts("frozen"));
  TIDAR_TRY(run.rules.no_decay, fields.texts("no_decay"));
  TIDAR_TRY(run.rules.rates, numbers_by_name(fields, "rates", kPositive));
  TIDAR_TRY(run.ema, fields.number("ema", kBeta, run.ema));
  TIDAR_TRY(run.clip, fields.number("clip", kPositive, run.clip));
  TIDAR_TRY(run.spike_factor, fields.number("spike_factor", kPositive, run.spike_factor));
  TIDAR_TRY(run.compute, choose(fields, "precision", kPrecisions, run.compute));
  TIDAR_TRY(run.activation_gib, fields.number("activation_gib", kGibibytes, run.activation_gib));
  TIDAR_TRY(run.logit_gib, fields.number("logit_gib", kGibibytes, run.logit_gib));
  return {};
}

Result<void> parse_lora(const JsonFields& fields, RunConfig& run) {
  TIDAR_TRY(const auto object, fields.object("lora"));
  if (!object) return {};
  TIDAR_TRY_VOID(object->refuse_others(kLoraFields));
  LoraRun lora;
  TIDAR_TRY(lora.adapter, parse_adapter_fields(*object));
  TIDAR_TRY(lora.adapter.rows, choose(*object, "rows", kRows, AdapterRows::all));
  const bool on_masks = lora.adapter.rows == AdapterRows::masks;
  TIDAR_TRY(lora.merges, object->boolean("merge", !on_masks));
  if (on_masks && lora.merges) {
    return object->wrong("merge",
                         "false, as rows are 'masks': other rows need the weights as they are");
  }
  if (on_masks && run.objective.kind == ObjectiveKind::ar) {
    return object->wrong("rows", "'all', as objective ar has no masks");
  }
  run.lora = std::move(lora);
  return {};
}

Result<void> parse_watch(const JsonFields& fields, RunConfig& run) {
  TIDAR_TRY(run.validate_every, fields.count("validate_every", 0, run.validate_every));
  TIDAR_TRY(run.validation_packs,
            fields.integer("validation_packs", {1, 1 << 20}, run.validation_packs));
  TIDAR_TRY(run.prompts, path_of(fields, "prompts_file"));
  TIDAR_TRY(run.prompt_count, fields.integer("prompt_count", {1, 1 << 20}, run.prompt_count));
  TIDAR_TRY(run.samples, fields.integer("samples", {0, 1 << 20}, run.samples));
  TIDAR_TRY(run.max_new, fields.integer("max_new", {1, 1 << 20}, run.max_new));
  TIDAR_TRY(run.draft_lengths, fields.integers("draft_lengths", {1, 1024}));
  if (run.draft_lengths.empty() && run.objective.kind == ObjectiveKind::tidar) {
    run.draft_lengths = {run.objective.block_size};
  }
  TIDAR_TRY(run.checkpoint_every, fields.count("checkpoint_every", 0, run.checkpoint_every));
  TIDAR_TRY(run.keep, fields.integer("keep", {1, 1 << 20}, run.keep));
  TIDAR_TRY(run.best, fields.text("best", ""));
  TIDAR_TRY(run.saved_weights, choose(fields, "weights", kTypes, run.saved_weights));
  TIDAR_TRY(run.log_every, fields.count("log_every", 1, run.log_every));
  return {};
}

}  // namespace

void follow(Recipe recipe, ObjectiveOptions& options) {
  if (recipe == Recipe::paper || options.kind != ObjectiveKind::tidar) return;
  options.alpha = 4;
  options.block_start = BlockStart::random;
  options.block_end = BlockEnd::whole;
  for (int size = options.block_size; size >= 4; size /= 2) {
    options.block_sizes.insert(options.block_sizes.begin(), size);
  }
}

Result<void> set_steps(RunConfig& run, int64_t steps) {
  run.schedule.steps = steps;
  if (run.schedule.warmup_steps == kUnknown) run.schedule.warmup_steps = steps / 100;
  return run.schedule.check();
}

Result<std::string> with_fields(std::string_view json, const std::string& where,
                                std::span<const std::string> settings) {
  if (settings.empty()) return std::string(json);
  TIDAR_TRY(Json document, parse_json_object(json, where));
  for (const std::string& setting : settings) {
    const size_t equals = setting.find('=');
    if (equals == 0 || equals == setting.npos) {
      return error("--set {}: expected a field and its value, as in --set steps=100", setting);
    }
    const std::string value = setting.substr(equals + 1);
    Json parsed = Json::parse(value, nullptr, false);
    if (parsed.is_discarded()) parsed = value;
    document[setting.substr(0, equals)] = std::move(parsed);
  }
  return document.dump(2) + "\n";
}

Result<RunConfig> parse_run_config(std::string_view json, const std::string& where) {
  TIDAR_TRY(const Json document, parse_json_object(json, where));
  const JsonFields fields(document, where);
  // First of all: a misspelt field is often the reason why another one is missing.
  TIDAR_TRY_VOID(fields.refuse_others(kFields));
  RunConfig run;
  TIDAR_TRY(run.out, path_of(fields, "out"));
  TIDAR_TRY_VOID(parse_model(fields, run));
  TIDAR_TRY_VOID(parse_loss(fields, run));
  TIDAR_TRY_VOID(parse_data(fields, run));
  TIDAR_TRY_VOID(parse_optimizer(fields, run));
  TIDAR_TRY_VOID(parse_lora(fields, run));
  TIDAR_TRY_VOID(parse_watch(fields, run));
  if (run.out.empty()) {
    return error("{}: field 'out' is missing; expected the folder of checkpoints and logs", where);
  }
  return run;
}

}  // namespace tidar
