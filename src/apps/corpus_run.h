#pragma once
// Reading the documents of a corpus for the subcommands of `tidar data`: flags, progress, and an
// account of the lines that could not be read.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "apps/output.h"
#include "base/result.h"
#include "format/corpus.h"

namespace tidar {

/// Which files, and what of them is text.
struct CorpusFlags {
  std::vector<std::string> files;
  std::string field = "text";  ///< of a line's object, where there is no template
  std::string text_template;   ///< DocumentTemplate (format/corpus.h); "": that field
  std::string prompt;          ///< likewise, of the text that is only given; "": none
  bool conversations = false;  ///< lines may be those (CorpusDocument::conversation)
};

/// Adds the files, as what stands behind the options, and the flags below. `flags` must outlive the
/// parsing.
void add_corpus_flags(CLI::App& command, CorpusFlags& flags);
/// Adds the flags that say what of a line is text.
void add_document_flags(CLI::App& command, CorpusFlags& flags);

/// What the flags say documents are made of. An Error where a template cannot be parsed.
Result<DocumentForm> form_of(const CorpusFlags& flags);

/// What was found in the files.
struct CorpusAccount {
  struct BadLine {
    std::string file;
    int64_t line = 0;
    std::string problem;
  };

  int64_t documents = 0;
  int64_t text_bytes = 0;
  int64_t bad_lines = 0;
  std::vector<BadLine> first_bad_lines;  ///< the first hundred
  bool interrupted = false;

  /// {"documents", "text_bytes", "bad_lines", "first_bad_lines": [{"file", "line", "problem"}]}
  OrderedJson json() const;
};

/// Calls use(document) with each good document of the files, in order. Bad ones, and those of which
/// use() says so in their "problem", are named on stderr (the first twenty) and counted, and
/// reading goes on. Ends early after Ctrl-C. An Error when a file cannot be read (told before the
/// first document where it can be), when use() returns one, and when there is no good document at
/// all.
Result<CorpusAccount> read_corpus(const CorpusFlags& flags,
                                  const std::function<Result<void>(CorpusDocument&)>& use);

}  // namespace tidar
