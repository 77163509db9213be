#include "eval/likelihood_runs.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "base/check.h"
#include "base/stopwatch.h"
#include "eval/token_mean.h"
#include "format/json.h"

namespace tidar {
namespace {

/// Drops tokens from the front until the text fits. Whether it had to.
bool truncate(ScoredText& text, int longest) {
  const auto excess = static_cast<int32_t>(text.tokens.size()) - longest;
  // One token must stay to predict the first that is scored.
  const int32_t dropped = std::min(excess, text.from - 1);
  if (dropped <= 0) return false;
  text.tokens.erase(text.tokens.begin(), text.tokens.begin() + dropped);
  text.from -= dropped;
  return true;
}

Result<void> check_names(const ChoiceTask& task) {
  std::set<std::string> names;
  for (const ChoiceItem& item : task.items) {
    if (!names.insert(item.id).second)
      return error("two items of the task have the id {}", item.id);
  }
  return {};
}

Result<TextGroup> group_of(const ChoiceTask& task, size_t index, const Tokenizer& tokenizer,
                           int longest, std::set<size_t>& truncated) {
  const ChoiceItem& item = task.items[index];
  TIDAR_TRY(const std::string context, context_with_shots(item, task.shots, task.shot_count));
  TextGroup group{static_cast<int64_t>(index), {}};
  bool cut = false;
  for (const std::string& choice : item.choices) {
    auto text = split_text(tokenizer, context, item.delimiter + choice, task.start);
    if (!text.ok()) return error("item {}: {}", item.id, text.error().message);
    cut = truncate(*text, longest) || cut;
    group.texts.push_back(std::move(*text));
  }
  if (cut) truncated.insert(index);
  return group;
}

Json result_line(const ChoiceItem& item, const std::vector<TextScore>& scores, bool truncated,
                 double seconds) {
  std::vector<double> logprobs, errors;
  for (const TextScore& score : scores) {
    logprobs.push_back(score.logprob);
    errors.push_back(score.standard_error);
  }
  const ChoiceVerdict verdict = judge_choices(item, logprobs);
  return {{"item", item.id},
          {"sample", 0},
          {"logprobs", logprobs},
          {"standard_errors", errors},
          {"chosen", verdict.chosen},
          {"chosen_normalised", verdict.chosen_normalised},
          {"acc", verdict.right ? 1 : 0},
          {"acc_norm", verdict.right_normalised ? 1 : 0},
          {"truncated", truncated ? 1 : 0},
          {"seconds", seconds}};
}

/// The results of the items that have any.
template <class Items, class Name>
std::vector<Json> found_lines(const Items& items, const ResultsFile& results, Name&& name) {
  std::vector<Json> lines;
  for (const auto& item : items) {
    if (const std::string* line = results.find(name(item))) lines.push_back(Json::parse(*line));
  }
  return lines;
}

std::vector<double> column(const std::vector<Json>& lines, const char* field) {
  std::vector<double> values;
  for (const Json& line : lines) values.push_back(line.value(field, 0.0));
  return values;
}

double total(const std::vector<double>& values) {
  double all = 0;
  for (const double value : values) all += value;
  return all;
}

/// Feeds what has no result yet to the scorer, and its scores to the file.
class Feed {
 public:
  using Make = std::function<Result<TextGroup>(size_t index)>;
  using Name = std::function<std::string(size_t index)>;
  using Line = std::function<Json(size_t index, const std::vector<TextScore>&, double seconds)>;

  Feed(size_t count, ResultsFile& results, const RunHooks& hooks)
      : count_(count), results_(results), hooks_(hooks) {}

  Result<void> run(TextScorer& scorer, const Name& name, const Make& make, const Line& line) {
    for (size_t i = 0; i < count_; ++i) done_ += results_.find(name(i)) != nullptr;
    std::optional<Error> failure;
    size_t next = 0;
    const NextGroup next_group = [&]() -> std::optional<TextGroup> {
      while (next < count_ && results_.find(name(next)) != nullptr) ++next;
      if (next == count_ || failure || hooks_.stopped()) return std::nullopt;
      auto group = make(next++);
      if (group.ok()) return std::move(*group);
      failure = group.error();
      return std::nullopt;
    };
    const TakeScores take = [&](int64_t id, const auto& scores) -> Result<bool> {
      const auto index = static_cast<size_t>(id);
      TIDAR_TRY_VOID(results_.add(name(index), 0, line(index, scores, since_result_.lap()).dump()));
      hooks_.tell(++done_, static_cast<int64_t>(count_));
      return true;
    };
    TIDAR_TRY_VOID(scorer.score(next_group, take));
    if (failure) return *failure;
    return {};
  }

 private:
  size_t count_;
  ResultsFile& results_;
  const RunHooks& hooks_;
  Stopwatch since_result_;  // so that lines add up to the run, however often it was ended
  int64_t done_ = 0;
};

struct Window {
  int32_t begin = 0, end = 0;
  int32_t from = 0;  ///< the first token that no earlier window has scored
};

std::vector<Window> windows_of(const PerplexityTask& task) {
  const auto size = static_cast<int32_t>(task.tokens.size());
  std::vector<Window> windows;
  int32_t scored = 1;
  for (int32_t begin = 0; scored < size; begin += task.stride) {
    const int32_t end = std::min(begin + task.window, size);
    windows.push_back({begin, end, scored});
    scored = end;
  }
  return windows;
}

}  // namespace

Result<EvalSummary> run_choices(const ChoiceTask& task, const Tokenizer& tokenizer,
                                TextScorer& scorer, ResultsFile& results, const RunHooks& hooks) {
  TIDAR_TRY_VOID(check_names(task));
  std::set<size_t> truncated;  // items whose beginning was cut off
  Feed feed(task.items.size(), results, hooks);
  TIDAR_TRY_VOID(feed.run(
      scorer, [&](size_t i) { return task.items[i].id; },
      [&](size_t i) { return group_of(task, i, tokenizer, scorer.longest_text(), truncated); },
      [&](size_t i, const std::vector<TextScore>& scores, double seconds) {
        return result_line(task.items[i], scores, truncated.contains(i), seconds);
      }));

  const auto lines =
      found_lines(task.items, results, [](const ChoiceItem& item) { return item.id; });
  EvalSummary summary;
  summary.done = static_cast<int64_t>(lines.size());
  summary.all = static_cast<int64_t>(task.items.size());
  for (const char* name : {"acc", "acc_norm"}) {
    summary.scores.emplace_back(name, score_of(column(lines, name)));
  }
  summary.numbers = {{"truncated", total(column(lines, "truncated"))},
                     {"seconds", total(column(lines, "seconds"))}};
  return summary;
}

Result<EvalSummary> run_perplexity(const PerplexityTask& task, const Tokenizer& tokenizer,
                                   TextScorer& scorer, ResultsFile& results,
                                   const RunHooks& hooks) {
  TIDAR_CHECK(task.tokens.size() >= 2 && task.window >= 2);
  TIDAR_CHECK(1 <= task.stride && task.stride < task.window);
  const std::vector<Window> windows = windows_of(task);
  const auto name = [](const Window& window) { return std::to_string(window.begin); };
  const std::span<const int32_t> tokens(task.tokens);
  const auto make = [&](size_t i) -> Result<TextGroup> {
    const auto& [begin, end, from] = windows[i];
    ScoredText text{{tokens.begin() + begin, tokens.begin() + end}, from - begin};
    return TextGroup{static_cast<int64_t>(i), {std::move(text)}};
  };
  const auto line = [&](size_t i, const std::vector<TextScore>& scores, double seconds) {
    const Window& window = windows[i];
    int64_t bytes = 0;
    for (int32_t at = window.from; at < window.end; ++at) {
      bytes += static_cast<int64_t>(tokenizer.bytes(tokens[static_cast<size_t>(at)]).size());
    }
    return Json{{"item", name(window)},
                {"sample", 0},
                {"logprob", scores.front().logprob},
                {"standard_error", scores.front().standard_error},
                {"tokens", window.end - window.from},
                {"bytes", bytes},
                {"seconds", seconds}};
  };
  Feed feed(windows.size(), results, hooks);
  TIDAR_TRY_VOID(feed.run(
      scorer, [&](size_t i) { return name(windows[i]); }, make, line));

  const auto lines = found_lines(windows, results, name);
  auto nats = column(lines, "logprob");
  for (double& value : nats) value = -value;
  const auto counts = column(lines, "tokens");
  const double bytes = total(column(lines, "bytes"));
  const Score nll = mean_of_tokens(nats, counts);
  EvalSummary summary;
  summary.done = static_cast<int64_t>(lines.size());
  summary.all = static_cast<int64_t>(windows.size());
  summary.scores = {{"nll", nll}};
  if (lines.empty()) return summary;
  summary.numbers = {{"perplexity", std::exp(nll.mean)},
                     {"bits_per_byte", bytes > 0 ? total(nats) / bytes / std::numbers::ln2 : 0},
                     {"tokens", total(counts)},
                     {"bytes", bytes},
                     {"seconds", total(column(lines, "seconds"))}};
  return summary;
}

}  // namespace tidar
