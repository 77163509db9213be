#include "report/study_results.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "format/files.h"
#include "format/json.h"

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
  return std::optional(std::move(result));
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
