// tidar gradients: the loss of one text and its gradient with respect to every weight, for
// comparing with other programs.

#include <memory>
#include <string>
#include <vector>

#include "apps/command.h"
#include "apps/ids.h"
#include "apps/output.h"
#include "apps/ranges.h"
#include "apps/session.h"
#include "format/tensors.h"
#include "train/objective.h"
#include "train/optimizer.h"

namespace tidar {
namespace {

struct GradientsFlags {
  ModelFlags model;
  std::string ids;
  std::string objective = "ar";
  ObjectiveOptions options;
  int mask_token = -1;
  uint64_t seed = 0;
  std::string out;
  bool json = false;
};

bool predicts_next(const ObjectiveOptions& options) {
  return options.kind == ObjectiveKind::ar || options.kind == ObjectiveKind::tidar;
}

/// The text as one document. Where tokens predict the next one, the last is a label only, as in
/// training on a part of a longer text.
Document whole_text(const ObjectiveOptions& options, std::span<const int32_t> ids) {
  if (!predicts_next(options) || ids.size() < 2) return {ids};
  return {ids.first(ids.size() - 1), ids.back()};
}

/// What is asked of the network.
struct Task {
  std::unique_ptr<Objective> objective;
  TrainingPass step;
};

Result<Task> make_task(const GradientsFlags& flags, const ModelConfig& config,
                       std::span<const int32_t> ids) {
  ObjectiveOptions options = flags.options;
  const std::string where = "--objective " + flags.objective;
  if (options.kind != ObjectiveKind::ar) {
    TIDAR_TRY(options.mask_token, mask_token_of(config, flags.mask_token, where));
  }
  const std::vector<std::vector<Document>> packs = {{whole_text(options, ids)}};
  const int size = static_cast<int>(packs[0][0].tokens.size());
  if (size > config.max_positions) {
    return error("--ids: {} positions are more than the model's {}", size, config.max_positions);
  }
  Task task;
  TIDAR_TRY(task.objective, make_objective(options, {size, config.vocabulary}));
  task.step = std::move(lay_out_step(*task.objective, packs, {flags.seed, 0})[0]);
  if (task.step.labels.empty()) {
    return error("{}: no row of these {} ids has a label, so there is no loss{}", where, ids.size(),
                 predicts_next(options) ? "" : "; another --seed draws other masks");
  }
  return task;
}

Result<void> write_gradients(const std::string& path, const Parameters& parameters) {
  std::vector<TensorToWrite> tensors;
  for (const Parameter& parameter : parameters.all()) {
    const Matrix& gradient = parameter.gradient;
    tensors.push_back({parameter.spec.name,
                       gradient.dtype,
                       parameter.spec.shape,
                       {gradient.data, static_cast<size_t>(gradient.bytes())}});
  }
  return write_tensors(path, tensors);
}

/// Loss and terms; and what was computed, rows and labels, so that noise can be repeated elsewhere.
OrderedJson describe(const Task& task, std::span<const double> losses) {
  const auto terms = task.objective->terms();
  std::vector<double> means(terms.size(), 0.0);
  add_term_means(task.step, losses, means);
  OrderedJson described = {{"loss", total_loss(terms, means)}};
  for (size_t i = 0; i < terms.size(); ++i) described[std::string(terms[i].name)] = means[i];
  described["tokens"] = task.step.pass.tokens;
  described["positions"] = task.step.pass.positions;
  OrderedJson& labels = described["labels"] = OrderedJson::array();
  for (size_t i = 0; i < losses.size(); ++i) {
    const Label& label = task.step.labels[i];
    labels.push_back({{"row", label.row},
                      {"token", label.token},
                      {"weight", label.weight},
                      {"loss", losses[i]}});
  }
  return described;
}

Result<int> gradients(GradientsFlags flags) {
  if (flags.ids == "-") {
    TIDAR_TRY(flags.ids, read_text("-"));
  }
  TIDAR_TRY(const std::vector<int32_t> ids, parse_ids(flags.ids, "--ids"));
  if (ids.empty()) return error("--ids: at least one token id is needed");
  TIDAR_TRY(Session session, Session::open(flags.model));
  TIDAR_TRY_VOID(check_ids(ids, session.config().vocabulary, "--ids"));
  TIDAR_TRY(const Task task, make_task(flags, session.config(), ids));

  TIDAR_TRY_VOID(session.build_trainable(task.step.pass.rows()));
  Trainable& trainable = session.trainable();
  std::vector<double> losses(task.step.labels.size());
  trainable.add_gradients(task.step.pass, task.step.labels, losses);
  TIDAR_TRY_VOID(write_gradients(flags.out, trainable.parameters()));
  OrderedJson described = describe(task, losses);
  described["gradient_norm"] = gradient_norm(trainable.parameters(), session.threads());
  described["out"] = flags.out;
  if (flags.json) {
    print_json(described);
  } else {
    print_note(fmt::format("{}: loss {:.6f}, gradient norm {:.6f}", flags.out,
                           described["loss"].get<double>(),
                           described["gradient_norm"].get<double>()));
  }
  return kDone;
}

}  // namespace

void add_gradients(CLI::App& program, Action& action) {
  CLI::App& command = *program.add_subcommand(
      "gradients", "The loss of one text and its gradient with respect to every weight");
  const auto flags = std::make_shared<GradientsFlags>();  // shared by the parser and the action
  flags->model.backend.precision =
      Precision::f32;  // a tool for verification: exact unless told otherwise
  add_model_flags(command, flags->model);
  command.option_defaults()->group("Loss");
  command
      .add_option("--ids", flags->ids,
                  "Token ids: 1,2,3 or a JSON array; - reads stdin. With ar and tidar the last one "
                  "is a label only")
      ->required()
      ->check(listed_ids())
      ->type_name("IDS");
  command.add_option("--objective", flags->objective, "ar, tidar:K, block:K or masked")
      ->required()
      ->type_name("NAME");
  command.add_option("--alpha", flags->options.alpha, "What tidar's AR term weighs")
      ->check(number_from(0))
      ->type_name("X")
      ->capture_default_str();
  command.add_option("--mask-token", flags->mask_token, "Mask id (default: the checkpoint's)")
      ->check(whole_number(0))
      ->type_name("ID");
  command.add_option("--seed", flags->seed, "Of the noise of block and masked")
      ->check(seed_number())
      ->type_name("N")
      ->capture_default_str();
  command.add_option("--out", flags->out, "safetensors file of the gradients, F32")
      ->required()
      ->type_name("FILE");
  command.add_flag("--json", flags->json, "Print losses, rows and labels as JSON");
  command.callback([flags, &action] {
    Result<ObjectiveOptions> parsed = parse_objective(flags->objective);
    if (!parsed.ok()) throw CLI::ValidationError("--objective", parsed.error().message);
    parsed->alpha = flags->options.alpha;
    flags->options = *parsed;
    action = [flags] { return gradients(*flags); };
  });
}

}  // namespace tidar
