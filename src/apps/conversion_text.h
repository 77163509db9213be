#pragma once
// The texts of a conversion: what is given becomes token shards, and what they hold is counted.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "apps/corpus_run.h"
#include "base/result.h"
#include "text/tokenizer.h"

namespace tidar {

/// What a conversion reads.
struct ConversionSources {
  std::filesystem::path model{};        ///< whose chat template conversations are written by
  CorpusFlags data;                     ///< text files or token shards, not both
  std::vector<std::string> validation;  ///< likewise; none: a part of the data is held out
  int32_t end = -1;                     ///< put behind each text; -1: nothing
};

struct ConversionText {
  std::vector<std::filesystem::path> train, validation;  ///< token shards
  std::vector<int64_t> counts;  ///< of both: how often each id stands there, `end` behind texts too
  int64_t documents = 0;        ///< of both, as all that follows
  int64_t tokens = 0;
  int64_t prompt_tokens = 0;  ///< and all others that are given
  int64_t longest = 0;        ///< tokens of a document
  int64_t ended = 0;          ///< documents whose last token is `end`
  int64_t held_out = 0;       ///< documents of validation
};

/// Where no validation is given, writes `folder`/train.tokens and `folder`/validation.tokens: the
/// latter has the second document and every twentieth, but not more than 500. Where it is given,
/// texts become `folder`/all.tokens and `folder`/validation.tokens, and shards are used as they
/// are. An Error where a shard was made for a larger vocabulary than the tokenizer's, where texts
/// and shards are mixed, where one document is all there is to hold out of, and after Ctrl-C while
/// text is read.
Result<ConversionText> gather_text(const ConversionSources& sources, const Tokenizer& tokenizer,
                                   const std::filesystem::path& folder);

}  // namespace tidar
