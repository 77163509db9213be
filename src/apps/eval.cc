// tidar eval: how good a model is, by likelihoods and by what it generates.

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/command.h"
#include "apps/document_measurement.h"
#include "apps/documents_report.h"
#include "apps/draft_model.h"
#include "apps/eval_flags.h"
#include "apps/identity_text.h"
#include "apps/ids.h"
#include "apps/interrupt.h"
#include "apps/method_list.h"
#include "apps/output.h"
#include "apps/price_source.h"
#include "apps/session.h"
#include "engine/engine.h"
#include "eval/causal_scorer.h"
#include "eval/document_runs.h"
#include "eval/documents.h"
#include "eval/fingerprint.h"
#include "eval/likelihood_runs.h"
#include "eval/monte_carlo_scorer.h"
#include "eval/problem_runs.h"
#include "eval/solution_runs.h"
#include "eval/task_kind.h"
#include "format/files.h"
#include "format/folder_lock.h"

namespace tidar {
namespace {

/// Where likelihoods read longer texts, only their ends are read: room for keys is given before the
/// texts are seen as tokens.
constexpr int kLongestText = 4096;
constexpr int kLongestWindow = 2048;

/// What every kind of evaluation works with.
struct Setting {
  const EvalFlags& flags;
  TaskSource task;
  RunHooks hooks;
};

/// The first `limit` of the items; 0: all.
template <class Item>
std::vector<Item> limited(std::vector<Item> items, int limit) {
  if (limit > 0 && static_cast<size_t>(limit) < items.size()) {
    items.erase(items.begin() + limit, items.end());
  }
  return items;
}

/// What results of all kinds must share to stand in one file. How many items and samples there are
/// does not belong to it: they can become more.
Result<RunIdentity> identity_of(const Setting& setting, const Session& session) {
  const EvalFlags& flags = setting.flags;
  TIDAR_TRY(const std::string model, fingerprint_of_model(flags.model.model));
  TIDAR_TRY(const std::string computing, computing_text(session));
  TIDAR_TRY(const std::string task, fingerprint_of_file(setting.task.file));
  std::string shots = "none";
  if (flags.shots > 0) {
    TIDAR_TRY(shots, fingerprint_of_file(flags.shots_file));
    shots = fmt::format("{} of {}", flags.shots, shots);
  }
  return RunIdentity{{"task", fmt::format("{} {}", name_of(setting.task.kind), task)},
                     {"shots", shots},
                     {"model", model},
                     {"computing", computing}};
}

Result<const Tokenizer*> tokenizer_of(const Session& session, const EvalFlags& flags) {
  if (session.tokenizer() != nullptr) return session.tokenizer();
  return error("{}: has no tokenizer.json, which tasks of text need", flags.model.model);
}

// --- Likelihood ----------------------------------------------------------------------------------

/// Estimates where the method is one of diffusion; nothing where texts are read causally.
Result<std::optional<MonteCarloOptions>> monte_carlo_options(const EvalFlags& flags,
                                                             const ModelConfig& config) {
  TIDAR_TRY(const Method method, make_method(flags.method, config, 1));
  MonteCarloOptions options{.samples = flags.monte_carlo_samples,
                            .seed = flags.sampling.seed,
                            .mask_token = known_mask_token(flags.method.mask_token, config)};
  if (const auto* block = std::get_if<BlockDiffusionOptions>(&method)) {
    options.block_size = block->block_size;
    options.keys = block->keys;
    options.borders = block->borders;
    return std::optional(options);
  }
  if (const auto* masked = std::get_if<MaskedDiffusionOptions>(&method)) {
    options.shift = masked->shift;
    return std::optional(options);
  }
  return std::optional<MonteCarloOptions>();
}

/// Builds the network and the scorer for texts of at most `longest` tokens.
Result<std::unique_ptr<TextScorer>> make_scorer(Session& session, const EvalFlags& flags,
                                                int longest, RunIdentity& identity) {
  TIDAR_TRY(const auto options, monte_carlo_options(flags, session.config()));
  if (!options) {
    identity.emplace_back("likelihood", "causal");
    TIDAR_TRY_VOID(session.build_network(
        {.rows = kReadingRows, .sequences = flags.together, .keys_each = longest}));
    auto scorer = make_causal_scorer(session.network(), flags.together);
    identity.emplace_back("longest text", std::to_string(scorer->longest_text()));
    return scorer;
  }
  identity.emplace_back("likelihood", "monte carlo, " + text_of(flags.method));
  identity.emplace_back("samples", fmt::format("{} from seed {}", options->samples, options->seed));
  const int rows = options->block_size > 0 ? 2 * longest : longest;
  TIDAR_TRY_VOID(session.build_network({.rows = std::max(kReadingRows, rows)}));
  return make_monte_carlo_scorer(session.network(), *options);
}

Result<EvalSummary> evaluate_choices(const Setting& setting, Session& session) {
  const EvalFlags& flags = setting.flags;
  TIDAR_TRY(const Tokenizer* tokenizer, tokenizer_of(session, flags));
  ChoiceTask task;
  TIDAR_TRY(task.items, read_choices(setting.task.file));
  task.items = limited(std::move(task.items), flags.limit);
  task.shot_count = flags.shots;
  if (flags.shots > 0) {
    TIDAR_TRY(task.shots, read_choices(flags.shots_file));
  }
  const auto& eos = session.config().eos_tokens;
  if (!eos.empty()) task.start = eos.front();

  TIDAR_TRY(RunIdentity identity, identity_of(setting, session));
  const int longest = std::min(session.config().max_positions, kLongestText);
  TIDAR_TRY(const auto scorer, make_scorer(session, flags, longest, identity));
  TIDAR_TRY(ResultsFile results, ResultsFile::open(flags.out, identity));
  return run_choices(task, *tokenizer, *scorer, results, setting.hooks);
}

Result<EvalSummary> evaluate_text(const Setting& setting, Session& session) {
  const EvalFlags& flags = setting.flags;
  if (flags.shots > 0) return error("--shots: a text has no examples before it");
  TIDAR_TRY(const Tokenizer* tokenizer, tokenizer_of(session, flags));
  TIDAR_TRY(const std::string text, read_text_file(setting.task.file));
  PerplexityTask task;
  task.tokens = tokenizer->encode(text);
  if (task.tokens.size() < 2) {
    return error("{}: expected a text of at least two tokens", setting.task.file.string());
  }
  task.window =
      flags.window > 0 ? flags.window : std::min(session.config().max_positions, kLongestWindow);
  task.stride = flags.stride > 0 ? flags.stride : std::max(1, task.window / 2);

  TIDAR_TRY(RunIdentity identity, identity_of(setting, session));
  identity.emplace_back("window", fmt::format("{} every {}", task.window, task.stride));
  TIDAR_TRY(const auto scorer, make_scorer(session, flags, task.window, identity));
  TIDAR_TRY(ResultsFile results, ResultsFile::open(flags.out, identity));
  if (flags.limit > 0) {
    const auto most = int64_t{task.window} + int64_t{flags.limit - 1} * task.stride;
    if (most < static_cast<int64_t>(task.tokens.size())) {
      task.tokens.resize(static_cast<size_t>(most));
    }
  }
  return run_perplexity(task, *tokenizer, *scorer, results, setting.hooks);
}

// --- Generation ----------------------------------------------------------------------------------

Result<Judge> make_judge(ProblemKind kind, const EvalFlags& flags) {
  if (!runs_programs(kind)) return Judge(kind, {});
  SandboxLimits limits = flags.sandbox;
  // Others compute here, too, and a program that only waits must end as well.
  limits.wall_s = 10 + 2 * limits.cpu_s;
  TIDAR_TRY(Sandbox sandbox, Sandbox::open(limits));
  return Judge(kind, std::move(sandbox));
}

Result<Request> make_request(const EvalFlags& flags, ProblemKind kind, const ModelConfig& config) {
  Request request;
  const int by_default = kind == ProblemKind::gsm8k ? 256 : 512;
  request.max_new = flags.max_new > 0 ? flags.max_new : by_default;
  request.sequence.sampling = flags.sampling;
  request.sequence.mask_token = known_mask_token(flags.method.mask_token, config);
  TIDAR_TRY(request.method, make_method(flags.method, config, request.max_new));
  request.stop = stop_strings(kind);
  request.eos.assign(config.eos_tokens.begin(), config.eos_tokens.end());
  return request;
}

Result<ProblemTask> read_problem_task(const Setting& setting, const ModelConfig& config) {
  const EvalFlags& flags = setting.flags;
  ProblemTask task;
  task.kind = *problem_kind(setting.task.kind);
  TIDAR_TRY(task.problems, read_problems(task.kind, setting.task.file));
  task.problems = limited(std::move(task.problems), flags.limit);
  task.shot_count = flags.shots;
  if (flags.shots > 0) {
    TIDAR_TRY(task.shots, read_problems(task.kind, flags.shots_file));
  }
  task.samples = flags.samples;
  task.together = flags.together;
  TIDAR_TRY(task.request, make_request(flags, task.kind, config));
  return task;
}

/// The request with the longest prompt of the task.
Result<Request> longest_request(const ProblemTask& task, const Tokenizer& tokenizer) {
  Request longest = task.request;
  for (const Problem& problem : task.problems) {
    TIDAR_TRY(auto prompt, prompt_tokens(task, problem, tokenizer));
    if (prompt.size() > longest.sequence.prompt.size()) longest.sequence.prompt = std::move(prompt);
  }
  return longest;
}

/// The network, and the draft model of methods that have one, with room for `together` requests as
/// large as the largest of the task.
Result<std::unique_ptr<DraftModel>> build_models(const EvalFlags& flags, ProblemTask& task,
                                                 const Tokenizer& tokenizer, Session& session) {
  TIDAR_TRY(const Request longest, longest_request(task, tokenizer));
  const Room room = {
      .rows = std::max(kReadingRows, task.together * useful_rows(longest)),
      .sequences = task.together,
      .keys_each = most_keys(longest, {.max_position = session.config().max_positions})};
  TIDAR_TRY_VOID(session.build_network(room));
  return DraftModel::attach(flags.method.draft_model, session, room, task.request);
}

/// Says the solutions of the task's file. One at a time, whatever the flags.
Result<EvalSummary> evaluate_solutions(const Setting& setting, Session& session) {
  const EvalFlags& flags = setting.flags;
  TIDAR_TRY(const Tokenizer* tokenizer, tokenizer_of(session, flags));
  TIDAR_TRY(ProblemTask task, read_problem_task(setting, session.config()));
  task.together = 1;
  if (!facts_of(task.request.method).equals_ar) {
    return error("--say-solutions: needs a method with the tokens of AR, which {} is not",
                 flags.method.name);
  }
  TIDAR_TRY(RunIdentity identity, identity_of(setting, session));
  identity.emplace_back("method", text_of(flags.method));
  identity.emplace_back("generation", "the solutions of the task");
  TIDAR_TRY(ResultsFile results, ResultsFile::open(flags.out, identity));
  for (const Problem& problem : task.problems) {
    const auto size = tokenizer->encode(problem.shot).size();
    task.request.max_new = std::max(task.request.max_new, static_cast<int>(size));
  }
  TIDAR_TRY(const auto draft_model, build_models(flags, task, *tokenizer, session));
  GivenText given(session.network(), task.request.sequence.mask_token);
  TIDAR_TRY(const auto prices, engine_prices(flags.method.prices, task.request.method, session));
  Engine engine(given, tokenizer);
  if (prices) engine.set_prices(prices->prices, prices->use);
  return run_solutions(task, *tokenizer, engine, given, results, setting.hooks);
}

Result<EvalSummary> evaluate_problems(const Setting& setting, Session& session) {
  const EvalFlags& flags = setting.flags;
  if (flags.say_solutions) return evaluate_solutions(setting, session);
  TIDAR_TRY(const Judge judge, make_judge(*problem_kind(setting.task.kind), flags));
  TIDAR_TRY(const Tokenizer* tokenizer, tokenizer_of(session, flags));
  TIDAR_TRY(ProblemTask task, read_problem_task(setting, session.config()));
  TIDAR_TRY(RunIdentity identity, identity_of(setting, session));
  identity.emplace_back("method", text_of(flags.method));
  identity.emplace_back(
      "generation", fmt::format("{} tokens, {}", task.request.max_new, text_of(flags.sampling)));
  TIDAR_TRY(ResultsFile results, ResultsFile::open(flags.out, identity));

  TIDAR_TRY(const auto draft_model, build_models(flags, task, *tokenizer, session));
  TIDAR_TRY(const auto prices, engine_prices(flags.method.prices, task.request.method, session));
  Engine engine(session.network(), tokenizer);
  if (prices) engine.set_prices(prices->prices, prices->use);
  TIDAR_TRY(EvalSummary summary,
            run_problems(task, *tokenizer, engine, judge, results, setting.hooks));
  if (runs_programs(task.kind)) TIDAR_TRY_VOID(write_samples(task, results));
  return summary;
}

// --- Documents -----------------------------------------------------------------------------------

/// AR and those that the flags name.
Result<std::vector<Method>> methods_to_compare(const EvalFlags& flags, const ModelConfig& config,
                                               int max_new) {
  std::vector<Method> named;
  if (flags.methods.empty()) {
    TIDAR_TRY(Method own, make_method(flags.method, config, max_new));
    named.push_back(std::move(own));
  } else {
    TIDAR_TRY(named, parse_methods(flags.methods));
  }
  std::vector<int32_t> lengths;
  if (!flags.draft_lengths.empty()) {
    TIDAR_TRY(lengths, parse_draft_lengths(flags.draft_lengths, kLongestDraft));
  } else if (!flags.methods.empty() && config.tidar && config.tidar->block_size > 0) {
    lengths = {config.tidar->block_size};
  }
  std::vector<Method> methods = {ArOptions{}};
  for (Method& method : with_draft_lengths(named, lengths)) {
    if (!is_ar(method)) methods.push_back(std::move(method));
  }
  return methods;
}

/// All but the documents and the prices.
Result<DocumentTask> document_task(const EvalFlags& flags, const ModelConfig& config) {
  DocumentTask task;
  Request& request = task.request;
  request.max_new = flags.max_new > 0 ? flags.max_new : 256;
  request.sequence.sampling = flags.sampling;
  request.sequence.mask_token = known_mask_token(flags.method.mask_token, config);
  request.eos.assign(config.eos_tokens.begin(), config.eos_tokens.end());
  TIDAR_TRY(auto methods, methods_to_compare(flags, config, request.max_new));
  for (Method& method : methods) {
    if (facts_of(method).needs_mask && request.sequence.mask_token < 0) {
      return error("{}: needs a mask token, and the checkpoint names none; give --mask-token ID",
                   name_of(method));
    }
    task.methods.push_back({.method = std::move(method)});
  }
  return task;
}

Result<DocumentSet> read_document_set(const Setting& setting, const Session& session) {
  const EvalFlags& flags = setting.flags;
  const ModelConfig& config = session.config();
  return read_documents(
      setting.task.file,
      {.tokenizer = session.tokenizer(),
       .vocabulary = config.vocabulary,
       .mask_token = config.tidar ? config.tidar->mask_token : -1,
       .end = config.eos_tokens.empty() ? -1 : config.eos_tokens.front(),
       .prompt_tokens = flags.prompt_tokens,
       .longest = flags.model.context > 0 ? flags.model.context : config.max_positions,
       .limit = flags.limit});
}

std::string text_of(const DocumentTask& task) {
  OrderedJson list = OrderedJson::array();
  for (const ComparedMethod& compared : task.methods)
    put_method(list.emplace_back(), compared.method);
  return list.dump();
}

Result<DocumentSummary> evaluate_documents(const Setting& setting, Session& session) {
  const EvalFlags& flags = setting.flags;
  if (flags.shots > 0) return error("--shots: documents have no examples before them");
  TIDAR_TRY(DocumentTask task, document_task(flags, session.config()));
  TIDAR_TRY(DocumentSet set, read_document_set(setting, session));
  if (set.too_short > 0) {
    print_note(counted(set.too_short, "document") + " left out: no token behind a prompt");
  }
  if (set.shortened > 0) {
    print_note(counted(set.shortened, "document") + " cut to the length of the context");
  }
  task.documents = std::move(set.documents);
  TIDAR_TRY(RunIdentity identity, identity_of(setting, session));
  identity.emplace_back("method", text_of(task) + ", " + text_of(flags.method));
  identity.emplace_back(
      "generation", fmt::format("{} tokens, {}", task.request.max_new, text_of(flags.sampling)));
  identity.emplace_back(
      "prompt", fmt::format("{} tokens, context {}", flags.prompt_tokens, flags.model.context));
  TIDAR_TRY(ResultsFile results, ResultsFile::open(flags.out, identity));
  return measure_documents(session, std::move(task),
                           {.draft_model = flags.method.draft_model, .prices = flags.method.prices},
                           results, setting.hooks);
}

// --- All kinds -----------------------------------------------------------------------------------

/// What a run tells.
struct Evaluation {
  std::string text;  ///< for people
  std::string json;
};

std::string report(const EvalSummary& summary) {
  std::string text = fmt::format("{} of {}\n", summary.done, summary.all);
  for (const auto& [name, score] : summary.scores) {
    text += fmt::format("{:<16} {:.4f} +- {:.4f}\n", name, score.mean, score.standard_error);
  }
  for (const auto& [name, number] : summary.numbers) {
    text += fmt::format("{:<16} {:.6g}\n", name, number);
  }
  return text;
}

Result<EvalSummary> evaluate_items(const Setting& setting, Session& session) {
  switch (setting.task.kind) {
    case TaskKind::choices:
      return evaluate_choices(setting, session);
    case TaskKind::text:
      return evaluate_text(setting, session);
    default:
      return evaluate_problems(setting, session);
  }
}

Result<Evaluation> evaluate(const Setting& setting) {
  if (setting.flags.say_solutions && !problem_kind(setting.task.kind)) {
    return error("--say-solutions: a task of the kind {} has none", name_of(setting.task.kind));
  }
  TIDAR_TRY(Session session, Session::open(setting.flags.model));
  if (setting.task.kind == TaskKind::documents) {
    TIDAR_TRY(const DocumentSummary summary, evaluate_documents(setting, session));
    return Evaluation{documents_text(summary), to_json(summary).dump()};
  }
  TIDAR_TRY(const EvalSummary summary, evaluate_items(setting, session));
  return Evaluation{report(summary), to_json_text(summary)};
}

/// The solutions of the task's own file.
Result<int> check(const Setting& setting) {
  const auto kind = problem_kind(setting.task.kind);
  if (!kind) {
    return error("--check-solutions: a task of the kind {} has none", name_of(setting.task.kind));
  }
  TIDAR_TRY(auto problems, read_problems(*kind, setting.task.file));
  problems = limited(std::move(problems), setting.flags.limit);
  TIDAR_TRY(const Judge judge, make_judge(*kind, setting.flags));
  TIDAR_TRY(const auto wrong, check_solutions(problems, judge, setting.hooks));
  if (setting.hooks.stopped()) return kInterrupted;
  if (setting.flags.json) {
    OrderedJson list = OrderedJson::array();
    for (const auto& [id, why] : wrong) list.push_back({{"id", id}, {"why", why}});
    print_json({{"solutions", problems.size()}, {"wrong", std::move(list)}});
  } else {
    for (const auto& [id, why] : wrong) print(fmt::format("{}: {}\n", id, why));
    print(fmt::format("{} of {} solutions are right\n", problems.size() - wrong.size(),
                      problems.size()));
  }
  return wrong.empty() ? kDone : kFailed;
}

Result<int> eval(const EvalFlags& flags) {
  TIDAR_TRY(TaskSource task, find_task(flags.task));
  const Interrupt interrupt;
  Progress progress;
  Setting setting{flags, std::move(task), {}};
  setting.hooks.stop = [&] { return interrupt.requested(); };
  setting.hooks.progress = [&](int64_t done, int64_t all) {
    progress.show(fmt::format("{} of {}", done, all));
  };
  if (flags.check_solutions) return check(setting);

  TIDAR_TRY(const FolderLock lock, FolderLock::take(flags.out));
  TIDAR_TRY(const Evaluation evaluation, evaluate(setting));
  progress.clear();
  const std::string json = evaluation.json + "\n";
  TIDAR_TRY_VOID(write_text_file(std::filesystem::path(flags.out) / "summary.json", json));
  print(flags.json ? json : evaluation.text);
  if (!interrupt.requested()) return kDone;
  print_note(fmt::format("{}: holds what is done; the same command goes on from there", flags.out));
  return kInterrupted;
}

}  // namespace

void add_eval(CLI::App& program, Action& action) {
  CLI::App& command = *program.add_subcommand(
      "eval", "How good a model is: choices, perplexity, GSM8K, HumanEval, MBPP, documents");
  const auto flags = std::make_shared<EvalFlags>();  // shared by the parser and the action
  add_eval_flags(command, *flags);
  command.footer(
      "Details: docs/evaluation.md. Programs run in a sandbox (bubblewrap), without a\n"
      "network. Ctrl-C ends the run; the same command goes on from there.");
  command.callback([flags, &action] {
    check_eval_flags(*flags);
    action = [flags] { return eval(*flags); };
  });
}

}  // namespace tidar
