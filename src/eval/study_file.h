#pragma once
// The file that `tidar report` reads, one JSON object (docs/evaluation.md), and the results that it
// names. Paths in it are relative to its own folder.

#include <filesystem>

#include "base/result.h"
#include "eval/study.h"

namespace tidar {

/// Reads the file and all results. A folder without a summary.json, and a bench file that is not
/// there, stand in Study::missing; a field that is not known, a wrong value, a damaged summary or
/// one without the score of its task are Errors.
Result<Study> read_study(const std::filesystem::path& path);

/// The summary.json of one folder, as the task wants it; nothing when there is none.
Result<std::optional<TaskResult>> read_task_result(const std::filesystem::path& folder,
                                                   const StudyTask& task);

/// What `tidar bench --json` printed: its passes of so many rows, without "prefill" and "decode".
Result<LatencyCurve> read_latency(const std::filesystem::path& path, std::string label);

}  // namespace tidar
