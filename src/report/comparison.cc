#include "report/comparison.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

namespace tidar {
namespace {

/// The mean of a number that each task may tell; 0 when one does not.
double mean_of(const StudyEntry& entry, std::span<const StudyTask* const> tasks,
               double TaskResult::*number) {
  double sum = 0;
  for (const StudyTask* task : tasks) {
    const double value = entry.results.at(task->name).*number;
    if (value <= 0) return 0;
    sum += value;
  }
  return sum / static_cast<double>(tasks.size());
}

/// The entries that the headline is made of.
std::vector<const StudyEntry*> main_entries(const Study& study) {
  std::vector<const StudyEntry*> found;
  for (const StudyEntry& entry : study.entries) {
    if (entry.sections.count(Section::generation) + entry.sections.count(Section::trade_off) > 0) {
      found.push_back(&entry);
    }
  }
  return found;
}

using Curves = std::map<std::string, std::vector<PassPoint>>;  // by series

Curves diffusion_curves(std::span<const StudyEntry* const> entries,
                        std::span<const StudyTask* const> tasks) {
  Curves curves;
  for (const StudyEntry* entry : entries) {
    if (entry->role != Role::block_diffusion) continue;
    const auto mean = mean_over(*entry, tasks);
    if (mean && mean->tokens_per_pass > 0) {
      curves[entry->series].push_back({mean->tokens_per_pass, mean->score.mean});
    }
  }
  return curves;
}

/// Whether `a` is more than `b` to put beside TiDAR: a curve that comes so far with the better
/// score, else the one that comes furthest.
bool better(const EqualPasses& a, const EqualPasses& b) {
  const bool short_a = a.where == EqualPasses::Where::above_all;
  const bool short_b = b.where == EqualPasses::Where::above_all;
  if (short_a != short_b) return short_b;
  if (short_a && a.point.tokens_per_pass != b.point.tokens_per_pass) {
    return a.point.tokens_per_pass > b.point.tokens_per_pass;
  }
  return a.point.score > b.point.score;
}

void find_equal(HeadlineRow& row, const Curves& curves) {
  if (!row.mean || row.mean->tokens_per_pass <= 0) return;
  for (const auto& [series, points] : curves) {
    const auto equal = at_equal_passes(points, row.mean->tokens_per_pass);
    if (equal && (!row.diffusion || better(*equal, *row.diffusion))) {
      row.diffusion = equal;
      row.diffusion_series = series;
    }
  }
}

/// a - b of independent scores.
Estimate difference(const Score& a, const Score& b) {
  const double gain = a.mean - b.mean;
  const double half = kNormal95 * std::hypot(a.standard_error, b.standard_error);
  return {gain, {gain - half, gain + half}};
}

/// The row beside the baseline: by items where they are told.
void compare(HeadlineRow& row, const Headline& headline) {
  if (!row.mean || !headline.baseline_mean) return;
  const TaskMean& baseline = *headline.baseline_mean;
  if (const auto pairs = paired(*row.entry, *headline.baseline, headline.tasks)) {
    row.gain = gain_of(*pairs);
    const Disagreement differ = disagreement_of(*pairs);
    row.chance = mcnemar(differ.only_first, differ.only_second);
  } else {
    row.gain = difference(row.mean->score, baseline.score);
  }
  if (baseline.tokens_per_s > 0 && row.mean->tokens_per_s > 0) {
    row.times_faster = row.mean->tokens_per_s / baseline.tokens_per_s;
  }
}

}  // namespace

std::vector<const StudyEntry*> entries_in(const Study& study, Section section) {
  std::vector<const StudyEntry*> found;
  for (const StudyEntry& entry : study.entries) {
    if (entry.sections.count(section) > 0) found.push_back(&entry);
  }
  return found;
}

std::vector<const StudyTask*> tasks_of(const Study& study, ScoreKind kind,
                                       std::span<const StudyEntry* const> entries) {
  std::vector<const StudyTask*> found;
  for (const StudyTask& task : study.tasks) {
    const auto names = [&](const StudyEntry* entry) { return entry->folders.count(task.name) > 0; };
    if (task.kind == kind && std::any_of(entries.begin(), entries.end(), names)) {
      found.push_back(&task);
    }
  }
  return found;
}

std::optional<TaskMean> mean_over(const StudyEntry& entry,
                                  std::span<const StudyTask* const> tasks) {
  if (tasks.empty()) return {};
  TaskMean mean;
  double squares = 0;
  for (const StudyTask* task : tasks) {
    const auto found = entry.results.find(task->name);
    if (found == entry.results.end()) return {};
    const TaskResult& result = found->second;
    mean.score.mean += result.score.mean;
    mean.score.count += result.score.count;
    squares += result.score.standard_error * result.score.standard_error;
    mean.finished = mean.finished && result.finished();
  }
  const auto count = static_cast<double>(tasks.size());
  mean.score.mean /= count;
  mean.score.standard_error = std::sqrt(squares) / count;
  mean.tokens_per_pass = mean_of(entry, tasks, &TaskResult::tokens_per_pass);
  mean.rows_per_pass = mean_of(entry, tasks, &TaskResult::rows_per_pass);
  mean.tokens_per_s = mean_of(entry, tasks, &TaskResult::tokens_per_s);
  return mean;
}

std::optional<EqualPasses> at_equal_passes(std::vector<PassPoint> points, double tokens_per_pass) {
  if (points.empty()) return {};
  // The better of two at one place first: it is the one that stays.
  std::sort(points.begin(), points.end(), [](const PassPoint& a, const PassPoint& b) {
    return a.tokens_per_pass != b.tokens_per_pass ? a.tokens_per_pass < b.tokens_per_pass
                                                  : a.score > b.score;
  });
  const auto same_place = [](const PassPoint& a, const PassPoint& b) {
    return a.tokens_per_pass == b.tokens_per_pass;
  };
  points.erase(std::unique(points.begin(), points.end(), same_place), points.end());
  using Where = EqualPasses::Where;
  if (tokens_per_pass < points.front().tokens_per_pass) {
    return EqualPasses{Where::below_all, points.front()};
  }
  if (tokens_per_pass > points.back().tokens_per_pass) {
    return EqualPasses{Where::above_all, points.back()};
  }
  const auto right = std::find_if(points.begin(), points.end(), [&](const PassPoint& point) {
    return point.tokens_per_pass >= tokens_per_pass;
  });
  if (right->tokens_per_pass == tokens_per_pass) return EqualPasses{Where::between, *right};
  const PassPoint& left = *std::prev(right);
  const double part =
      (tokens_per_pass - left.tokens_per_pass) / (right->tokens_per_pass - left.tokens_per_pass);
  return EqualPasses{Where::between,
                     {tokens_per_pass, left.score + part * (right->score - left.score)}};
}

Headline headline_of(const Study& study) {
  Headline headline;
  const auto entries = main_entries(study);
  headline.tasks = tasks_of(study, ScoreKind::generated, entries);
  for (const StudyEntry* entry : entries) {
    if (entry->role != Role::baseline) continue;
    headline.baseline = entry;
    headline.baseline_mean = mean_over(*entry, headline.tasks);
  }
  const Curves curves = diffusion_curves(entries, headline.tasks);
  for (const StudyEntry* entry : entries) {
    if (entry->role != Role::tidar) continue;
    HeadlineRow row;
    row.entry = entry;
    row.mean = mean_over(*entry, headline.tasks);
    compare(row, headline);
    find_equal(row, curves);
    headline.rows.push_back(row);
  }
  return headline;
}

}  // namespace tidar
