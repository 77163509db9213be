#include "apps/generate_many.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "apps/command.h"
#include "apps/continuations.h"
#include "apps/documents_file.h"
#include "apps/draft_model.h"
#include "apps/identity_text.h"
#include "apps/interrupt.h"
#include "apps/output.h"
#include "apps/price_source.h"
#include "apps/reliability.h"
#include "apps/row_summary.h"
#include "apps/tracing.h"
#include "base/stopwatch.h"
#include "engine/explanation_json.h"
#include "eval/fingerprint.h"
#include "format/files.h"
#include "report/plot.h"

namespace tidar {
namespace {

OrderedJson to_json(const Continuation& continuation, bool explained) {
  std::vector<int32_t> tokens;
  std::vector<float> logprobs, policy_logprobs;
  for (const TokenLogprob& token : continuation.tokens) {
    tokens.push_back(token.token);
    logprobs.push_back(token.logprob);
    policy_logprobs.push_back(token.policy_logprob);
  }
  const RequestStats& stats = continuation.stats;
  OrderedJson json = {{"line", continuation.prompt->line},
                      {"sample", continuation.sample},
                      {"seed", continuation.seed},
                      {"prompt", continuation.prompt->text},
                      {"text", continuation.text},
                      {"tokens", tokens},
                      {"logprobs", logprobs},
                      {"policy_logprobs", policy_logprobs},
                      {"prompt_tokens", stats.prompt_tokens},
                      {"n", stats.new_tokens},
                      {"finish_reason", name_of(continuation.finish)},
                      {"passes", stats.passes},
                      {"decoded", stats.decoded},
                      {"tokens_per_pass", stats.tokens_per_pass()}};
  put_rows(json, stats);
  if (explained) {
    json["explained"] = OrderedJson::array();
    for (const Explanation& pass : continuation.explained) {
      json["explained"].push_back(to_json(pass));
    }
  }
  return json;
}

/// What the documents of one file must have in common; how many samples there are does not belong
/// to it.
Result<RunIdentity> identity_of(const GenerateFlags& flags, const Session& session) {
  TIDAR_TRY(const std::string prompts, fingerprint_of_file(flags.prompts));
  TIDAR_TRY(const std::string model, fingerprint_of_model(flags.model.model));
  TIDAR_TRY(const std::string computing, computing_text(session));
  std::string form = flags.json_object ? "JSON object" : "free";
  if (flags.regex) form = "expression " + *flags.regex;
  if (!flags.json_schema.empty()) {
    TIDAR_TRY(form, fingerprint_of_file(flags.json_schema));
  }
  const Penalties& penalties = flags.penalties;
  return RunIdentity{
      {"file of prompts", prompts},
      {"model", model},
      {"computing", computing},
      {"method", text_of(flags.method)},
      {"sampling", text_of(flags.sampling)},
      {"choice",
       fmt::format("repetition {}, presence {}, frequency {}, bias {}", penalties.repetition,
                   penalties.presence, penalties.frequency, OrderedJson(flags.logit_bias).dump())},
      {"end",
       fmt::format(
           "{} tokens, context {}, eos {}, stop {}", flags.max_new, flags.model.context,
           flags.ignore_eos ? "forbidden" : "ends",
           OrderedJson(flags.stop).dump(-1, ' ', false, OrderedJson::error_handler_t::replace))},
      {"form", form},
      {"special tokens", flags.no_special ? "none" : "the tokenizer's"}};
}

using TextKey = std::pair<int64_t, int>;  // the line of its prompt, its sample

TextKey key_of(const Continuation& continuation) {
  return {continuation.prompt->line, continuation.sample};
}

std::vector<int32_t> tokens_of(const Continuation& continuation) {
  std::vector<int32_t> ids;
  for (const TokenLogprob& token : continuation.tokens) ids.push_back(token.token);
  return ids;
}

/// Where texts go when they end, and what is kept of them for later.
class Texts {
 public:
  Texts(const GenerateFlags& flags, std::optional<DocumentsFile> file)
      : flags_(flags), file_(std::move(file)) {}

  bool holds(const NumberedPrompt& prompt, int sample) const {
    return file_ && file_->holds(prompt.line, sample);
  }

  Result<void> take(Continuation text) {
    for (const Explanation& pass : text.explained) {
      if (draws()) reliability_.add(pass);
    }
    const OrderedJson json = to_json(text, flags_.explain);
    if (file_) {
      TIDAR_TRY_VOID(file_->add(text.prompt->line, text.sample, json));
    } else {
      print_json(json);
      TIDAR_TRY_VOID(flush_output());
    }
    text.explained.clear();
    if (flags_.compare || !flags_.trace.empty()) kept_.emplace(key_of(text), std::move(text));
    return {};
  }

  bool draws() const { return !flags_.reliability.empty(); }
  Result<void> draw() const {
    return draws() ? write_text_file(flags_.reliability, draw_svg(reliability_.plot()))
                   : Result<void>();
  }

  /// Those of this run in the order of their lines, where they are needed once more.
  const std::map<TextKey, Continuation>& kept() const { return kept_; }

 private:
  const GenerateFlags& flags_;
  std::optional<DocumentsFile> file_;
  Reliability reliability_;
  std::map<TextKey, Continuation> kept_;
};

/// The flags as a plan.
Result<ContinuationPlan> plan_of(const GenerateFlags& flags, const Session& session) {
  const Tokenizer* const tokenizer = session.tokenizer();
  if (tokenizer == nullptr) {
    return error("{}: has no tokenizer.json, which --prompts needs", flags.model.model);
  }
  ContinuationPlan plan;
  plan.samples = flags.samples;
  plan.together = flags.together;
  TIDAR_TRY(plan.request, make_request(flags, session.config(), tokenizer));
  const auto& eos = session.config().eos_tokens;
  TIDAR_TRY(plan.prompts,
            read_prompts(flags.prompts, *tokenizer,
                         {.special = flags.no_special ? AddSpecial::no : AddSpecial::yes,
                          .start = eos.empty() ? -1 : eos.front()}));
  return plan;
}

Result<Texts> open_texts(const GenerateFlags& flags, const Session& session) {
  if (flags.out.empty()) return Texts(flags, {});
  TIDAR_TRY(const RunIdentity identity, identity_of(flags, session));
  TIDAR_TRY(DocumentsFile file, DocumentsFile::open(flags.out, identity));
  return Texts(flags, std::move(file));
}

/// The texts that this run wrote once more, by AR.
Result<WrittenTexts::ByAr> compare(Engine& engine, ContinuationPlan plan, const Texts& texts,
                                   const ContinuationHooks& hooks) {
  WrittenTexts::ByAr ar{.must = facts_of(plan.request.method).equals_ar};
  plan.request.method = ArOptions{};
  plan.request.explain = false;
  const Stopwatch watch;
  const auto use = [&](const Continuation& text) -> Result<void> {
    ++ar.texts;
    ar.same += tokens_of(texts.kept().at(key_of(text))) == tokens_of(text);
    return {};
  };
  TIDAR_TRY_VOID(continue_prompts(engine, plan, use,
                                  {.have =
                                       [&](const auto& prompt, int sample) {
                                         return !texts.kept().contains({prompt.line, sample});
                                       },
                                   .stopped = hooks.stopped}));
  ar.seconds = watch.seconds();
  return ar;
}

/// In the order of their lines.
Result<void> trace(Tracing& tracing, Evaluator& evaluator, SequenceSpec spec, const Texts& texts) {
  Progress progress;
  size_t done = 0;
  for (const auto& [key, text] : texts.kept()) {
    progress.show(fmt::format("tracing text {} of {}", ++done, texts.kept().size()));
    spec.prompt = text.prompt->ids;
    spec.sampling.seed = text.seed;
    TIDAR_TRY_VOID(tracing.add(evaluator, spec, tokens_of(text)));
  }
  return tracing.end();
}

/// The part of the run whose texts are written.
Result<WrittenTexts> write_all(Engine& engine, const ContinuationPlan& plan, Texts& texts,
                               const std::string& path, const WritingHooks& hooks) {
  WrittenTexts written{.all = plan.all()};
  const Stopwatch watch;
  const auto use = [&](Continuation text) -> Result<void> {
    ++written.texts;
    written.sum.add(text.stats);
    written.without_choice += text.finish == FinishReason::no_choice;
    return texts.take(std::move(text));
  };
  for (const NumberedPrompt& prompt : plan.prompts) {
    for (int sample = 0; sample < plan.samples; ++sample) {
      written.there += texts.holds(prompt, sample);
    }
  }
  ContinuationHooks running{.stopped = hooks.stopped};
  running.have = [&](const NumberedPrompt& prompt, int sample) {
    return texts.holds(prompt, sample);
  };
  running.refused = [&](const NumberedPrompt& prompt, const std::string& problem) {
    written.all -= plan.samples;
    if (hooks.note) hooks.note(fmt::format("{}:{}: {}", path, prompt.line, problem));
  };
  running.stepped = [&](int64_t tokens) {
    written.tokens += tokens;
    written.seconds = watch.seconds();
    if (hooks.progress) hooks.progress(written);
  };
  TIDAR_TRY_VOID(continue_prompts(engine, plan, use, running));
  written.seconds = watch.seconds();
  if (written.all == 0) return error("{}: no line has a \"prompt\" to continue", path);
  return written;
}

// --- As a command --------------------------------------------------------------------------------

std::string rate_text(const WrittenTexts& written) {
  return fmt::format("{:.0f} tokens/s", written.seconds > 0
                                            ? static_cast<double>(written.tokens) / written.seconds
                                            : 0);
}

std::string progress_text(const WrittenTexts& written) {
  std::string text = fmt::format("{} of {}  {}", format_count(written.there + written.texts),
                                 counted(written.all, "text"), rate_text(written));
  if (written.texts == 0) return text;
  const auto left = static_cast<double>(written.all - written.there - written.texts);
  const double seconds = written.seconds / static_cast<double>(written.texts) * left;
  return text + fmt::format("  {} left", clock_text(seconds));
}

std::string account_text(const WrittenTexts& written) {
  std::vector<std::string> parts = {
      fmt::format("{}: {} in {:.1f} s", counted(written.texts, "text"),
                  counted(written.sum.new_tokens, "token"), written.seconds),
      rate_text(written), fmt::format("{:.2f} tokens per pass", written.sum.tokens_per_pass())};
  const std::vector<std::string> rows = row_parts(written.sum);
  parts.insert(parts.end(), rows.begin(), rows.end());
  return in_lines(parts);
}

std::string comparison_text(const WrittenTexts& written) {
  const WrittenTexts::ByAr& ar = *written.ar;
  std::string others;
  if (ar.same < ar.texts)
    others = ar.must ? ", the others DIFFER" : ", the others differ, as they may";
  return in_lines({fmt::format("{} of {} are the tokens of ar{}", format_count(ar.same),
                               counted(ar.texts, "text"), others),
                   fmt::format("which took {:.1f} s", ar.seconds),
                   fmt::format("{:.2f} times as long",
                               written.seconds > 0 ? ar.seconds / written.seconds : 0)});
}

}  // namespace

Result<WrittenTexts> write_texts(const GenerateFlags& flags, const WritingHooks& hooks) {
  TIDAR_TRY(Session session, Session::open(flags.model));
  TIDAR_TRY(ContinuationPlan plan, plan_of(flags, session));
  TIDAR_TRY(Texts texts, open_texts(flags, session));
  Room room = room_for(plan, session.config());
  Request& request = plan.request;
  TIDAR_TRY(Tracing tracing, Tracing::begin(flags.trace, request, session));
  if (tracing.on()) room.rows = std::max(room.rows, Tracing::kRows);
  TIDAR_TRY_VOID(session.build_network(room));
  TIDAR_TRY(const auto draft_model,
            DraftModel::attach(flags.method.draft_model, session, room, request));
  TIDAR_TRY(const auto prices, engine_prices(flags.method.prices, request.method, session));
  if (texts.draws() && !prices) {
    return error(
        "--reliability: nothing makes offers but --method tidar with --groups auto, where "
        "rows have prices");
  }
  Engine engine(session.network(), session.tokenizer());
  engine.share_prefixes();
  if (prices) engine.set_prices(prices->prices, prices->use);
  request.explain = flags.explain || texts.draws();

  TIDAR_TRY(WrittenTexts written, write_all(engine, plan, texts, flags.prompts, hooks));
  const auto stopped = [&] { return hooks.stopped && hooks.stopped(); };
  if (flags.compare && !stopped()) {
    TIDAR_TRY(written.ar, compare(engine, plan, texts, {.stopped = hooks.stopped}));
  }
  TIDAR_TRY_VOID(texts.draw());
  if (tracing.on() && !stopped()) {
    TIDAR_TRY_VOID(trace(tracing, session.network(), request.sequence, texts));
  }
  return written;
}

Result<int> generate_many(const GenerateFlags& flags) {
  const Interrupt interrupt;
  Progress progress;
  WritingHooks hooks;
  hooks.stopped = [&] { return interrupt.requested(); };
  hooks.note = [&](const std::string& line) {
    progress.clear();
    print_note(line);
  };
  // On stdout the texts themselves show how far it is.
  if (!flags.out.empty()) {
    hooks.progress = [&](const WrittenTexts& written) { progress.show(progress_text(written)); };
  }
  TIDAR_TRY(const WrittenTexts written, write_texts(flags, hooks));
  progress.clear();
  print_note(account_text(written));
  if (written.ar) print_note(comparison_text(written));
  if (written.without_choice > 0) {
    return error("{}: {} ended early: {}", flags.prompts, counted(written.without_choice, "text"),
                 kNoChoice);
  }
  if (!interrupt.requested()) return kDone;
  if (!flags.out.empty()) {
    print_note(fmt::format("{}: holds {} of {}; the same command goes on from there", flags.out,
                           format_count(written.there + written.texts),
                           counted(written.all, "text")));
  }
  return kInterrupted;
}

}  // namespace tidar
