#include "report/paired.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace tidar {
namespace {

/// The items of each run, in the order of their names.
PairedTask::Runs runs_of(const std::vector<TaskResult>& results) {
  PairedTask::Runs runs;
  for (const TaskResult& result : results) {
    auto& run = runs.emplace_back();
    for (const auto& [name, item] : result.items) run.push_back(item);
  }
  return runs;
}

bool same_items(const TaskResult& a, const TaskResult& b) {
  return std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(),
                    [](const auto& x, const auto& y) { return x.first == y.first; });
}

/// What a draw makes of one side.
struct Sums {
  double values = 0, tokens = 0, decoded = 0, passes = 0;
  double items = 0;  ///< drawn, over all seeds
};

Sums sums_of(const PairedTask::Runs& runs, const std::vector<int>& seeds,
             const std::vector<int>& items) {
  Sums sums;
  for (size_t s = 0; s < runs.size(); ++s) {
    if (seeds[s] == 0) continue;
    for (size_t i = 0; i < items.size(); ++i) {
      const ItemResult& item = runs[s][i];
      const double times = seeds[s] * items[i];
      sums.values += times * item.value;
      sums.tokens += times * static_cast<double>(item.tokens);
      sums.decoded += times * static_cast<double>(item.decoded);
      sums.passes += times * static_cast<double>(item.passes);
      sums.items += times;
    }
  }
  return sums;
}

/// The mean over tasks of compare(first, second), and where it lies.
template <class Compare>
Estimate estimate(std::span<const PairedTask> tasks, const Compare& compare) {
  const auto seeds = static_cast<int>(tasks.front().first.size());
  std::vector<int> items;
  for (const PairedTask& task : tasks) {
    items.push_back(static_cast<int>(task.first.front().size()));
  }
  const auto mean = [&](const Draw& draw) {
    double sum = 0;
    for (size_t t = 0; t < tasks.size(); ++t) {
      sum += compare(sums_of(tasks[t].first, draw.seeds, draw.items[t]),
                     sums_of(tasks[t].second, draw.seeds, draw.items[t]));
    }
    return sum / static_cast<double>(tasks.size());
  };
  Draw all{std::vector<int>(static_cast<size_t>(seeds), 1), {}};
  for (const int count : items) all.items.emplace_back(static_cast<size_t>(count), 1);
  return {mean(all), resampled(seeds, items, mean)};
}

/// Whether each run has some of it.
template <class Count>
bool told(std::span<const PairedTask> tasks, const Count& count) {
  for (const PairedTask& task : tasks) {
    for (const auto* runs : {&task.first, &task.second}) {
      const auto has_some = [&](const std::vector<ItemResult>& run) {
        return std::any_of(run.begin(), run.end(),
                           [&](const auto& item) { return count(item) > 0; });
      };
      if (!std::all_of(runs->begin(), runs->end(), has_some)) return false;
    }
  }
  return true;
}

/// Of two rates; 0 in a draw that holds none of the items that have one.
double log_ratio(double part, double whole, double other_part, double other_whole) {
  const double ratio = part * other_whole / (whole * other_part);
  return ratio > 0 && std::isfinite(ratio) ? std::log(ratio) : 0;
}

Estimate exponential(const Estimate& log) {
  return {std::exp(log.value), {std::exp(log.interval.low), std::exp(log.interval.high)}};
}

std::optional<PairedTask> paired_on(const StudyEntry& first, const StudyEntry& second,
                                    const StudyTask& task) {
  const auto found_first = first.runs.find(task.name), found_second = second.runs.find(task.name);
  if (found_first == first.runs.end() || found_second == second.runs.end()) return {};
  const auto &a = found_first->second, &b = found_second->second;
  const TaskResult& one = a.front();
  if (one.items.empty()) return {};
  const auto has_them = [&](const TaskResult& other) { return same_items(one, other); };
  if (!std::all_of(a.begin(), a.end(), has_them) || !std::all_of(b.begin(), b.end(), has_them)) {
    return {};
  }
  PairedTask pair{runs_of(a), runs_of(b)};
  const size_t seeds = std::max(a.size(), b.size());
  for (auto* runs : {&pair.first, &pair.second}) {
    if (runs->size() == 1) runs->assign(seeds, std::vector<ItemResult>(runs->front()));
    if (runs->size() != seeds) return {};
  }
  return pair;
}

}  // namespace

std::optional<std::vector<PairedTask>> paired(const StudyEntry& first, const StudyEntry& second,
                                              std::span<const StudyTask* const> tasks) {
  std::vector<PairedTask> pairs;
  for (const StudyTask* task : tasks) {
    auto pair = paired_on(first, second, *task);
    if (!pair) return {};
    if (!pairs.empty() && pair->first.size() != pairs.front().first.size()) return {};
    pairs.push_back(*std::move(pair));
  }
  if (pairs.empty()) return {};
  return pairs;
}

Estimate gain_of(std::span<const PairedTask> tasks) {
  return estimate(
      tasks, [](const Sums& a, const Sums& b) { return a.values / a.items - b.values / b.items; });
}

std::optional<Estimate> passes_ratio(std::span<const PairedTask> tasks) {
  if (!told(tasks, [](const ItemResult& item) { return std::min(item.decoded, item.passes); })) {
    return {};
  }
  return exponential(estimate(tasks, [](const Sums& a, const Sums& b) {
    return log_ratio(a.decoded, a.passes, b.decoded, b.passes);
  }));
}

std::optional<Estimate> loss_ratio(std::span<const PairedTask> tasks) {
  if (!told(tasks, [](const ItemResult& item) { return item.tokens > 0 ? item.value : 0; })) {
    return {};
  }
  return exponential(estimate(tasks, [](const Sums& a, const Sums& b) {
    return log_ratio(a.values, a.tokens, b.values, b.tokens);
  }));
}

Disagreement disagreement_of(std::span<const PairedTask> tasks) {
  Disagreement found;
  for (const PairedTask& task : tasks) {
    for (size_t s = 0; s < task.first.size(); ++s) {
      for (size_t i = 0; i < task.first[s].size(); ++i) {
        const bool first = task.first[s][i].value > 0.5, second = task.second[s][i].value > 0.5;
        found.only_first += first && !second ? 1 : 0;
        found.only_second += second && !first ? 1 : 0;
      }
    }
  }
  return found;
}

}  // namespace tidar
