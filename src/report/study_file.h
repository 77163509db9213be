#pragma once
// The file that `tidar report` reads, one JSON object (docs/evaluation.md). Paths in it are
// relative to its own folder.

#include <filesystem>

#include "base/result.h"
#include "report/study.h"

namespace tidar {

/// Reads the file and all results. A folder without a summary.json, and a bench file that is not
/// there, stand in Study::missing; a field that is not known, a wrong value, a damaged summary or
/// one without the score of its task are Errors.
Result<Study> read_study(const std::filesystem::path& path);

}  // namespace tidar
