#include "report/study_results.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "format/files.h"
#include "format/json.h"
#include "format/jsonl.h"

namespace tidar {
namespace {

constexpr NumberRange kAny = {-1e300, 1e300};
constexpr NumberRange kNotNegative = {0, 1e300};
constexpr NumberRange kPositive = {1e-9, 1e300};

/// The task's score: {"mean", "standard_error", "count"}, or a plain number of the summary.
Result<Score> score_in(const JsonFields& summary, const std::string& name) {
  TIDAR_TRY(const auto scores, summary.object("scores"));
  Score score;
  if (scores && scores->has(name)) {
    TIDAR_TRY(const auto fields, scores->object(name));
    TIDAR_TRY(score.mean, fields->number("mean", kAny));
    TIDAR_TRY(score.standard_error, fields->number("standard_error", kNotNegative, 0.0));
    TIDAR_TRY(score.count, fields->count("count", 0, 0));
    return score;
  }
  if (!summary.has(name)) {
    return error("{}: has no score '{}'; it has {}", summary.where(), name,
                 scores ? fmt::format("{}", fmt::join(scores->keys(), ", ")) : "none");
  }
  TIDAR_TRY(score.mean, summary.number(name, kAny));
  return score;
}

Result<std::vector<int64_t>> passes_in(const Json& summary, const JsonFields& fields) {
  std::vector<int64_t> passes;
  if (!fields.has("accepted")) return passes;
  const Json& list = summary.at("accepted");
  const auto is_count = [](const Json& value) {
    return value.is_number_integer() && value.get<int64_t>() >= 0;
  };
  if (!list.is_array() || !std::all_of(list.begin(), list.end(), is_count)) {
    return fields.wrong("accepted", "a list of counts");
  }
  return list.get<std::vector<int64_t>>();
}

/// The field of a line that holds a score; "" when lines do not tell it.
std::string field_of(const StudyTask& task) {
  if (task.kind == ScoreKind::loss) return "nll";
  if (task.score == "pass@1") return "passed";
  return task.score.starts_with("pass@") ? "" : task.score;
}

/// Adds a line: one of several samples of an item, or of several methods that read one document.
Result<void> add_line(const JsonFields& line, const StudyTask& task, TaskResult& result,
                      std::map<std::string, int>& scored) {
  TIDAR_TRY(const std::string name, line.text("item"));
  ItemResult& item = result.items[name];
  const std::string field = field_of(task);
  // Windows of a text tell its log-probability.
  const bool is_window = task.kind == ScoreKind::loss && line.has("logprob");
  if (line.has(field) || is_window) {
    TIDAR_TRY(double value, line.number(is_window ? "logprob" : field, kAny));
    if (is_window) value = -value;
    const int before = scored[name]++;
    item.value = task.kind == ScoreKind::loss ? item.value + value
                                              : (item.value * before + value) / (before + 1);
  }
  // Of documents, what counts is the text that was given to a method that drafts.
  if (line.has("same_as_ar") && !line.has("given_tokens")) return {};
  const std::string prefix = line.has("given_tokens") ? "given_" : "";
  if (!prefix.empty() && item.tokens > 0) {
    return error("{}: several methods read document {}; a study's folder compares AR and one",
                 line.where(), name);
  }
  TIDAR_TRY(const int64_t tokens, line.count(prefix + "tokens", 0, 0));
  TIDAR_TRY(const int64_t decoded, line.count(prefix + "decoded", 0, 0));
  TIDAR_TRY(const int64_t passes, line.count(prefix + "passes", 0, 0));
  item.tokens += tokens;
  item.decoded += decoded;
  item.passes += passes;
  ++item.answers;
  return {};
}

Result<void> add_items(const std::filesystem::path& path, const StudyTask& task,
                       TaskResult& result) {
  std::map<std::string, int> scored;  // lines with a value, by item
  TIDAR_TRY_VOID(read_jsonl(
      path, [&](const JsonFields& line, int64_t) { return add_line(line, task, result, scored); }));
  const auto is_scored = [&](const auto& item) { return scored.count(item.first) > 0; };
  if (!std::all_of(result.items.begin(), result.items.end(), is_scored)) result.items.clear();
  return {};
}

/// Of all items; 0 where they tell nothing.
double passes_of_items(const TaskResult& result) {
  double decoded = 0, passes = 0;
  for (const auto& [name, item] : result.items) {
    decoded += static_cast<double>(item.decoded);
    passes += static_cast<double>(item.passes);
  }
  return passes > 0 ? decoded / passes : 0;
}

}  // namespace

Result<std::optional<TaskResult>> read_task_result(const std::filesystem::path& folder,
                                                   const StudyTask& task) {
  const std::filesystem::path path = folder / "summary.json";
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return std::optional<TaskResult>();
  TIDAR_TRY(const std::string text, read_text_file(path));
  TIDAR_TRY(const Json summary, parse_json_object(text, path.string()));
  const JsonFields fields(summary, path.string());
  TaskResult result;
  TIDAR_TRY(result.done, fields.count("done", 0));
  TIDAR_TRY(result.all, fields.count("all", 0));
  TIDAR_TRY(result.score, score_in(fields, task.score));
  TIDAR_TRY(result.tokens_per_pass, fields.number("tokens_per_pass", kNotNegative, 0.0));
  TIDAR_TRY(result.rows_per_pass, fields.number("rows_per_pass", kNotNegative, 0.0));
  TIDAR_TRY(result.tokens_per_s, fields.number("tokens_per_s", kNotNegative, 0.0));
  TIDAR_TRY(result.passes, passes_in(summary, fields));
  const std::filesystem::path lines = folder / "results.jsonl";
  if (result.finished() && std::filesystem::exists(lines, ignored)) {
    TIDAR_TRY_VOID(add_items(lines, task, result));
  }
  if (result.tokens_per_pass == 0) result.tokens_per_pass = passes_of_items(result);
  return std::optional(std::move(result));
}

TaskResult over_seeds(std::span<const TaskResult> runs) {
  const auto seeds = static_cast<double>(runs.size());
  const auto mean_of = [&](const auto& number) {
    double sum = 0;
    for (const TaskResult& run : runs) sum += number(run);
    return sum / seeds;
  };
  // A number that one run does not tell is not told.
  const auto told = [&](double TaskResult::*number) {
    const auto tells = [&](const TaskResult& run) { return run.*number > 0; };
    return std::all_of(runs.begin(), runs.end(), tells)
               ? mean_of([&](const TaskResult& run) { return run.*number; })
               : 0;
  };
  TaskResult all;
  Score& score = all.score;
  score.mean = mean_of([](const TaskResult& run) { return run.score.mean; });
  double squares = 0;
  for (const TaskResult& run : runs) {
    all.done += run.done;
    all.all += run.all;
    score.count += run.score.count;
    squares += (run.score.mean - score.mean) * (run.score.mean - score.mean);
    all.passes.resize(std::max(all.passes.size(), run.passes.size()));
    for (size_t a = 0; a < run.passes.size(); ++a) all.passes[a] += run.passes[a];
  }
  // The items are the same for all seeds: their error does not shrink with more of these.
  const double of_items = mean_of([](const TaskResult& run) { return run.score.standard_error; });
  const double of_seeds = runs.size() > 1 ? std::sqrt(squares / (seeds - 1) / seeds) : 0;
  score.standard_error = std::hypot(of_items, of_seeds);
  all.tokens_per_pass = told(&TaskResult::tokens_per_pass);
  all.rows_per_pass = told(&TaskResult::rows_per_pass);
  all.tokens_per_s = told(&TaskResult::tokens_per_s);
  return all;
}

Result<LatencyCurve> read_latency(const std::filesystem::path& path, std::string label) {
  TIDAR_TRY(const std::string text, read_text_file(path));
  TIDAR_TRY(const Json bench, parse_json_object(text, path.string()));
  const JsonFields fields(bench, path.string());
  if (!fields.has("passes") || !bench.at("passes").is_array()) {
    return fields.wrong("passes", "a list of objects, as tidar bench --json prints it");
  }
  LatencyCurve curve{std::move(label), {}};
  std::optional<int> context;
  for (const Json& item : bench.at("passes")) {
    if (!item.is_object()) return fields.wrong("passes", "a list of objects");
    const JsonFields pass(item, path.string() + ": a pass");
    TIDAR_TRY(const std::string name, pass.text("name"));
    if (name == "prefill" || name == "decode") continue;
    TIDAR_TRY(const int cached, pass.integer("context", {0, 1 << 24}, 0));
    if (context && *context != cached) {
      return error("{}: has passes behind {} and {} cached keys; give tidar bench one --context",
                   path.string(), *context, cached);
    }
    context = cached;
    LatencyCurve::Point point;
    TIDAR_TRY(point.rows, pass.integer("rows", {1, 1 << 20}));
    TIDAR_TRY(point.ms, pass.number("median_ms", kPositive));
    curve.points.push_back(point);
  }
  std::sort(curve.points.begin(), curve.points.end(),
            [](const auto& a, const auto& b) { return a.rows < b.rows; });
  return curve;
}

}  // namespace tidar
