#pragma once
// What a training run writes down: log.jsonl, one object a line, and the same curves for
// TensorBoard (format/event_file.h). docs/training.md names the fields.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "apps/output.h"
#include "base/result.h"
#include "format/event_file.h"

namespace tidar {

/// What was added is in its file when add() returns, also if the program is killed then. Move-only.
class RunLog {
 public:
  /// Goes on with out/log.jsonl: lines of later steps than `step`, which a run that was cut short
  /// has written after its last checkpoint, are taken out, and so is a line that was cut itself.
  static Result<RunLog> open(const std::filesystem::path& out, int64_t step);

  /// One line; "step" must be among its fields. Numbers, also those in objects within, become
  /// curves named by their path: {"ar": {"loss": 2}} is the curve "ar/loss" of the group `group`.
  /// "samples", a list of {"prompt", "text"}, become a text there.
  Result<void> add(const std::string& group, const OrderedJson& line);

 private:
  RunLog(std::filesystem::path path, EventFile events)
      : path_(std::move(path)), events_(std::move(events)) {}

  std::filesystem::path path_;
  EventFile events_;
};

}  // namespace tidar
