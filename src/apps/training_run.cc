#include "apps/training_run.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <system_error>

#include "apps/ids.h"
#include "base/out_of_memory.h"
#include "base/stopwatch.h"
#include "format/files.h"
#include "ops/cpu/roofs.h"
#include "train/initial_weights.h"

namespace tidar {

namespace {

/// "####......" for 4 of 10.
std::string bar(int64_t done, int64_t all) {
  constexpr int64_t kWidth = 10;
  const auto full = static_cast<size_t>(kWidth * done / all);
  return std::string(full, '#') + std::string(kWidth - full, '.');
}

/// The id that the config's "mask_token" means: a number, or the text of a token.
Result<int> mask_token_named(const RunConfig& run, const ModelConfig& model,
                             const Tokenizer* tokenizer) {
  const std::string& text = run.mask_token;
  if (text.empty()) {
    if (const int token = known_mask_token(-1, model); token >= 0) return token;
    return error(
        "objective {}: the model names no mask token; give \"mask_token\", an id or the text of a "
        "token that exists and never stands in a text",
        run.objective_text);
  }
  auto id = token_named(text, tokenizer);
  if (!id.ok()) return error("mask_token: {}", id.error().message);
  return id;
}

/// What ends a text, where the loss needs it.
Result<int> end_token_named(const RunConfig& run, const ModelConfig& model,
                            const Tokenizer* tokenizer) {
  const ObjectiveOptions& options = run.objective;
  if (options.block_end != BlockEnd::end_tokens && options.padding == 0) return -1;
  if (run.end_token.empty()) {
    if (!model.eos_tokens.empty()) return model.eos_tokens[0];
    return error(
        "end_token: the model names no token that ends a text, which \"padding\" and a "
        "\"block_end\" "
        "of end tokens put behind texts; give an id or the text of a token");
  }
  auto id = token_named(run.end_token, tokenizer);
  if (!id.ok()) return error("end_token: {}", id.error().message);
  return id;
}

/// What the checkpoints of a diffusion objective say of themselves.
TidarConfig trained_layout(const ObjectiveOptions& objective) {
  switch (objective.kind) {
    case ObjectiveKind::masked_diffusion:
      return {.mask_token = objective.mask_token, .layout = TrainedLayout::masked};
    case ObjectiveKind::block_diffusion:
      return {objective.mask_token, objective.block_size, TrainedLayout::block};
    default:
      return {objective.mask_token, objective.block_size, TrainedLayout::tidar};
  }
}

/// The model of which `run` speaks.
struct NamedModel {
  ModelConfig config;
  std::string json;  ///< its config.json
};

Result<NamedModel> read_config(const RunConfig& run) {
  NamedModel model;
  if (run.init.empty()) {
    TIDAR_TRY(model.json, read_text_file(run.model_config));
    TIDAR_TRY(model.config, parse_model_config(model.json, run.model_config.string()));
    return model;
  }
  if (!std::filesystem::is_directory(run.init)) {
    return error("{}: no such folder; 'init' names the Hugging Face folder to go on from",
                 run.init.string());
  }
  TIDAR_TRY(model.config, read_model_config(run.init));
  TIDAR_TRY(model.json, read_text_file(run.init / "config.json"));
  return model;
}

/// "best" must name what validation will tell; which numbers there are is known after the first.
Result<void> check_best(const RunConfig& run) {
  if (run.best.empty()) return {};
  const std::string first = run.best.substr(0, run.best.find('.'));
  const bool drafts = first.starts_with("draft_") && !run.prompts.empty();
  if (run.validate_every > 0 && (drafts || run.validation.contains(first))) return {};
  return error(
      "best: {} is no number of a validation; it is the name of a set of \"validation\" and of one "
      "of its numbers, such as held.ar, or with a \"prompts_file\" draft_8.tokens_per_pass, and "
      "\"validate_every\" must not be 0",
      in_quotes(run.best));
}

/// Of numbers that a validation tells, which are losses but for these.
bool higher_is_better(std::string_view measure) {
  return measure.ends_with("tokens_per_pass") || measure.ends_with(".same_as_ar") ||
         measure.find(".place_probability.") != std::string_view::npos;
}

/// GiB as bytes.
int64_t bytes_of_gib(double gib) { return std::llround(gib * 1024 * 1024 * 1024); }

/// Numbers by name, of terms.
OrderedJson terms_json(const Objective& objective, const std::vector<double>& means) {
  OrderedJson json = OrderedJson::object();
  for (size_t i = 0; i < means.size(); ++i) {
    json[std::string(objective.terms()[i].name)] = means[i];
  }
  return json;
}

/// The first, or the last, characters of a text that fit into so many bytes, quoted, on one line.
std::string some_of(const std::string& text, size_t bytes, bool last) {
  const auto inside = [&](size_t at) {
    return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
  };
  size_t begin = last && text.size() > bytes ? text.size() - bytes : 0;
  while (inside(begin)) ++begin;
  size_t end = std::min(text.size(), begin + bytes);
  while (end > begin && inside(end)) --end;
  const std::string part = OrderedJson(text.substr(begin, end - begin)).dump();
  return fmt::format("{}{}{}", begin > 0 ? "…" : "", part, end < text.size() ? "…" : "");
}

/// One of "samples" for the terminal.
std::string sample_line(const OrderedJson& sample) {
  return fmt::format("sample: {} → {}", some_of(sample["prompt"], 32, true),
                     some_of(sample["text"], 100, false));
}

/// What the first masks of a block give to their tokens: " draft 0.61 0.38 0.22 0.15".
std::string first_places(const OrderedJson& terms) {
  constexpr size_t kShown = 4;
  if (!terms.contains("place_probability")) return "";
  std::string text = " draft";
  size_t shown = 0;
  for (const auto& value : terms["place_probability"]) {
    if (shown++ == kShown) break;
    text += fmt::format(" {:.2f}", value.get<double>());
  }
  return text;
}

}  // namespace

struct TrainingRun::Pace {
  Stopwatch watch;
  int64_t tokens = 0;
  double flops = 0;

  double tokens_per_s() const { return static_cast<double>(tokens) / watch.seconds(); }
  double gflops() const { return flops / watch.seconds() / 1e9; }
};

Result<TrainingRun> TrainingRun::open(const TrainFlags& flags, Communicator& ranks) {
  TrainingRun run(ranks);
  TIDAR_TRY(const std::string file, read_text_file(flags.config));
  TIDAR_TRY(run.config_text_, with_fields(file, flags.config, flags.set));
  TIDAR_TRY(run.config_, parse_run_config(run.config_text_, flags.config));
  const auto& out = run.config_.out;
  if (ranks.first()) {
    TIDAR_TRY(FolderLock lock, FolderLock::take(out));
    run.lock_.emplace(std::move(lock));
  }
  const bool resumed = flags.resume || flags.resume_from;
  if (!resumed && !checkpoints_of(out).empty()) {
    return error(
        "{}: holds checkpoints of an earlier run; go on with --resume, or name another "
        "folder in \"out\"",
        out.string());
  }
  TIDAR_TRY_VOID(run.open_model(flags));
  TIDAR_TRY_VOID(run.open_texts());
  if (resumed) TIDAR_TRY_VOID(run.resume(flags.resume_from));
  if (ranks.first()) {
    // A run that begins says all anew, what it says of step 0 included.
    const int64_t step = run.trainer_->state().step;
    TIDAR_TRY(RunLog log, RunLog::open(out, step > 0 ? step : -1));
    run.log_.emplace(std::move(log));
  }
  return run;
}

Result<void> TrainingRun::open_model(const TrainFlags& flags) {
  TIDAR_TRY_VOID(check_best(config_));
  TIDAR_TRY(NamedModel named, read_config(config_));
  model_config_ = std::move(named.config);
  config_json_ = std::move(named.json);
  if (!config_.tokenizer.empty() && std::filesystem::exists(config_.tokenizer / "tokenizer.json")) {
    TIDAR_TRY(tokenizer_, Tokenizer::open(config_.tokenizer));
    TIDAR_TRY_VOID(check_fits(*tokenizer_, model_config_.vocabulary, config_.tokenizer.string()));
  }
  ObjectiveOptions& objective = config_.objective;
  const ObjectiveLimits limits = {config_.sequence, model_config_.vocabulary};
  if (objective.kind != ObjectiveKind::ar) {
    TIDAR_TRY(objective.mask_token,
              mask_token_named(config_, model_config_, tokenizer_ ? &*tokenizer_ : nullptr));
    TIDAR_TRY(objective.end_token,
              end_token_named(config_, model_config_, tokenizer_ ? &*tokenizer_ : nullptr));
  }
  TIDAR_TRY(objective_, make_objective(objective, limits));
  TIDAR_TRY(measured_, make_objective(measured(objective), limits));
  TIDAR_TRY(ar_, make_objective(ObjectiveOptions{.prompts = objective.prompts}, limits));
  if (objective.kind != ObjectiveKind::ar) model_config_.tidar = trained_layout(objective);
  if (!model_config_.adapter.empty()) {
    return error(
        "init: {} has an adapter, in the folder {} within it; train on from its base, or from a "
        "checkpoint in which one of all rows was merged",
        config_.init.string(), model_config_.adapter);
  }
  if (config_.lora) {
    AdapterConfig& adapter = config_.lora->adapter;
    if (adapter.rows == AdapterRows::masks) adapter.mask_token = objective.mask_token;
    if (!config_.lora->merges) model_config_.adapter = kAdapterFolder;
  }
  if (config_.sequence > model_config_.max_positions) {
    return error("sequence: {} tokens are more than the model's {} positions", config_.sequence,
                 model_config_.max_positions);
  }

  threads_ = std::make_unique<Threads>(flags.threads);
  const bool narrow = config_.compute == WeightFormat::bf16;
  TIDAR_TRY(backend_,
            make_backend({.isa = flags.isa, .precision = narrow ? Precision::bf16 : Precision::f32},
                         *threads_));
  backward_ = make_backward(backend_, *threads_);
  const bool fresh = config_.init.empty();
  TIDAR_TRY(const ModelWeights weights,
            fresh ? ModelWeights::random(model_config_, DType::f32, config_.seed)
                  : ModelWeights::open(config_.init, model_config_));
  const PassExtent largest = objective_->largest_pass(config_.sequence);
  const AdapterConfig* const adapter = config_.lora ? &config_.lora->adapter : nullptr;
  TIDAR_TRY(RuledParameters ruled,
            apply_rules(config_.rules, trained_table(model_config_, adapter)));
  updates_ = std::move(ruled.updates);
  const TrainableOptions options = {.max_rows = largest.rows,
                                    .max_position = largest.positions,
                                    .compute = config_.compute,
                                    .activation_bytes = bytes_of_gib(config_.activation_gib),
                                    .logit_bytes = bytes_of_gib(config_.logit_gib),
                                    .frozen = std::move(ruled.frozen),
                                    .adapter = adapter ? std::optional(*adapter) : std::nullopt};
  TIDAR_TRY(model_, Trainable::build(model_config_, weights, *backward_, options));
  if (fresh) initialise(model_config_, config_.seed, model_->parameters());
  if (adapter != nullptr) initialise_adapter(config_.seed, model_->parameters());
  if (fresh || adapter != nullptr) model_->refresh();
  return {};
}

Result<void> TrainingRun::open_texts() {
  StreamOptions options = {config_.sequence, model_config_.vocabulary, config_.seed,
                           config_.objective.mask_token, config_.packing};
  for (const std::filesystem::path& shard : config_.train) {
    const auto times = config_.repeat.find(shard.string());
    options.repeat.push_back(times == config_.repeat.end() ? 1 : times->second);
  }
  TIDAR_TRY(TokenStream stream, TokenStream::open(config_.train, options));
  epoch_tokens_ = stream.tokens();
  const int64_t packs = stream.packs_of_epoch();
  step_tokens_ = static_cast<double>(epoch_tokens_) / static_cast<double>(packs) * step_packs();
  if (config_.epochs > 0) {
    const double steps = config_.epochs * static_cast<double>(packs) / step_packs();
    TIDAR_TRY_VOID(set_steps(config_, std::max<int64_t>(1, std::llround(steps))));
  }
  text_note_ = fmt::format(
      "text: {} tokens in {} documents, {} of one token left out; {} packs of {}, "
      "full to {:.0f} %",
      format_count(stream.tokens()), format_count(stream.documents()),
      format_count(stream.skipped()), format_count(packs), config_.sequence,
      100 * step_tokens_ / step_packs() / config_.sequence);
  options.packing = Packing::whole;  // validation reads whole documents, each once
  options.repeat.clear();
  for (const auto& [name, shards] : config_.validation) {
    TIDAR_TRY_VOID(TokenStream::open(shards, options));  // now, and not after the first 500 steps
    validation_.emplace(name, shards);
  }
  if (!config_.prompts.empty()) {
    if (!tokenizer_)
      return error("prompts_file: needs a tokenizer; name its folder in \"tokenizer\"");
    TIDAR_TRY(prompts_, read_prompts(config_.prompts.string(), *tokenizer_,
                                     {.most = config_.prompt_count,
                                      .shorter_than = model_config_.max_positions}));
  }
  const TrainerOptions trainer_options = {.packs = config_.packs,
                                          .seed = config_.seed,
                                          .schedule = config_.schedule,
                                          .adamw = config_.adamw,
                                          .updates = updates_,
                                          .ema = config_.ema,
                                          .clip = config_.clip,
                                          .spike_factor = config_.spike_factor};
  return with_memory_for("the optimizer's moments", "a smaller model needs less", [&] {
    trainer_ = std::make_unique<Trainer>(*model_, *objective_, std::move(stream), trainer_options,
                                         ranks_, *threads_);
  });
}

Error TrainingRun::broken(const Checkpoint& checkpoint, const RunMemory& memory,
                          const Error& why) const {
  const std::vector<Checkpoint> saved = checkpoints_of(config_.out);
  const auto good = std::find_if(saved.rbegin(), saved.rend(), [&](const Checkpoint& older) {
    return older.step < checkpoint.step && check_checkpoint(older, memory).ok();
  });
  if (good == saved.rend()) return why;
  return error("{}; the checkpoint of step {} is good: go on from it with --resume-from {}",
               why.message, good->step, good->step);
}

Result<void> TrainingRun::resume(std::optional<int64_t> from) {
  const std::vector<Checkpoint> saved = checkpoints_of(config_.out);
  if (saved.empty() && !from) {
    say(fmt::format("{}: no checkpoint yet; the run begins", config_.out.string()));
    return {};
  }
  const auto found = std::find_if(saved.begin(), saved.end(), [&](const Checkpoint& one) {
    return one.step == from.value_or(saved.back().step);
  });
  if (found == saved.end()) {
    std::vector<int64_t> steps;
    for (const Checkpoint& one : saved) steps.push_back(one.step);
    return error("--resume-from {}: {} has no checkpoint of this step; it has {}", *from,
                 config_.out.string(),
                 steps.empty() ? "none" : fmt::format("those of {}", fmt::join(steps, ", ")));
  }
  std::optional<Moments> moments;  // of all ranks
  const RunMemory memory = trainer_->memory_to_restore(moments);
  const auto restored = restore_checkpoint(*found, memory);
  if (!restored.ok()) return broken(*found, memory, restored.error());
  trainer_->take(moments);
  TIDAR_TRY_VOID(trainer_->restore(restored->state));
  best_ = restored->best;
  if (from && ranks_.first()) TIDAR_TRY_VOID(leave_newer_behind(config_.out, *found));
  say(fmt::format("{}: going on at step {}", found->folder.string(), restored->state.step));
  if (restored->run != config_text_) {
    say("the config is not the one that the checkpoint was made with; the new one counts");
  }
  return {};
}

void TrainingRun::say(std::string_view text) const {
  if (ranks_.first()) print_note(text);
}

Result<void> TrainingRun::on_first_rank(const std::function<Result<void>()>& body) {
  Result<void> here;
  if (ranks_.first()) here = body();
  if (!any(ranks_, !here.ok())) return {};
  return ranks_.first() ? here : error("");  // rank 0 says why
}

int TrainingRun::step_packs() const { return config_.packs * ranks_.ranks(); }

std::vector<MemoryUse> TrainingRun::memory() const {
  std::vector<MemoryUse> uses = model_->memory();
  const bool codes = config_.adamw.moments == MomentFormat::bits8;
  uses.push_back(
      {codes ? "optimizer's moments, in 8 bits" : "optimizer's moments", trainer_->moment_bytes()});
  if (config_.ema > 0) uses.push_back({"average of weights", trainer_->average_bytes()});
  if (backend_.cpu != nullptr) uses.push_back({"kernels' scratch", backend_.scratch_bytes()});
  return uses;
}

int64_t TrainingRun::memory_bytes() const {
  int64_t bytes = 0;
  for (const MemoryUse& use : memory()) bytes += use.bytes;
  return bytes;
}

void TrainingRun::describe() const {
  say(text_note_);
  int64_t frozen = 0, trained = 0;
  for (const Parameter& parameter : model_->parameters().all()) {
    (parameter.frozen() ? frozen : trained) += parameter.value.rows * parameter.value.cols;
  }
  say(fmt::format("model: {} parameters{}, {}, {} layers, hidden {}, vocabulary {}",
                  format_count(model_config_.parameters()),
                  frozen > 0 ? fmt::format(" ({} of them frozen)", format_count(frozen)) : "",
                  model_config_.architecture, model_config_.layers, model_config_.hidden,
                  model_config_.vocabulary));
  if (config_.lora) {
    say(fmt::format("adapter: {}; {} parameters are trained, {}", text_of(config_.lora->adapter),
                    format_count(trained),
                    config_.lora->merges ? "and merged into the weights of checkpoints"
                                         : "and kept beside the weights of checkpoints"));
  }
  say(fmt::format(
      "objective: {}; {} steps of {} packs{}, some {} tokens, {:.2f} epochs; products in {} on {}",
      config_.objective_text, format_count(config_.schedule.steps), config_.packs,
      ranks_.ranks() > 1 ? fmt::format(" on each of {} ranks", ranks_.ranks()) : "",
      format_count(std::llround(step_tokens_)),
      static_cast<double>(config_.schedule.steps) * step_tokens_ /
          static_cast<double>(epoch_tokens_),
      name_of(config_.compute), backend_.ops->name()));
  Table table({"memory", ""});
  for (const MemoryUse& use : memory()) table.add({use.purpose, format_bytes(use.bytes)});
  table.add({"total", format_bytes(memory_bytes())});
  std::string text = table.text();
  if (text.ends_with('\n')) text.pop_back();
  say(text);
}

void TrainingRun::measure_roof() {
  if (!backend_.isa) return;
  const DType operand = backend_.ops->operand(config_.compute);
  product_gflops_ = measure_product_gflops(*threads_, *backend_.isa, operand);
  ranks_.sum({&product_gflops_, 1});
  say(fmt::format("roof: {} products at {:.0f} GFLOP/s on {} threads", name_of(operand),
                  product_gflops_, threads_->size() * ranks_.ranks()));
}

// In parts, of which a narrow terminal shows the first.
void TrainingRun::show(const TrainedStep& report, const Pace& pace, Progress& progress) const {
  const int64_t done = report.step - began_at_, left = config_.schedule.steps - report.step;
  std::vector<std::string> parts = {
      fmt::format("[{}] step {}/{}", bar(report.step, config_.schedule.steps), report.step,
                  config_.schedule.steps),
      fmt::format("loss {:.4f}", report.loss), fmt::format("{:.0f} tokens/s", pace.tokens_per_s())};
  parts.push_back(fmt::format(
      "{} left",
      clock_text(training_.seconds() * static_cast<double>(left) / static_cast<double>(done))));
  if (product_gflops_ > 0) {
    parts.push_back(fmt::format("{:.0f} % of roof", 100 * pace.gflops() / product_gflops_));
  }
  if (objective_->terms().size() > 1) {
    for (size_t i = 0; i < report.terms.size(); ++i) {
      parts.push_back(fmt::format("{} {:.4f}", objective_->terms()[i].name, report.terms[i]));
    }
  }
  parts.push_back(fmt::format("gradient {:.2f}", report.gradient_norm));
  parts.push_back(fmt::format("rate {:.1e}", report.rate));
  const auto tokens = trainer_->state().tokens;
  parts.push_back(format_count(tokens) + " tokens");
  parts.push_back(fmt::format("epoch {:.2f}",
                              static_cast<double>(tokens) / static_cast<double>(epoch_tokens_)));
  progress.show(fmt::format("{}", fmt::join(parts, "  ")));
}

Result<void> TrainingRun::log_step(const TrainedStep& report, const Pace& pace) {
  OrderedJson line = {{"step", report.step}, {"loss", report.loss}};
  line.update(terms_json(*objective_, report.terms));
  line["gradient_norm"] = report.gradient_norm;
  line["learning_rate"] = report.rate;
  line["tokens"] = trainer_->state().tokens;
  line["epoch"] = report.epoch;
  line["tokens_per_s"] = pace.tokens_per_s();
  line["gflop_per_s"] = pace.gflops();
  if (product_gflops_ > 0) line["share_of_roof"] = pace.gflops() / product_gflops_;
  if (report.left_out) line["left_out"] = true;
  return log_->add("train", line);
}

// Each time the same text: the stream is opened anew, with a seed of its own.
Result<TextLoss> TrainingRun::loss_on(const Objective& objective,
                                      const std::vector<std::filesystem::path>& shards) {
  TIDAR_TRY(TokenStream stream,
            TokenStream::open(shards, {config_.sequence, model_config_.vocabulary, 0,
                                       config_.objective.mask_token}));
  return text_loss(*model_, objective, stream, config_.validation_packs, ranks_);
}

Result<OrderedJson> TrainingRun::losses_on(const std::vector<std::filesystem::path>& shards) {
  TIDAR_TRY(const TextLoss loss, loss_on(*measured_, shards));
  OrderedJson terms = terms_json(*measured_, loss.terms);
  for (size_t i = 0; i < loss.places.size(); ++i) {
    const std::string place = std::to_string(i + 1);
    terms["place_loss"][place] = loss.places[i].loss;
    terms["place_probability"][place] = loss.places[i].probability;
  }
  if (measured_->terms().front().name != "ar") {
    TIDAR_TRY(const TextLoss ar, loss_on(*ar_, shards));
    terms["ar"] = ar.loss;
  }
  return terms;
}

Result<double> TrainingRun::validation_loss() {
  double sum = 0;
  for (const auto& [name, shards] : validation_) {
    TIDAR_TRY(const TextLoss loss, loss_on(*measured_, shards));
    sum += loss.loss;
  }
  return validation_.empty() ? 0 : sum / static_cast<double>(validation_.size());
}

Result<Trial> TrainingRun::try_out(int64_t steps, double seconds) {
  Trial trial = {.step_tokens = step_tokens_,
                 .epoch_tokens = static_cast<double>(epoch_tokens_),
                 .memory_bytes = memory_bytes()};
  TIDAR_TRY_VOID(trainer_->step());  // the first one finds everything cold
  Stopwatch watch;
  int64_t done = 0;
  do {
    TIDAR_TRY_VOID(trainer_->step());
    ++done;
  } while (done + 1 < steps && !trainer_->done() && watch.seconds() < seconds);
  trial.step_s = watch.seconds() / static_cast<double>(done);
  watch = {};
  TIDAR_TRY(trial.loss, validation_loss());
  trial.validation_s = watch.seconds();
  return trial;
}

Result<bool> TrainingRun::is_best(const OrderedJson& line, BestStep& best) const {
  std::string pointer = "/" + config_.best;
  std::replace(pointer.begin(), pointer.end(), '.', '/');
  const OrderedJson::json_pointer at(pointer);
  if (!line.contains(at) || !line[at].is_number()) {
    return error("best: {} is no number of this line of log.jsonl: {}", in_quotes(config_.best),
                 line.dump());
  }
  best = {line[at].get<double>(), trainer_->state().step};
  if (!best_) return true;
  return higher_is_better(config_.best) ? best.value > best_->value : best.value < best_->value;
}

Result<void> TrainingRun::validate() {
  const AverageInUse average(*trainer_);
  OrderedJson line = {{"step", trainer_->state().step}};
  std::string text = fmt::format("step {}:", trainer_->state().step);
  for (const auto& [name, shards] : validation_) {
    const Result<OrderedJson> losses = losses_on(shards);
    if (!losses.ok()) {
      return error("step {}: {}: {}", trainer_->state().step, name, losses.error().message);
    }
    const OrderedJson& terms = losses.value();
    text += " " + name;
    for (const auto& [term, value] : terms.items()) {
      if (value.is_number()) text += fmt::format(" {} {:.4f}", term, value.get<double>());
    }
    text += first_places(terms) + ";";
    line[name] = terms;
  }
  TIDAR_TRY_VOID(on_first_rank([&] { return try_drafts(line, text); }));
  text.pop_back();
  say(text);
  if (line.contains("samples")) say(sample_line(line["samples"][0]));
  TIDAR_TRY_VOID(on_first_rank([&]() -> Result<void> {
    if (!config_.best.empty()) {
      BestStep best;
      TIDAR_TRY(const bool better, is_best(line, best));
      if (better && best.step > 0) best_ = best;  // there is no checkpoint of the beginning
    }
    return log_->add("validation", line);
  }));
  BestStep best = best_.value_or(BestStep{.step = 0});
  ranks_.share(std::as_writable_bytes(std::span(&best, 1)));
  if (best.step > 0) best_ = best;
  return {};
}

Result<void> TrainingRun::try_drafts(OrderedJson& line, std::string& text) {
  if (prompts_.empty() || (config_.draft_lengths.empty() && config_.samples == 0)) return {};
  const DecodingCheckOptions options = {.draft_lengths = config_.draft_lengths,
                                        .mask_token = config_.objective.mask_token,
                                        .max_new = config_.max_new,
                                        .weights = config_.compute,
                                        .samples = config_.samples,
                                        .seed = config_.seed};
  TIDAR_TRY(const DecodingCheck check, check_decoding(*model_, backend_, prompts_, options));
  for (const DecodedAt& at : check.at) {
    text += fmt::format(
        " K={} {:.2f} tokens per pass, {:.2f} at temperature 1{};", at.draft_length,
        at.tokens_per_pass(), at.sampled_tokens_per_pass(),
        at.same_as_ar == at.prompts
            ? ", as AR"
            : fmt::format(", {} of {} texts NOT as AR", at.prompts - at.same_as_ar, at.prompts));
    line["draft_" + std::to_string(at.draft_length)] = {
        {"tokens_per_pass", at.tokens_per_pass()},
        {"sampled_tokens_per_pass", at.sampled_tokens_per_pass()},
        {"same_as_ar", at.same_as_ar},
        {"prompts", at.prompts}};
  }
  for (size_t i = 0; i < check.samples.size(); ++i) {
    line["samples"].push_back({{"prompt", prompts_[i].text},
                               {"text", tokenizer_->decode(check.samples[i], SkipSpecial::yes)}});
  }
  return {};
}

std::optional<SavedAdapter> TrainingRun::saved_adapter() const {
  if (!config_.lora) return {};
  return SavedAdapter{config_.lora->adapter, config_.lora->merges, config_.init};
}

Result<void> TrainingRun::save() {
  const TrainingState state = trainer_->state();
  std::optional<Moments> moments;  // of all ranks
  const RunMemory memory = trainer_->memory(moments);
  return on_first_rank([&]() -> Result<void> {
    TIDAR_TRY_VOID(save_checkpoint(config_.out,
                                   {.config = model_config_,
                                    .memory = memory,
                                    .state = state,
                                    .best = best_,
                                    .config_json = config_json_,
                                    .weights = config_.saved_weights,
                                    .adapter = saved_adapter(),
                                    .tokenizer = tokenizer_ ? config_.tokenizer : "",
                                    .run = config_text_},
                                   config_.keep));
    return {};
  });
}

Result<int> TrainingRun::go() {
  describe();
  measure_roof();
  const Interrupt interrupt;
  const auto due = [](int64_t every, int64_t step) { return every > 0 && step % every == 0; };
  const bool watched = config_.validate_every > 0 && (!validation_.empty() || !prompts_.empty());
  began_at_ = trainer_->state().step;
  if (watched && began_at_ == 0) TIDAR_TRY_VOID(validate());
  training_ = {};
  Pace pace;
  Progress progress;
  while (!trainer_->done() && !any(ranks_, interrupt.requested())) {
    TIDAR_TRY(const TrainedStep report, trainer_->step());
    pace.tokens += report.tokens;
    pace.flops += report.flops;
    if (ranks_.first()) show(report, pace, progress);
    if (report.left_out || due(config_.log_every, report.step) || trainer_->done()) {
      TIDAR_TRY_VOID(on_first_rank([&] { return log_step(report, pace); }));
      pace = Pace();
    }
    if (watched && (due(config_.validate_every, report.step) || trainer_->done())) {
      progress.clear();
      TIDAR_TRY_VOID(validate());
      pace = Pace();
    }
    const bool best = best_ && best_->step == report.step;
    if (best || due(config_.checkpoint_every, report.step)) TIDAR_TRY_VOID(save());
  }
  progress.clear();
  TIDAR_TRY_VOID(save());
  const int64_t step = trainer_->state().step;
  say(fmt::format("{}: step {} of {} saved{}", (config_.out / "latest").string(), step,
                  config_.schedule.steps, trainer_->done() ? "" : "; go on with --resume"));
  if (best_) {
    say(fmt::format("{}: step {}, where {} was {:.4f}", (config_.out / "best").string(),
                    best_->step, config_.best, best_->value));
  }
  return trainer_->done() ? kDone : kInterrupted;
}

}  // namespace tidar
