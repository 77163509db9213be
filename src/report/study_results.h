#pragma once
// What the folders and files hold that a study names.

#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "report/study.h"

namespace tidar {

/// The summary.json of one folder, as the task wants it, and the items of its results.jsonl where
/// the run is finished and lines tell the task's score; nothing when there is no summary.
Result<std::optional<TaskResult>> read_task_result(const std::filesystem::path& folder,
                                                   const StudyTask& task);

/// One result of all seeds: means, with errors over items and over seeds; without items. At least
/// one run.
TaskResult over_seeds(std::span<const TaskResult> runs);

/// What `tidar bench --json` printed: its passes of so many rows, without "prefill" and "decode".
Result<LatencyCurve> read_latency(const std::filesystem::path& path, std::string label);

}  // namespace tidar
