#pragma once
// What the folders and files hold that a study names.

#include <filesystem>
#include <optional>
#include <string>

#include "base/result.h"
#include "report/study.h"

namespace tidar {

/// The summary.json of one folder, as the task wants it; nothing when there is none.
Result<std::optional<TaskResult>> read_task_result(const std::filesystem::path& folder,
                                                   const StudyTask& task);

/// What `tidar bench --json` printed: its passes of so many rows, without "prefill" and "decode".
Result<LatencyCurve> read_latency(const std::filesystem::path& path, std::string label);

}  // namespace tidar
