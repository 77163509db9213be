#pragma once
// The file that `tidar generate --out` writes: JSONL, a document a line, with the fields "line" (of
// the file of prompts) and "sample". Beside FILE stands FILE.run, which says of what run it is; so
// the same command goes on where it was ended.

#include <cstdint>
#include <filesystem>
#include <set>
#include <utility>

#include "base/result.h"
#include "eval/run_identity.h"
#include "format/json.h"
#include "format/line_file.h"

namespace tidar {

/// Keeps 64 bytes a document in memory. Not thread-safe.
class DocumentsFile {
 public:
  /// Begins a file, or goes on with one; a last line that was cut short is taken out. An Error when
  /// its documents are those of another run, or a line is damaged.
  static Result<DocumentsFile> open(const std::filesystem::path& path, const RunIdentity& identity);

  bool holds(int64_t line, int sample) const { return documents_.contains({line, sample}); }

  /// Adds a document, which outlives this program then. `json` has these as its fields; text that
  /// is not UTF-8 becomes U+FFFD.
  Result<void> add(int64_t line, int sample, const OrderedJson& json);

  int64_t documents() const { return static_cast<int64_t>(documents_.size()); }

 private:
  explicit DocumentsFile(LineFile file) : file_(std::move(file)) {}

  LineFile file_;
  std::set<std::pair<int64_t, int>> documents_;
};

}  // namespace tidar
