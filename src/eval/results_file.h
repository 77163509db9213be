#pragma once
// The folder of an evaluation: run.json says what is evaluated, results.jsonl holds a line for each
// finished item. A run that was killed goes on where the lines end.

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "eval/run_identity.h"
#include "format/line_file.h"

namespace tidar {

/// One writer a folder at a time. Not thread-safe.
class ResultsFile {
 public:
  /// Begins a folder, or goes on with one. A last line that was cut short is taken out. An Error
  /// when the folder holds results of another run, or a line is damaged.
  static Result<ResultsFile> open(const std::filesystem::path& folder, const RunIdentity& identity);

  /// The line of an item's sample; nullptr when there is none yet.
  const std::string* find(const std::string& item, int sample = 0) const;

  /// Adds a line and hands it to the system, so that it outlives this program. `line` is a JSON
  /// object with the fields "item" and "sample" of these values.
  Result<void> add(const std::string& item, int sample, const std::string& line);

  /// Samples that had a line when it was opened.
  int64_t resumed() const { return resumed_; }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  using Key = std::pair<std::string, int>;

  ResultsFile(std::filesystem::path folder, LineFile file)
      : folder_(std::move(folder)), file_(std::move(file)) {}
  Result<void> take(std::string_view line, int64_t number);

  std::filesystem::path folder_;
  LineFile file_;
  std::map<Key, std::string> lines_;
  int64_t resumed_ = 0;
};

}  // namespace tidar
