#pragma once
// The numbers of a report that stand in no result file: means over tasks, differences, and block
// diffusion at equal tokens per pass.

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "report/paired.h"
#include "report/study.h"

namespace tidar {

/// The entries of a section, in the order of the study.
std::vector<const StudyEntry*> entries_in(const Study& study, Section section);

/// The tasks of a kind that any of the entries names, in the order of the study.
std::vector<const StudyTask*> tasks_of(const Study& study, ScoreKind kind,
                                       std::span<const StudyEntry* const> entries);

/// Means over tasks, each of the same weight.
struct TaskMean {
  Score score;                 ///< its error is that of a mean of independent scores
  double tokens_per_pass = 0;  ///< 0: some task does not tell
  double rows_per_pass = 0;    ///< likewise
  double tokens_per_s = 0;     ///< likewise
  bool finished = true;        ///< of all tasks
};

/// The means of an entry; nothing when there are no tasks or one of them has no results yet, since
/// means over different tasks cannot be compared.
std::optional<TaskMean> mean_over(const StudyEntry& entry, std::span<const StudyTask* const> tasks);

/// A point of a curve of scores over tokens per pass.
struct PassPoint {
  double tokens_per_pass = 0;
  double score = 0;
};

/// What a curve says at so many tokens per pass.
struct EqualPasses {
  enum class Where { between, below_all, above_all };
  Where where = Where::between;
  PassPoint point;  ///< on the line between two points, or the end of the curve
};

/// The curve through `points`, in any order, at `tokens_per_pass`; nothing without points. Of
/// points at the same place the better one counts.
std::optional<EqualPasses> at_equal_passes(std::vector<PassPoint> points, double tokens_per_pass);

struct HeadlineRow {
  const StudyEntry* entry = nullptr;
  std::optional<TaskMean> mean;
  std::optional<Estimate> gain;        ///< difference to the baseline
  std::optional<double> chance;        ///< McNemar's, of answers that differ from the baseline's
  std::optional<double> times_faster;  ///< tokens/s as a multiple of the baseline's
  /// Block diffusion at as many tokens per pass, of several series the one that does best there.
  std::optional<EqualPasses> diffusion;
  std::string diffusion_series;  ///< which one that is
};

/// What a study comes to: TiDAR beside AR trained on, and beside block diffusion. Made of the
/// entries of the sections "generation" and "trade-off" alone.
struct Headline {
  std::vector<const StudyTask*> tasks;    ///< over which all means are
  const StudyEntry* baseline = nullptr;   ///< if there is one
  std::optional<TaskMean> baseline_mean;  ///< if all its results are there
  std::vector<HeadlineRow> rows;          ///< one for each entry of TiDAR
};

/// Pointers into `study`, which must outlive it.
Headline headline_of(const Study& study);

}  // namespace tidar
