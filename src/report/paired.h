#pragma once
// Two entries of a study, item by item and seed by seed: what differs between them is then not the
// luck of the items or of the order in which a seed shows the text.

#include <optional>
#include <span>
#include <vector>

#include "report/resampling.h"
#include "report/study.h"

namespace tidar {

/// A number, and where it lies in 95 of 100 studies.
struct Estimate {
  double value = 0;
  Interval interval;
};

/// What two entries found of the same items of one task.
struct PairedTask {
  using Runs = std::vector<std::vector<ItemResult>>;  ///< [seed][item]
  Runs first, second;                                 ///< of one shape
};

/// The items of both, by task. Nothing where an entry has no results of a task or tells none of its
/// items, where items or numbers of seeds differ, and for no tasks. An entry of one seed stands
/// beside each of the other's.
std::optional<std::vector<PairedTask>> paired(const StudyEntry& first, const StudyEntry& second,
                                              std::span<const StudyTask* const> tasks);

// Over at least one task, each of the same weight.

/// By how much the first's mean value is above the second's.
Estimate gain_of(std::span<const PairedTask> tasks);

/// The first's tokens a pass as a multiple of the second's: the geometric mean over tasks. Nothing
/// where an entry made no passes.
std::optional<Estimate> passes_ratio(std::span<const PairedTask> tasks);

/// Likewise of values a token, which are nats. Nothing where there are no tokens or no nats.
std::optional<Estimate> loss_ratio(std::span<const PairedTask> tasks);

/// On how many answers, over tasks and seeds, only one of both was right. An answer of several
/// samples is right when more than half of them are.
struct Disagreement {
  int64_t only_first = 0;
  int64_t only_second = 0;
};
Disagreement disagreement_of(std::span<const PairedTask> tasks);

}  // namespace tidar
