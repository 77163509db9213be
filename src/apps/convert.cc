// tidar convert: an AR checkpoint becomes a TiDAR model, with all that is decided on the way said
// and written down. What is done, step by step, are runs of tidar train.

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "apps/command.h"
#include "apps/conversion_decoding.h"
#include "apps/conversion_page.h"
#include "apps/conversion_plan.h"
#include "apps/conversion_text.h"
#include "apps/ends_of_text.h"
#include "apps/ids.h"
#include "apps/initial_folder.h"
#include "apps/interrupt.h"
#include "apps/mask_choice.h"
#include "apps/output.h"
#include "apps/ranges.h"
#include "apps/training_run.h"
#include "format/files.h"
#include "format/gguf.h"
#include "format/json.h"
#include "model/weights.h"

namespace tidar {
namespace {

/// Of each trial of the range test.
constexpr int64_t kRangeSteps = 60;
/// Steps from which time is estimated, at most, and seconds for them.
constexpr int64_t kTriedSteps = 8;
constexpr double kTriedSeconds = 20;

/// An adapter learns at about ten times the rate of its weights, whatever its rank (Schulman et
/// al., "LoRA Without Regret", 2025); small models' rates are high already.
constexpr double kAdapterRates = 10;
constexpr double kMostAdapterRate = 5e-3;

struct ConvertFlags {
  std::string model;
  ConversionSources sources;
  std::string out;
  std::string budget = "1h,4epochs";
  int block_size = 16;
  std::string mask_token;
  bool add_mask_token = false;
  std::string end;
  bool control = false;
  bool range_test = false;
  std::vector<std::string> set;
  std::string isa = "best";
  int threads = 0;
};

/// The files of a conversion.
struct Folder {
  std::filesystem::path out;

  std::filesystem::path config() const { return out / "run.json"; }
  std::filesystem::path control_config() const { return out / "control.json"; }
  std::filesystem::path control() const { return out / "control"; }
  std::filesystem::path text() const { return out / "text"; }
  std::filesystem::path init() const { return out / "init"; }
  std::filesystem::path trial() const { return out / "trial"; }
  std::filesystem::path asked() const { return out / "convert.json"; }
};

/// What makes a conversion another one.
std::string asked_for(const ConvertFlags& flags) {
  OrderedJson json = {{"model", flags.model},
                      {"data", flags.sources.data.files},
                      {"field", flags.sources.data.field},
                      {"template", flags.sources.data.text_template},
                      {"prompt", flags.sources.data.prompt},
                      {"validation", flags.sources.validation},
                      {"budget", flags.budget},
                      {"block_size", flags.block_size},
                      {"mask_token", flags.mask_token},
                      {"end", flags.end},
                      {"range_test", flags.range_test},
                      {"set", flags.set}};
  if (flags.add_mask_token) json["add_mask_token"] = true;
  return json.dump(2) + "\n";
}

class Conversion {
 public:
  explicit Conversion(const ConvertFlags& flags) : flags_(flags), folder_{flags.out} {}

  Result<int> run() {
    TIDAR_TRY(const bool begun, has_begun());
    if (!begun) TIDAR_TRY_VOID(plan());
    TIDAR_TRY(const int trained, train(folder_.config()));
    if (trained != kDone) return trained;
    if (flags_.control) {
      print_note("control: the same steps of AR alone");
      TIDAR_TRY_VOID(write_control());
      TIDAR_TRY(const int controlled, train(folder_.control_config()));
      if (controlled != kDone) return controlled;
    }
    return finish();
  }

 private:
  /// Whether the folder has the plan of this conversion. An Error when it has that of another.
  Result<bool> has_begun() const {
    if (!std::filesystem::exists(folder_.config())) return false;
    TIDAR_TRY(const std::string asked, read_text_file(folder_.asked()));
    if (asked == asked_for(flags_)) return true;
    return error(
        "{}: holds a conversion with other flags; name another folder, or go on with tidar train "
        "--config {} --resume",
        folder_.out.string(), folder_.config().string());
  }

  Result<void> plan() {
    TIDAR_TRY(const Tokenizer tokenizer, Tokenizer::open(flags_.model));
    TIDAR_TRY(const ModelConfig config, read_model_config(flags_.model));
    TIDAR_TRY_VOID(check_fits(tokenizer, config.vocabulary, flags_.model));
    std::filesystem::create_directories(folder_.text());

    ConversionSources sources = flags_.sources;
    sources.model = flags_.model;
    TIDAR_TRY(const EndOfText end, end_of_text(flags_.end, flags_.model, config, tokenizer,
                                               sources.data, flags_.threads));
    sources.end = end.token;
    TIDAR_TRY(const ConversionText text, gather_text(sources, tokenizer, folder_.text()));
    TIDAR_TRY(const MaskChoice mask, flags_.add_mask_token ? new_mask(config, tokenizer)
                                                           : choose_mask(flags_.mask_token, config,
                                                                         tokenizer, text.counts));
    print_note(fmt::format("data: {} of {}, of which {} are held out for validation",
                           counted(text.tokens, "token"), counted(text.documents, "document"),
                           format_count(text.held_out)));
    print_note(fmt::format("end of text: {}", end.why));
    if (text.ended < text.documents) {
      print_note(fmt::format("{} of {} documents do not end with it",
                             format_count(text.documents - text.ended),
                             format_count(text.documents)));
    }
    print_note(fmt::format("mask token: {}", mask.why));

    TIDAR_TRY(const std::filesystem::path init, initial_folder(config, mask));
    TIDAR_TRY(const bool wide, stored_wide(config));
    OrderedJson fields = {{"out", folder_.out.string()}};
    fields.update(planned_fields({.model = init,
                                  .config = config,
                                  .text = text,
                                  .mask_token = mask.token,
                                  .block_size = flags_.block_size,
                                  .wide_weights = wide}));
    TIDAR_TRY(fields, with_settings(std::move(fields)));
    if (flags_.range_test) {
      TIDAR_TRY(const double rate, best_rate(fields));
      fields["learning_rate"] = rate;
      fields["final_learning_rate"] = rate / 20;
    }
    TIDAR_TRY_VOID(add_steps(fields));
    TIDAR_TRY_VOID(write_text_file(folder_.asked(), asked_for(flags_)));
    return write_text_file(folder_.config(), fields.dump(2) + "\n");
  }

  /// The folder to go on from: the model's own, or one that is made of it.
  Result<std::filesystem::path> initial_folder(const ModelConfig& config,
                                               const MaskChoice& mask) const {
    const bool gguf = is_gguf_path(flags_.model);
    if (!gguf && mask.added.content.empty()) return std::filesystem::path(flags_.model);
    if (gguf) {
      print_note(fmt::format(
          "{}: becomes a Hugging Face folder, {}: config, tokenizer, chat template and weights, of "
          "which those in codes become f32, as exact as the codes are; what else the file says "
          "(its name, its licence, how to sample) stays behind",
          flags_.model, folder_.init().string()));
    }
    TIDAR_TRY_VOID(write_initial_folder(
        {.model = flags_.model, .out = folder_.init(), .config = config, .added = mask.added}));
    return folder_.init();
  }

  /// Whether the checkpoint's matrices are stored as f32.
  Result<bool> stored_wide(const ModelConfig& config) const {
    TIDAR_TRY(const ModelWeights weights, ModelWeights::open(flags_.model, config));
    return weights.stored_as(WeightRole::embedding) == "F32";
  }

  Result<OrderedJson> with_settings(OrderedJson fields) const {
    const OrderedJson planned = fields;
    TIDAR_TRY(const std::string text, with_fields(fields.dump(), "--set", flags_.set));
    fields = OrderedJson::parse(text);
    if (fields["out"] != planned["out"]) return error("--set out: --out names the folder");
    const OrderedJson& objective = fields["objective"];
    if (!objective.is_string() || !objective.get<std::string>().starts_with("tidar")) {
      return error("--set objective: a conversion is to tidar:K; tidar train has the others");
    }
    if (flags_.control && fields.contains("lora")) {
      return error(
          "--control: AR trained as long is compared with a model whose weights are trained; with "
          "\"lora\" leave it out");
    }
    if (fields.contains("lora")) {
      for (const char* const field : {"learning_rate", "final_learning_rate"}) {
        if (fields[field] == planned[field]) {
          fields[field] = std::min(kAdapterRates * planned[field].get<double>(), kMostAdapterRate);
        }
      }
    }
    const OrderedJson& validation = fields["validation"];
    if (!validation.is_object() || validation.empty()) {
      return error("--set validation: a conversion measures on validation text; leave it out");
    }
    return fields;
  }

  TrainFlags train_flags(const std::filesystem::path& config) const {
    TrainFlags training;
    training.config = config.string();
    training.isa = flags_.isa;
    training.threads = flags_.threads;
    return training;
  }

  /// Trains a few steps of a run with these fields in a folder of its own, which is removed.
  Result<Trial> try_out(OrderedJson fields, int64_t steps, double seconds) const {
    std::filesystem::create_directories(folder_.trial());
    const auto config = folder_.trial() / "run.json";
    fields["out"] = (folder_.trial() / "out").string();
    fields["steps"] = std::max<int64_t>(steps, 2);
    fields.erase("epochs");
    TIDAR_TRY_VOID(write_text_file(config, fields.dump(2)));
    auto trial = [&]() -> Result<Trial> {
      const auto alone = make_solo();
      TIDAR_TRY(TrainingRun run, TrainingRun::open(train_flags(config), *alone));
      return run.try_out(steps, seconds);
    }();
    std::filesystem::remove_all(folder_.trial());
    return trial;
  }

  /// Of rates around the planned one, that with the lowest loss after a short run, at whose end the
  /// rate has fallen as it will at the end of the long one.
  Result<double> best_rate(const OrderedJson& fields) const {
    const double planned = fields["learning_rate"];
    double best = planned, lowest = std::numeric_limits<double>::infinity();
    Progress progress;
    for (const double factor : {0.125, 0.25, 0.5, 1.0, 2.0, 4.0}) {
      const double rate = factor * planned;
      progress.show(fmt::format("range test: learning rate {:.2g}", rate));
      OrderedJson tried = fields;
      tried["learning_rate"] = rate;
      tried["final_learning_rate"] = rate / 20;
      tried["warmup_steps"] = kRangeSteps / 10;
      auto trial = try_out(std::move(tried), kRangeSteps, HUGE_VAL);
      progress.clear();
      if (!trial.ok()) {  // it diverged
        print_note(fmt::format("learning rate {:.2g}: {}", rate, trial.error().message));
        break;
      }
      print_note(fmt::format("learning rate {:.2g}: loss {:.4f} after {} steps", rate, trial->loss,
                             kRangeSteps));
      if (trial->loss < lowest) lowest = trial->loss, best = rate;
    }
    return best;
  }

  /// Steps, and what is done every so many of them.
  Result<void> add_steps(OrderedJson& fields) const {
    Progress progress;
    progress.show("a few steps, to see how long they take");
    TIDAR_TRY(const Trial trial, try_out(fields, kTriedSteps, kTriedSeconds));
    progress.clear();
    const StepCost cost = {.seconds = trial.step_s,
                           .tokens = trial.step_tokens,
                           .epoch_tokens = trial.epoch_tokens,
                           .validation_s = trial.validation_s};
    const bool given = fields.contains("steps") || fields.contains("epochs");
    const int64_t steps = fields.contains("steps") ? fields["steps"].get<int64_t>()
                          : fields.contains("epochs")
                              ? steps_of({.epochs = fields["epochs"]}, cost)
                              : steps_of(*parse_budget(flags_.budget), cost);
    if (!given) fields["steps"] = steps;
    const int64_t every = std::max<int64_t>(1, steps / 8);
    if (!fields.contains("validate_every")) fields["validate_every"] = every;
    if (!fields.contains("checkpoint_every")) fields["checkpoint_every"] = every;
    if (!fields.contains("log_every")) fields["log_every"] = std::max<int64_t>(1, steps / 500);
    print_note(fmt::format("plan: {} steps, {} tokens, {:.1f} epochs, about {}; memory {}; {}",
                           format_count(steps),
                           format_count(std::llround(static_cast<double>(steps) * cost.tokens)),
                           static_cast<double>(steps) * cost.tokens / cost.epoch_tokens,
                           clock_text(seconds_of(steps, cost)), format_bytes(trial.memory_bytes),
                           folder_.config().string()));
    return {};
  }

  Result<int> train(const std::filesystem::path& config) const {
    TIDAR_TRY(const RunConfig fields, config_of(config));
    TrainFlags training = train_flags(config);
    training.resume = !checkpoints_of(fields.out).empty();
    const auto alone = make_solo();
    TIDAR_TRY(TrainingRun run, TrainingRun::open(training, *alone));
    return run.go();
  }

  static Result<RunConfig> config_of(const std::filesystem::path& file) {
    TIDAR_TRY(const std::string text, read_text_file(file));
    return parse_run_config(text, file.string());
  }

  /// The config of AR trained on: the same text, steps and rate.
  Result<void> write_control() const {
    TIDAR_TRY(const std::string text, read_text_file(folder_.config()));
    OrderedJson fields = OrderedJson::parse(text);
    fields["out"] = folder_.control().string();
    fields["objective"] = "ar";
    return write_text_file(folder_.control_config(), fields.dump(2) + "\n");
  }

  /// Tables of what drafts bring, greedily and at temperature 1; nothing after Ctrl-C.
  Result<std::optional<std::vector<ConversionPage::Decoding>>> decode() const {
    TIDAR_TRY(const RunConfig config, config_of(folder_.config()));
    const Interrupt interrupt;
    Progress progress;
    const RunHooks hooks = {.progress =
                                [&](int64_t done, int64_t all) {
                                  progress.show(fmt::format("decoding {} of {}", done, all));
                                },
                            .stop = [&] { return interrupt.requested(); }};
    std::vector<ConversionPage::Decoding> parts;
    for (const auto& [name, temperature] : {std::pair{"greedy", 0.0f}, {"sampled", 1.0f}}) {
      HeldOutDecoding what = {.model = {},
                              .validation = config.validation.begin()->second,
                              .results = folder_.out / "decoding" / name,
                              .temperature = temperature};
      what.model.model = (folder_.out / "latest").string();
      what.model.backend.isa = flags_.isa;
      what.model.threads = flags_.threads;
      TIDAR_TRY(std::string tables, decode_held_out(what, hooks));
      if (interrupt.requested()) return std::optional<std::vector<ConversionPage::Decoding>>();
      parts.push_back({temperature == 0 ? "greedily" : "at temperature 1", std::move(tables)});
    }
    return std::optional(std::move(parts));
  }

  Result<int> finish() const {
    TIDAR_TRY(auto decoding, decode());
    if (!decoding) return kInterrupted;
    const ConversionPage page = {.model = flags_.model,
                                 .out = folder_.out,
                                 .control = flags_.control ? folder_.control() : "",
                                 .data = flags_.sources.data.files,
                                 .decoding = std::move(*decoding)};
    TIDAR_TRY(const std::string text, write_page(page));
    print(text);
    return kDone;
  }

  const ConvertFlags& flags_;
  Folder folder_;
};

Result<int> convert(const ConvertFlags& flags) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(flags.model, ignored) && !is_gguf_path(flags.model)) {
    return error(
        "{}: no such folder; --model names a Hugging Face folder with weights to go on from, or a "
        "GGUF file",
        flags.model);
  }
  return Conversion(flags).run();
}

}  // namespace

void add_convert(CLI::App& program, Action& action) {
  CLI::App& command = *program.add_subcommand(
      "convert", "Makes a TiDAR model of an AR checkpoint: plans, trains, measures, reports");
  const auto flags = std::make_shared<ConvertFlags>();  // shared by the parser and the action
  CorpusFlags& data = flags->sources.data;
  command.option_defaults()->group("Conversion");
  command
      .add_option("--model", flags->model,
                  "Hugging Face folder of the AR checkpoint, or a GGUF file, of which OUT/init "
                  "becomes such a folder")
      ->required()
      ->type_name("DIR|FILE.gguf");
  command
      .add_option("--data", data.files,
                  "What to train on: text files, .jsonl with a document a line, or token shards "
                  "of tidar data tokens; best of all what the model itself writes (tidar generate "
                  "--samples)")
      ->required()
      ->type_name("FILE...");
  command
      .add_option("--validation", flags->sources.validation,
                  "Likewise, what to measure on (default: a part of the data, held out)")
      ->type_name("FILE...");
  add_document_flags(command, data);
  command.add_option("--out", flags->out, "Folder for the model and all that led to it")
      ->required()
      ->type_name("DIR");
  command
      .add_option("--budget", flags->budget,
                  "How long to train: what bounds it first, of 30min, 2h, 10Mtokens, 3epochs")
      ->check(parsed_by(parse_budget))
      ->type_name("BUDGET")
      ->capture_default_str();
  command.add_option("--block-size", flags->block_size, "Longest draft to learn, K")
      ->check(whole_number(1, 64))
      ->type_name("K")
      ->capture_default_str();
  CLI::Option* mask =
      command
          .add_option("--mask-token", flags->mask_token,
                      "Id or text of the token that stands for unknown ones (default: one that no "
                      "text can have, or that is reserved; else a new one)")
          ->type_name("TOKEN");
  command
      .add_flag("--add-mask-token", flags->add_mask_token,
                "Add a token of its own for them, to the tokenizer and, where the model has no "
                "row for it, to the model, in OUT/init")
      ->excludes(mask);
  command
      .add_option("--end", flags->end,
                  "Id or text of the token that ends texts (default: that of the model's config "
                  "which the model itself expects there)")
      ->type_name("TOKEN");
  command.add_flag("--control", flags->control,
                   "Train AR alone for as many steps, too, to compare with");
  command.add_flag("--range-test", flags->range_test,
                   "Try learning rates around the default for some steps, and take the best");
  command.add_option("--set", flags->set, "A field of the training's config (docs/training.md)")
      ->type_name("FIELD=VALUE")
      ->allow_extra_args(false);
  command.option_defaults()->group("Computing");
  add_isa_flag(command, flags->isa);
  add_threads_flag(command, flags->threads);
  command.footer(
      "OUT/run.json is the config of the training, to be changed and run by hand with\n"
      "tidar train; OUT/latest the model; OUT/README.md the page that this ends with.\n"
      "Ctrl-C saves; the same command goes on.");
  command.callback([flags, &action] { action = [flags] { return convert(*flags); }; });
}

}  // namespace tidar
