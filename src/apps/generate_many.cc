#include "apps/generate_many.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "apps/command.h"
#include "apps/draft_model.h"
#include "apps/interrupt.h"
#include "apps/output.h"
#include "apps/price_source.h"
#include "apps/prompts.h"
#include "apps/reliability.h"
#include "apps/row_summary.h"
#include "apps/tracing.h"
#include "base/stopwatch.h"
#include "engine/engine.h"
#include "format/files.h"
#include "report/plot.h"
#include "serve/explanation_json.h"

namespace tidar {
namespace {

/// Prompts that share passes: so many that the products run at their speed, and so few that a pass
/// of TiDAR is not too long.
constexpr int kTogether = 4;

/// What has come of a request so far.
struct Continuation {
  int64_t line = 0;
  std::vector<int32_t> prompt;
  uint64_t seed = 0;
  std::string text{};
  std::vector<int32_t> tokens{};
  std::vector<float> logprobs{}, policy_logprobs{};
  OrderedJson explained{};  ///< passes; null: nobody asked

  void explain(const Explanation& pass) { explained.push_back(to_json(pass)); }

  void take(const Update& update) {
    text += update.text;
    for (const TokenLogprob& token : update.tokens) {
      tokens.push_back(token.token);
      logprobs.push_back(token.logprob);
      policy_logprobs.push_back(token.policy_logprob);
    }
  }

  OrderedJson json(FinishReason finish, const RequestStats& stats) const {
    OrderedJson json = {{"line", line},
                        {"seed", seed},
                        {"text", text},
                        {"tokens", tokens},
                        {"logprobs", logprobs},
                        {"policy_logprobs", policy_logprobs},
                        {"prompt_tokens", stats.prompt_tokens},
                        {"n", stats.new_tokens},
                        {"finish_reason", name_of(finish)},
                        {"passes", stats.passes},
                        {"decoded", stats.decoded},
                        {"tokens_per_pass", stats.tokens_per_pass()}};
    put_rows(json, stats);
    if (!explained.is_null()) json["explained"] = explained;
    return json;
  }
};

/// Sums over all prompts.
struct Account {
  int64_t prompts = 0;
  RequestStats sum{};
  int64_t without_choice = 0;  ///< ended by FinishReason::no_choice
  Stopwatch watch;

  void add(FinishReason finish, const RequestStats& stats) {
    ++prompts;
    without_choice += finish == FinishReason::no_choice;
    sum.add(stats);
  }

  std::string text() const {
    std::vector<std::string> parts = {
        fmt::format("{}: {} in {:.1f} s", counted(prompts, "prompt"),
                    counted(sum.new_tokens, "token"), watch.seconds()),
        fmt::format("{:.2f} tokens per pass", sum.tokens_per_pass())};
    const std::vector<std::string> rows = row_parts(sum);
    parts.insert(parts.end(), rows.begin(), rows.end());
    return in_lines(parts);
  }
};

/// Submits all prompts; the engine lets in as many at a time as its pages hold.
Result<std::map<RequestId, Continuation>> submit_all(Engine& engine, const GenerateFlags& flags,
                                                     Request request,
                                                     std::vector<NumberedPrompt> prompts) {
  std::map<RequestId, Continuation> running;
  for (NumberedPrompt& prompt : prompts) {
    request.sequence.prompt = prompt.ids;
    // Lines with the same prompt are samples of it.
    request.sequence.sampling.seed = flags.sampling.seed + static_cast<uint64_t>(prompt.line) - 1;
    const auto id = engine.submit(request);
    if (id.ok()) {
      running.emplace(
          *id, Continuation{prompt.line, std::move(prompt.ids), request.sequence.sampling.seed});
    } else {
      pass_over(flags.prompts, prompt.line, id.error().message);
    }
  }
  if (running.empty()) return error("{}: no line has a \"prompt\" to continue", flags.prompts);
  return running;
}

/// In the order of their lines.
Result<void> trace(Tracing& tracing, Evaluator& evaluator, SequenceSpec spec,
                   std::vector<Continuation> ended) {
  std::sort(ended.begin(), ended.end(),
            [](const Continuation& a, const Continuation& b) { return a.line < b.line; });
  Progress progress;
  for (size_t i = 0; i < ended.size(); ++i) {
    progress.show(fmt::format("tracing text {} of {}", i + 1, ended.size()));
    spec.prompt = std::move(ended[i].prompt);
    spec.sampling.seed = ended[i].seed;
    TIDAR_TRY_VOID(tracing.add(evaluator, spec, ended[i].tokens));
  }
  return tracing.end();
}

const std::vector<int32_t>& longest(const std::vector<NumberedPrompt>& prompts) {
  const auto shorter = [](const NumberedPrompt& a, const NumberedPrompt& b) {
    return a.ids.size() < b.ids.size();
  };
  return std::max_element(prompts.begin(), prompts.end(), shorter)->ids;
}

}  // namespace

Result<int> generate_many(const GenerateFlags& flags) {
  TIDAR_TRY(Session session, Session::open(flags.model));
  const Tokenizer* const tokenizer = session.tokenizer();
  if (tokenizer == nullptr) {
    return error("{}: has no tokenizer.json, which --prompts needs", flags.model.model);
  }
  TIDAR_TRY(Request request, make_request(flags, session.config(), tokenizer));
  const AddSpecial special = flags.no_special ? AddSpecial::no : AddSpecial::yes;
  TIDAR_TRY(std::vector<NumberedPrompt> prompts,
            read_prompts(flags.prompts, *tokenizer, {.special = special}));
  request.sequence.prompt = longest(prompts);
  TIDAR_TRY(Tracing tracing, Tracing::begin(flags.trace, request, session));
  const int rows = kTogether * std::max(16, useful_rows(request));
  const Room room = {
      .rows = std::max(rows, tracing.on() ? Tracing::kRows : 0),
      .sequences = kTogether,
      .keys_each = most_keys(request, {.max_position = session.config().max_positions})};
  TIDAR_TRY_VOID(session.build_network(room));
  TIDAR_TRY(const auto draft_model,
            DraftModel::attach(flags.method.draft_model, session, room, request));

  TIDAR_TRY(const auto prices, engine_prices(flags.method.prices, request.method, session));
  Engine engine(session.network(), tokenizer);
  engine.limit_active(kTogether);
  if (prices) engine.set_prices(prices->prices, prices->use);
  const bool draws = !flags.reliability.empty();
  if (draws && !prices) {
    return error(
        "--reliability: nothing makes offers but --method tidar with --groups auto, where "
        "rows have prices");
  }
  request.explain = flags.explain || draws;
  TIDAR_TRY(auto running, submit_all(engine, flags, request, std::move(prompts)));
  Account account;
  Reliability reliability;
  std::vector<Continuation> ended;  // that are traced: when the engine is done with its pages
  const Interrupt interrupt;
  const auto use = [&](const Update& update) -> Result<void> {
    Continuation& continuation = running.at(update.id);
    continuation.take(update);
    if (draws) reliability.add(*update.explanation);
    if (flags.explain) continuation.explain(*update.explanation);
    if (!update.totals) return {};
    print_json(continuation.json(update.finish, *update.totals));
    account.add(update.finish, *update.totals);
    if (tracing.on()) ended.push_back(std::move(continuation));
    running.erase(update.id);
    return flush_output();
  };
  TIDAR_TRY_VOID(run_until_idle(engine, use, [&] { return interrupt.requested(); }));
  print_note(account.text());
  if (draws) TIDAR_TRY_VOID(write_text_file(flags.reliability, draw_svg(reliability.plot())));
  if (tracing.on() && !interrupt.requested()) {
    TIDAR_TRY_VOID(trace(tracing, session.network(), request.sequence, std::move(ended)));
  }
  if (account.without_choice > 0) {
    return error("{}: {} ended early: {}", flags.prompts, counted(account.without_choice, "prompt"),
                 kNoChoice);
  }
  return interrupt.requested() ? kInterrupted : kDone;
}

}  // namespace tidar
