#include "report/report_figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

#include "report/comparison.h"
#include "report/report_text.h"

namespace tidar {
namespace {

/// The series of this name; a new one at the end when there is none.
PlotSeries& series_named(std::vector<PlotSeries>& all, const std::string& label) {
  for (PlotSeries& series : all) {
    if (series.label == label) return series;
  }
  all.push_back({label, {}, static_cast<int>(all.size())});
  return all.back();
}

/// What pointing at an entry tells, in every figure.
std::string told(const StudyEntry& entry, const TaskMean& mean) {
  std::string text = fmt::format("{}\n{} %", entry.label, percent_text(mean.score));
  if (mean.tokens_per_pass > 0) {
    text += fmt::format("\n{} tokens per pass", rate_text(mean.tokens_per_pass));
  }
  if (mean.tokens_per_s > 0) text += fmt::format("\n{} tokens/s", rate_text(mean.tokens_per_s));
  return mean.finished ? text : text += "\nnot finished";
}

/// The entries of a section that have means over all its tasks.
std::vector<std::pair<const StudyEntry*, TaskMean>> means_in(const Study& study, Section section) {
  const auto entries = entries_in(study, section);
  const auto tasks = tasks_of(study, ScoreKind::generated, entries);
  std::vector<std::pair<const StudyEntry*, TaskMean>> found;
  for (const StudyEntry* entry : entries) {
    if (const auto mean = mean_over(*entry, tasks)) found.emplace_back(entry, *mean);
  }
  return found;
}

PlotPoint score_point(const StudyEntry& entry, const TaskMean& mean, double x) {
  return {.x = x,
          .y = 100 * mean.score.mean,
          .error = 100 * mean.score.standard_error,
          .label = told(entry, mean),
          .tag = {}};
}

}  // namespace

std::vector<Plot> trade_off_figures(const Study& study) {
  Plot passes;
  passes.name = "trade-off-passes";
  passes.title = "Quality against tokens per pass";
  passes.about = "Mean score of generated answers over tokens per forward pass.";
  passes.x = {.label = "tokens per pass (T/NFE)", .from_zero = true};
  passes.y = {.label = "mean score, %"};
  Plot time = passes;
  time.name = "trade-off-time";
  time.title = "Quality against speed";
  time.about = "Mean score of generated answers over tokens per second.";
  time.x.label = "tokens/s";
  // Both figures hold the same series, so that colours agree, though some points may lie in one
  // of them only.
  for (const auto& [entry, mean] : means_in(study, Section::trade_off)) {
    PlotSeries& over_passes = series_named(passes.series, entry->series);
    PlotSeries& over_time = series_named(time.series, entry->series);
    if (mean.tokens_per_pass > 0) {
      over_passes.points.push_back(score_point(*entry, mean, mean.tokens_per_pass));
      over_passes.points.back().tag = tag_of(*entry);
    }
    if (mean.tokens_per_s > 0) {
      over_time.points.push_back(score_point(*entry, mean, mean.tokens_per_s));
      over_time.points.back().tag = tag_of(*entry);
    }
  }
  return {std::move(passes), std::move(time)};
}

std::vector<Plot> trust_figures(const Study& study) {
  Plot score;
  score.name = "trust-score";
  score.title = "Quality over the trust in AR";
  score.about = "Mean score of generated answers over the trust in AR, a line for each α.";
  score.x = {.label = "trust in AR (β): 0 diffusion alone, 1 AR alone"};
  score.y = {.label = "mean score, %"};
  Plot passes = score;
  passes.name = "trust-passes";
  passes.title = "Tokens per pass over the trust in AR";
  passes.about = "Tokens per forward pass over the trust in AR, a line for each α.";
  passes.y = {.label = "tokens per pass (T/NFE)", .from_zero = true};
  for (const auto& [entry, mean] : means_in(study, Section::trust)) {
    const std::string line = entry->alpha ? fmt::format("α = {:g}", *entry->alpha) : entry->series;
    PlotPoint point = score_point(*entry, mean, entry->trust_ar.value_or(1));
    series_named(score.series, line).points.push_back(point);
    PlotSeries& over = series_named(passes.series, line);
    if (mean.tokens_per_pass <= 0) continue;
    point.y = mean.tokens_per_pass;
    point.error = 0;
    over.points.push_back(std::move(point));
  }
  return {std::move(score), std::move(passes)};
}

std::vector<Plot> latency_figures(std::span<const LatencyCurve> curves) {
  Plot time;
  time.name = "latency-ms";
  time.title = "Time of a pass over its rows";
  time.about = "Milliseconds of a forward pass over its rows.";
  time.x = {.label = "rows in a pass", .scale = PlotAxis::Scale::log2};
  time.y = {.label = "milliseconds", .from_zero = true};
  // Models of different sizes: on an axis from 0 all but the largest would lie on the ground.
  if (curves.size() > 1) time.y.scale = PlotAxis::Scale::log2;
  Plot ratio = time;
  ratio.name = "latency-ratio";
  ratio.title = "Time of a pass as a multiple of one row";
  ratio.about = "The time of a forward pass over its rows, divided by that of one row.";
  // What matters is how long the curve stays near 1, and not its far end.
  ratio.y = {.label = "× the time of one row", .scale = PlotAxis::Scale::log2};
  for (const LatencyCurve& curve : curves) {
    const auto style = static_cast<int>(time.series.size());
    PlotSeries times{curve.label, {}, style}, ratios{curve.label, {}, style};
    const bool has_one = !curve.points.empty() && curve.points.front().rows == 1;
    for (const auto& [rows, ms] : curve.points) {
      std::string told = fmt::format("{}\n{} {}: {} ms", curve.label, rows,
                                     rows == 1 ? "row" : "rows", rate_text(ms));
      const double times_one = has_one ? ms / curve.points.front().ms : 0;
      if (has_one) told += fmt::format("\n{} × one row", rate_text(times_one));
      times.points.push_back({.x = double(rows), .y = ms, .label = told});
      if (has_one) ratios.points.push_back({.x = double(rows), .y = times_one, .label = told});
    }
    time.series.push_back(std::move(times));
    ratio.series.push_back(std::move(ratios));
  }
  return {std::move(time), std::move(ratio)};
}

std::vector<Plot> histogram_figures(const Study& study) {
  const auto entries = entries_in(study, Section::histogram);
  std::vector<Plot> figures;
  for (const StudyTask* task : tasks_of(study, ScoreKind::generated, entries)) {
    Plot plot;
    plot.name = "histogram-" + task->name;
    plot.title = "Tokens per pass: " + task->label;
    plot.about = "The share of passes that brought so many tokens.";
    plot.kind = Plot::Kind::bars;
    plot.x = {.label = "tokens that a pass brought"};
    plot.y = {.label = "share of passes, %"};
    for (const StudyEntry* entry : entries) {
      PlotSeries series{entry->label, {}, static_cast<int>(plot.series.size())};
      const auto found = entry->results.find(task->name);
      const auto passes =
          found == entry->results.end() ? std::vector<int64_t>() : found->second.passes;
      const double all = std::accumulate(passes.begin(), passes.end(), 0.0);
      for (size_t tokens = 0; tokens < passes.size() && all > 0; ++tokens) {
        const auto count = static_cast<double>(passes[tokens]);
        if (tokens == 0 && count == 0) continue;
        series.points.push_back(
            {.x = static_cast<double>(tokens),
             .y = 100 * count / all,
             .label =
                 fmt::format("{}\n{} {}: {:.1f} %\n{:.0f} of {:.0f} passes", entry->label, tokens,
                             tokens == 1 ? "token" : "tokens", 100 * count / all, count, all)});
      }
      plot.series.push_back(std::move(series));
    }
    figures.push_back(std::move(plot));
  }
  return figures;
}

}  // namespace tidar
