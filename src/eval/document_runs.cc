#include "eval/document_runs.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/check.h"
#include "eval/causal_scorer.h"
#include "eval/given_text.h"
#include "eval/token_mean.h"
#include "format/json.h"

namespace tidar {
namespace {

/// Fields of a line, whose names begin with it where the text was given.
constexpr std::string_view kOwn, kGiven = "given_";

/// What became of one text.
struct Decoded {
  std::vector<int32_t> tokens{};
  RequestStats stats{};
};

Result<Decoded> decode(Engine& engine, Request request) {
  TIDAR_TRY_VOID(engine.submit(std::move(request)));
  Decoded decoded;
  TIDAR_TRY_VOID(run_until_idle(engine, [&](const Update& update) -> Result<void> {
    for (const TokenLogprob& token : update.tokens) decoded.tokens.push_back(token.token);
    if (update.finish == FinishReason::no_choice) return error("{}", kNoChoice);
    if (update.totals) decoded.stats = *update.totals;
    return {};
  }));
  return decoded;
}

/// A method and its engines, which keep from document to document what guesses taught and what
/// passes cost.
class Contender {
 public:
  Contender(const ComparedMethod& compared, Evaluator& evaluator, int32_t mask_token)
      : method_(compared.method),
        given_text_(evaluator, mask_token),
        given_(given_text_),
        own_(evaluator) {
    if (!compared.prices) return;
    given_.set_prices(*compared.prices, compared.price_use);
    own_.set_prices(*compared.prices, compared.price_use);
  }

  bool says_given() const {
    return facts_of(method_).equals_ar && !std::holds_alternative<ArOptions>(method_);
  }

  /// `request` has the document's prompt.
  Result<Decoded> say_given(const TextDocument& document, Request request) {
    request.method = method_;
    request.max_new = document.text_tokens();
    request.eos.clear();
    request.stop.clear();
    given_text_.say(document.tokens);
    return decode(given_, std::move(request));
  }

  Result<Decoded> say_own(Request request) {
    request.method = method_;
    return decode(own_, std::move(request));
  }

 private:
  const Method& method_;
  GivenText given_text_;
  Engine given_;
  Engine own_;
};

std::string named(std::string_view prefix, const char* field) {
  return std::string(prefix) + field;
}

void put(Json& line, std::string_view prefix, const RequestStats& stats) {
  line[named(prefix, "tokens")] = stats.new_tokens;
  line[named(prefix, "passes")] = stats.passes;
  line[named(prefix, "rows")] = stats.rows;
  line[named(prefix, "decoded")] = stats.decoded;
  line[named(prefix, "accepted")] = stats.accepted;
  auto guessed = Json::array(), right = Json::array();
  for (const auto& place : stats.places) {
    guessed.push_back(place.drafted);
    right.push_back(place.accepted);
  }
  line[named(prefix, "guesses")] = std::move(guessed);
  line[named(prefix, "guesses_right")] = std::move(right);
}

/// What put() made of them.
RequestStats stats_of(const Json& line, std::string_view prefix) {
  const auto count = [&](const char* field) {
    return line.value(named(prefix, field), int64_t{0});
  };
  const auto counts = [&](const char* field) {
    return line.value(named(prefix, field), std::vector<int64_t>());
  };
  RequestStats stats;
  stats.new_tokens = count("tokens");
  stats.passes = count("passes");
  stats.decoded = count("decoded");
  stats.accepted = counts("accepted");
  stats.rows = count("rows");
  const auto guessed = counts("guesses"), right = counts("guesses_right");
  for (size_t i = 0; i < std::min(guessed.size(), right.size()); ++i) {
    stats.places.push_back({.drafted = guessed[i], .accepted = right[i]});
  }
  return stats;
}

class DocumentRun {
 public:
  DocumentRun(const DocumentTask& task, Evaluator& evaluator, ResultsFile& results)
      : task_(task), evaluator_(evaluator), results_(results) {
    for (const ComparedMethod& compared : task.methods) {
      contenders_.push_back(
          std::make_unique<Contender>(compared, evaluator, task.request.sequence.mask_token));
    }
  }

  bool has(size_t document) const {
    for (size_t i = 0; i < contenders_.size(); ++i) {
      if (results_.find(id(document), static_cast<int>(i)) == nullptr) return false;
    }
    return true;
  }

  /// All methods on one document.
  Result<void> measure(size_t document);
  DocumentSummary summary() const;

 private:
  const std::string& id(size_t document) const { return task_.documents[document].id; }
  Request request_for(size_t document) const;
  /// Nats of the text.
  Result<double> nll_of(const TextDocument& document);
  Result<Json> measure(size_t contender, size_t document, std::vector<int32_t>& own);
  void add(MethodOnDocuments& method, const Json& line) const;

  const DocumentTask& task_;
  Evaluator& evaluator_;
  ResultsFile& results_;
  std::vector<std::unique_ptr<Contender>> contenders_;  // in the order of the task's methods
};

Request DocumentRun::request_for(size_t document) const {
  Request request = task_.request;
  const auto prompt = task_.documents[document].prompt_tokens();
  request.sequence.prompt.assign(prompt.begin(), prompt.end());
  Sampling& sampling = request.sequence.sampling;
  sampling.seed = seed_of_sample(sampling.seed, document, 0);
  return request;
}

Result<double> DocumentRun::nll_of(const TextDocument& document) {
  double logprob = 0;
  bool asked = false;
  const auto next = [&]() -> std::optional<TextGroup> {
    if (std::exchange(asked, true)) return std::nullopt;
    return TextGroup{0, {{document.tokens, document.prompt}}};
  };
  const auto take = [&](int64_t, const std::vector<TextScore>& scores) -> Result<bool> {
    logprob = scores.front().logprob;
    return true;
  };
  // A new one for each text: other passes have used its pages in between.
  TIDAR_TRY_VOID(make_causal_scorer(evaluator_, 1)->score(next, take));
  return -logprob;
}

Result<Json> DocumentRun::measure(size_t contender, size_t document, std::vector<int32_t>& own) {
  const TextDocument& text = task_.documents[document];
  Contender& method = *contenders_[contender];
  Json line = {{"item", text.id}, {"sample", contender}};
  if (method.says_given()) {
    TIDAR_TRY(const Decoded given, method.say_given(text, request_for(document)));
    put(line, kGiven, given.stats);
  }
  TIDAR_TRY(Decoded decoded, method.say_own(request_for(document)));
  put(line, kOwn, decoded.stats);
  line["seconds"] = decoded.stats.decode_s;
  own = std::move(decoded.tokens);
  return line;
}

Result<void> DocumentRun::measure(size_t document) {
  TIDAR_TRY(const double nll, nll_of(task_.documents[document]));
  const size_t count = contenders_.size();
  std::vector<Json> lines(count);
  std::vector<std::vector<int32_t>> own(count);
  for (size_t turn = 0; turn < count; ++turn) {
    // Each of them is the first to follow the scoring as often as the others.
    const size_t i = (document + turn) % count;
    TIDAR_TRY(lines[i], measure(i, document, own[i]));
  }
  for (size_t i = 0; i < count; ++i) {
    lines[i]["same_as_ar"] = own[i] == own[0] ? 1 : 0;
    if (i == 0) lines[i]["nll"] = nll;
    TIDAR_TRY_VOID(results_.add(id(document), static_cast<int>(i), lines[i].dump()));
  }
  return {};
}

void DocumentRun::add(MethodOnDocuments& method, const Json& line) const {
  if (method.given) {
    ++method.given->texts;
    method.given->stats.add(stats_of(line, kGiven));
  }
  ++method.own.texts;
  RequestStats own = stats_of(line, kOwn);
  own.decode_s = line.value("seconds", 0.0);
  method.own.stats.add(own);
  method.same_as_ar += line.value("same_as_ar", int64_t{0});
}

DocumentSummary DocumentRun::summary() const {
  DocumentSummary summary{.all = static_cast<int64_t>(task_.documents.size())};
  for (size_t i = 0; i < contenders_.size(); ++i) {
    MethodOnDocuments method{.method = task_.methods[i].method};
    if (contenders_[i]->says_given()) method.given.emplace();
    summary.methods.push_back(std::move(method));
  }
  std::vector<double> nll, tokens;
  for (size_t document = 0; document < task_.documents.size(); ++document) {
    if (!has(document)) continue;
    ++summary.done;
    for (size_t i = 0; i < contenders_.size(); ++i) {
      const Json line = Json::parse(*results_.find(id(document), static_cast<int>(i)));
      add(summary.methods[i], line);
      if (i == 0) nll.push_back(line.value("nll", 0.0));
    }
    tokens.push_back(task_.documents[document].text_tokens());
    summary.tokens += task_.documents[document].text_tokens();
  }
  summary.nll = mean_of_tokens(nll, tokens);
  return summary;
}

}  // namespace

DocumentNeeds needs_of(const DocumentTask& task, int max_position) {
  DocumentNeeds needs;
  Request request = task.request;
  for (const ComparedMethod& compared : task.methods) {
    request.method = compared.method;
    for (const TextDocument& document : task.documents) {
      const auto prompt = document.prompt_tokens();
      request.sequence.prompt.assign(prompt.begin(), prompt.end());
      request.max_new = std::max(task.request.max_new, document.text_tokens());
      needs.rows = std::max(needs.rows, useful_rows(request));
      needs.keys = std::max(needs.keys, most_keys(request, {.max_position = max_position}));
    }
  }
  return needs;
}

Result<DocumentSummary> run_documents(const DocumentTask& task, Evaluator& evaluator,
                                      ResultsFile& results, const RunHooks& hooks) {
  TIDAR_CHECK(!task.methods.empty());
  TIDAR_CHECK(std::holds_alternative<ArOptions>(task.methods.front().method));
  DocumentRun run(task, evaluator, results);
  int64_t done = 0;
  for (size_t i = 0; i < task.documents.size() && !hooks.stopped(); ++i) {
    if (!run.has(i)) {
      const auto measured = run.measure(i);
      if (!measured.ok()) {
        return error("document {}: {}", task.documents[i].id, measured.error().message);
      }
    }
    hooks.tell(++done, static_cast<int64_t>(task.documents.size()));
  }
  return run.summary();
}

}  // namespace tidar
