#pragma once
// Documents of a corpus: text files, one document each, and JSONL files, one document a line, made
// from its fields. Both may be compressed with zstd.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "format/input_file.h"

namespace tidar {

/// A text with fields of a JSON object in it: "Q: {question}\nA: {answer}". \n, \t and \\ stand for
/// a line end, a tab and a backslash, {{ and }} for braces. Immutable.
class DocumentTemplate {
 public:
  static Result<DocumentTemplate> parse(std::string_view text);
  /// Nothing but one field.
  static DocumentTemplate field(std::string name);

  /// Literal text, or the name of a field.
  struct Part {
    std::string text;
    bool is_field = false;
  };
  const std::vector<Part>& parts() const { return parts_; }

 private:
  std::vector<Part> parts_;
};

/// What documents are made of. A text file is the text as a whole; it has no fields, so that its
/// prompt must be literal text, or the document is a bad one.
struct DocumentForm {
  DocumentTemplate text = DocumentTemplate::field("text");
  std::optional<DocumentTemplate> prompt;  ///< goes before the text
  bool may_be_empty = false;               ///< an empty text is a good one
  /// Whether lines without the text's field may hold a list "messages" in its place.
  bool conversations = false;
};

/// One document, or why there is none.
struct CorpusDocument {
  std::string prompt;
  std::string text;
  std::string conversation;   ///< in place of both: the line, an object with a list "messages"
  std::string finish_reason;  ///< of a line that has the field: why a model ended its text there
  int64_t line = 0;           ///< in its file; the first is 1
  std::string problem;        ///< empty when the document is good; else the texts mean nothing
};

/// Reads one file: as JSONL when its name ends in .jsonl or .ndjson (and .zst), otherwise as text.
/// Not thread-safe.
class CorpusReader {
 public:
  static Result<CorpusReader> open(const std::filesystem::path& path, DocumentForm form);

  CorpusReader(CorpusReader&&) noexcept;
  CorpusReader& operator=(CorpusReader&&) noexcept;
  ~CorpusReader();

  /// The next document, good or bad; false when there is none left. Bad are lines that are longer
  /// than 64 MiB, are not a JSON object, lack a field, or have one that is neither text nor number,
  /// and documents that come out empty where the form does not allow it. Blank lines are passed
  /// over. Errors are those of InputFile; a text file of more than a GiB is one.
  Result<bool> next(CorpusDocument& document);

  int64_t bytes_read() const { return file_.bytes_read(); }

 private:
  struct Parser;
  CorpusReader(InputFile file, DocumentForm form, bool lines);
  Result<bool> next_text(CorpusDocument& document);
  void read_line(std::string_view line, CorpusDocument& document);

  InputFile file_;
  DocumentForm form_;
  bool lines_;
  int64_t line_ = 0;
  std::unique_ptr<Parser> parser_;
};

}  // namespace tidar
