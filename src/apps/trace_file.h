#pragma once
// Traces in a file (decode/draft_trace.h): JSONL, a line a text, compressed by zstd or not.
//
//     {"version": 2,
//      "model": "models/tidar-mini",    whose drafts they are
//      "vocabulary": 4096,              its ids are below this
//      "draft_length": 16,              K
//      "prompt": [5, 6, …],             token ids
//      "answer": [7, 8, …],             A of them
//      "guesses": [7, 7, 8, …],         A K (K + 1) / 2 ids, -1 where the context ended
//      "logprobs": [-0.1, …],           of each guess, natural
//      "runners_up": [9, 3, …],         the second candidate in the place of each, -1: none
//      "runner_up_logprobs": [-2.5, …]}
//
// Guesses stand by the number of masks that made them, 1 to K; then by the position of the answer
// where the first of these masks stood; then by mask. A guess is right where the answer's token at
// its position is the same.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "decode/draft_trace.h"
#include "format/files.h"

namespace tidar {

/// The longest draft that a trace may hold.
inline constexpr int kLongestTracedDraft = 64;

struct TraceFile {
  std::string model;  ///< of the first text
  std::vector<DraftTrace> texts;

  /// That all texts have; there is at least one.
  int draft_length() const;
  /// Prompt and answer of the longest text.
  int longest() const;
};

/// The Error names the line and says what is wrong with it; that of another version is wrong, too.
Result<TraceFile> read_trace(const std::filesystem::path& path);

/// Writes a trace text by text. The file appears whole with commit(), or not at all. Move-only.
class TraceWriter {
 public:
  static Result<TraceWriter> create(const std::filesystem::path& path, std::string model,
                                    int vocabulary);

  Result<void> add(const DraftTrace& trace);
  Result<void> commit() { return file_.commit(); }

 private:
  TraceWriter(FileWriter file, std::string model, int vocabulary)
      : file_(std::move(file)), model_(std::move(model)), vocabulary_(vocabulary) {}

  FileWriter file_;
  std::string model_;
  int vocabulary_;
};

}  // namespace tidar
