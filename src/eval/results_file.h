#pragma once
// The folder of an evaluation: run.json says what is evaluated, results.jsonl holds a line for each
// finished item. A run that was killed goes on where the lines end.

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace tidar {

/// What must be the same for results to stand in one file, in the order in which it is written:
/// {"model", "3f…"}, {"method", "tidar"}, …
using RunIdentity = std::vector<std::pair<std::string, std::string>>;

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

  /// Lines that were there when it was opened.
  int64_t resumed() const { return resumed_; }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  using Key = std::pair<std::string, int>;

  explicit ResultsFile(std::filesystem::path folder) : folder_(std::move(folder)) {}
  /// Returns how many bytes of the text are whole lines.
  Result<size_t> read(const std::string& text);

  std::filesystem::path folder_;
  std::map<Key, std::string> lines_;
  int64_t resumed_ = 0;
  std::ofstream file_;
};

}  // namespace tidar
