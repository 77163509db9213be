// tidar generate: a prompt in, text out as its tokens are committed, and what that cost.

#include <cmath>
#include <memory>
#include <utility>

#include "apps/command.h"
#include "apps/draft_model.h"
#include "apps/explained.h"
#include "apps/generate_flags.h"
#include "apps/generate_many.h"
#include "apps/interrupt.h"
#include "apps/meter.h"
#include "apps/output.h"
#include "apps/price_source.h"
#include "apps/row_summary.h"
#include "apps/session.h"
#include "apps/tracing.h"
#include "engine/engine.h"
#include "engine/explanation_json.h"
#include "ops/cpu/roofs.h"
#include "ops/cuda/roofs.h"

namespace tidar {
namespace {

/// Rows of a pass that are enough for every step, and for the prompt with a draft behind it.
int rows_of_passes(const Request& request) {
  const int step = useful_rows(request);
  const auto prompt = static_cast<int64_t>(request.sequence.prompt.size()) + step;
  return static_cast<int>(std::max<int64_t>(step, std::min<int64_t>(kPromptRows, prompt)));
}

/// Everything that one run of one request brought.
struct Outcome {
  std::vector<int32_t> tokens;
  std::vector<float> logprobs, policy_logprobs;
  std::string text;
  FinishReason finish = FinishReason::none;
  RequestStats stats;
  std::vector<Explanation> explained;  ///< passes
  int64_t decode_bytes = 0;            ///< of weights, keys and values that decoding passes read

  double tokens_per_s() const {
    return stats.decode_s > 0 ? static_cast<double>(stats.decoded) / stats.decode_s : 0;
  }
  double bytes_per_s() const {
    return stats.decode_s > 0 ? static_cast<double>(decode_bytes) / stats.decode_s : 0;
  }
};

/// What a stream shows beside the text.
enum class Explain : uint8_t { nothing, passes };

/// Shows text as it comes, or token ids where there is no tokenizer. Where passes are explained, a
/// line each on stderr, the text comes behind them.
class Stream {
 public:
  Stream(bool quiet, bool has_text, Explain explain)
      : quiet_(quiet), has_text_(has_text), explain_(explain) {}

  bool explains() const { return explain_ == Explain::passes; }

  /// An Error when nobody can read it any more.
  Result<void> show(const Update& update) {
    if (update.explanation) explain(*update.explanation);
    if (quiet_) return {};
    const bool finished = update.finish != FinishReason::none;
    text_ += has_text_ ? update.text : ids(update.tokens);
    if (finished) text_ += "\n";
    if (explains() && !finished) return {};
    print(std::exchange(text_, {}));
    return flush_output();
  }

 private:
  std::string ids(const std::vector<TokenLogprob>& tokens) {
    std::string text;
    for (const TokenLogprob& token : tokens) {
      text += fmt::format("{}{}", first_ ? "" : ",", token.token);
      first_ = false;
    }
    return text;
  }

  void explain(const Explanation& explanation) {
    if (passes_ == 0) print_note(kExplainedHeading);
    print_note(explained_line(++passes_, explanation));
  }

  bool quiet_;
  bool has_text_;
  Explain explain_;
  bool first_ = true;
  int passes_ = 0;    // explained
  std::string text_;  // that was not shown yet
};

/// Draws the first pass of a sequence whose prompt has been read.
void draw_first_step(Meter& meter, int prompt_tokens) {
  meter.on_pass = [&meter, prompt_tokens](const Pass& pass) {
    if (pass.sequences.front().cached < prompt_tokens) return;
    print_note(pass.picture());
    meter.on_pass = nullptr;
  };
}

Result<Outcome> run(Meter& meter, const Tokenizer* tokenizer,
                    const std::optional<EnginePrices>& prices, Request request, Stream& stream,
                    const Interrupt& interrupt) {
  Engine engine(meter, tokenizer);
  if (prices) engine.set_prices(prices->prices, prices->use);
  request.explain = stream.explains();
  TIDAR_TRY(const RequestId id, engine.submit(std::move(request)));
  Outcome outcome;
  const auto use = [&](const Update& update) -> Result<void> {
    for (const TokenLogprob& token : update.tokens) {
      outcome.tokens.push_back(token.token);
      outcome.logprobs.push_back(token.logprob);
      outcome.policy_logprobs.push_back(token.policy_logprob);
    }
    outcome.text += update.text;
    outcome.finish = update.finish;
    if (update.totals) outcome.stats = *update.totals;
    if (update.explanation) outcome.explained.push_back(*update.explanation);
    return stream.show(update);
  };
  const auto use_step = [&](const Update& update) {
    if (update.stats.decoding) outcome.decode_bytes += meter.pass_bytes();
    return use(update);
  };
  TIDAR_TRY_VOID(run_until_idle(engine, use_step, [&] { return interrupt.requested(); }));
  if (const auto cut_off = engine.cancel(id)) TIDAR_TRY_VOID(use(*cut_off));
  return outcome;
}

OrderedJson to_json(const Outcome& outcome, const std::string& method, double memory_bytes_per_s) {
  const RequestStats& stats = outcome.stats;
  OrderedJson json;
  json["text"] = outcome.text;
  json["tokens"] = outcome.tokens;
  json["logprobs"] = outcome.logprobs;
  json["policy_logprobs"] = outcome.policy_logprobs;
  json["method"] = method;
  json["prompt_tokens"] = stats.prompt_tokens;
  json["n"] = stats.new_tokens;
  json["finish_reason"] = name_of(outcome.finish);
  json["passes"] = stats.passes;
  json["tokens_per_pass"] = stats.tokens_per_pass();
  put_rows(json, stats);
  json["accepted"] = stats.accepted;
  json["draft_places"] = OrderedJson::array();
  for (const DraftPlace& place : stats.places) {
    json["draft_places"].push_back({{"drafted", place.drafted}, {"accepted", place.accepted}});
  }
  json["drafter_passes"] = stats.drafter_passes;
  json["prefill_s"] = stats.prefill_s;
  json["decode_s"] = stats.decode_s;
  json["tokens_per_s"] = outcome.tokens_per_s();
  json["gb_per_s"] = outcome.bytes_per_s() / 1e9;
  json["memory_gb_per_s"] =
      memory_bytes_per_s > 0 ? OrderedJson(memory_bytes_per_s / 1e9) : OrderedJson();
  for (const Explanation& pass : outcome.explained) json["explained"].push_back(to_json(pass));
  return json;
}

/// Lines that fit a terminal of 80 columns.
std::string summary(const Outcome& outcome, const std::string& method, double memory_bytes_per_s) {
  const RequestStats& stats = outcome.stats;
  std::vector<std::string> parts = {
      fmt::format("{}: {} ({})", method, counted(stats.new_tokens, "token"),
                  name_of(outcome.finish)),
      counted(stats.passes, "pass"), fmt::format("{:.2f} tokens per pass", stats.tokens_per_pass()),
      fmt::format("{:.1f} tokens/s", outcome.tokens_per_s())};
  const std::vector<std::string> rows = row_parts(stats);
  parts.insert(parts.end(), rows.begin(), rows.end());
  parts.push_back(
      fmt::format("prompt {} in {:.3f} s", counted(stats.prompt_tokens, "token"), stats.prefill_s));
  parts.push_back(fmt::format("{:.1f} GB/s", outcome.bytes_per_s() / 1e9));
  if (memory_bytes_per_s > 0) {
    parts.push_back(fmt::format("{:.0f} % of the memory's {:.1f}",
                                100 * outcome.bytes_per_s() / memory_bytes_per_s,
                                memory_bytes_per_s / 1e9));
  }
  return in_lines(parts);
}

/// Where the two first differ; -1 if nowhere.
int first_difference(const Outcome& a, const Outcome& b) {
  const auto [at, other] =
      std::mismatch(a.tokens.begin(), a.tokens.end(), b.tokens.begin(), b.tokens.end());
  const bool equal = at == a.tokens.end() && other == b.tokens.end();
  return equal ? -1 : static_cast<int>(at - a.tokens.begin());
}

/// Reports on a run beside AR from the same prompt.
void report_comparison(const Outcome& outcome, const Outcome& ar, const Method& compared,
                       double memory_bytes_per_s, OrderedJson* json) {
  const std::string_view method = name_of(compared);
  const int difference = first_difference(outcome, ar);
  const double speedup = ar.tokens_per_s() > 0 ? outcome.tokens_per_s() / ar.tokens_per_s() : 0;
  if (json != nullptr) {
    (*json)["compare"] = {{"tokens_agree", difference < 0},
                          {"first_difference", difference},
                          {"speedup", speedup},
                          {"ar", to_json(ar, "ar", memory_bytes_per_s)}};
  }
  print_note(summary(ar, "ar", memory_bytes_per_s));
  const std::string agreement =
      difference < 0 ? "agree"
                     : fmt::format("{} from token {} on",
                                   facts_of(compared).equals_ar ? "DIFFER" : "differ, as they may,",
                                   difference);
  print_note(in_lines({fmt::format("the tokens of {} and ar {}", method, agreement),
                       fmt::format("{:.2f} times as fast as ar", speedup)}));
}

/// Bytes that memory delivers per second; 0 where that is no measure of the speed, since the
/// weights may come from a cache, or nobody measured it.
double memory_roof(const Session& session) {
  constexpr int64_t kMostThatCachesHold = int64_t{256} << 20;
  if (session.network().weight_bytes(true) < kMostThatCachesHold) return 0;
  if (session.gpu()) {
    const auto roofs = cuda::measure_gpu_roofs(*session.gpu());
    return roofs.ok() ? 1e9 * roofs->read_gbps : 0;
  }
  if (!session.isa()) return 0;
  return 1e9 * measure_memory_gbps(session.threads(), *session.isa());
}

Result<int> generate(const GenerateFlags& flags) {
  TIDAR_TRY(Session session, Session::open(flags.model));
  TIDAR_TRY(Request request, make_request(flags, session.config(), session.tokenizer()));
  TIDAR_TRY(Tracing tracing, Tracing::begin(flags.trace, request, session));
  const EvaluatorLimits model_limits{.max_position = session.config().max_positions};
  const Room room = {.rows = std::max(rows_of_passes(request), tracing.on() ? Tracing::kRows : 0),
                     .keys_each = most_keys(request, model_limits)};
  TIDAR_TRY(const auto draft_model,
            DraftModel::attach(flags.method.draft_model, session, room, request));
  TIDAR_TRY_VOID(session.build_network(room));
  TIDAR_TRY(const auto prices, engine_prices(flags.method.prices, request.method, session));
  const double memory_bytes_per_s = memory_roof(session);
  Meter meter(session.network(), session.key_bytes());
  const Interrupt interrupt;

  if (flags.print_pass) {
    draw_first_step(meter, static_cast<int>(request.sequence.prompt.size()));
  }
  const std::string method(name_of(request.method));
  Stream stream(flags.json, session.tokenizer() != nullptr,
                flags.explain ? Explain::passes : Explain::nothing);
  TIDAR_TRY(const Outcome outcome,
            run(meter, session.tokenizer(), prices, request, stream, interrupt));
  OrderedJson json = to_json(outcome, method, memory_bytes_per_s);
  print_note(summary(outcome, method, memory_bytes_per_s));
  if (!interrupt.requested()) {
    TIDAR_TRY_VOID(tracing.add(session.network(), request.sequence, outcome.tokens));
    TIDAR_TRY_VOID(tracing.end());
  }
  if (flags.compare && outcome.finish != FinishReason::no_choice && !interrupt.requested()) {
    Request ar_request = request;
    ar_request.method = ArOptions{};
    Stream silent(true, false, Explain::nothing);
    TIDAR_TRY(const Outcome ar,
              run(meter, session.tokenizer(), {}, std::move(ar_request), silent, interrupt));
    report_comparison(outcome, ar, request.method, memory_bytes_per_s,
                      flags.json ? &json : nullptr);
  }
  if (flags.json) print_json(json);
  if (outcome.finish == FinishReason::no_choice) {
    return error("after {}: {}", counted(outcome.stats.new_tokens, "new token"), kNoChoice);
  }
  return interrupt.requested() ? kInterrupted : kDone;
}

}  // namespace

void add_generate(CLI::App& program, Action& action) {
  CLI::App& command = *program.add_subcommand("generate", "Text that goes on from a prompt");
  const auto flags = std::make_shared<GenerateFlags>();  // shared by the parser and the action
  add_generate_flags(command, *flags);
  command.callback([flags, &action] {
    check_method_flags(flags->method);
    action = [flags] { return flags->prompts.empty() ? generate(*flags) : generate_many(*flags); };
  });
}

}  // namespace tidar
