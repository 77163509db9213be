#pragma once
// Documents as text become a token shard.

#include <cstdint>
#include <filesystem>
#include <vector>

#include "apps/output.h"
#include "base/result.h"
#include "format/corpus.h"
#include "format/token_shards.h"
#include "text/tokenizer.h"

namespace tidar {

/// "eos_token" of the folder's tokenizer_config.json: a text, or an object with "content". "" when
/// there is none.
std::string end_of_config(const std::filesystem::path& folder);

/// Not thread-safe.
class ShardMaker {
 public:
  /// `tokenizer` must outlive this. `end` is the id behind every document; -1: none.
  ShardMaker(const Tokenizer& tokenizer, TokenShardWriter writer, int32_t end)
      : tokenizer_(tokenizer),
        writer_(std::move(writer)),
        end_(end),
        counts_(static_cast<size_t>(tokenizer.size())) {}

  /// Adds a good document. One that has no token is left out; one that was cut, as its
  /// finish_reason says, gets no end.
  Result<void> add(const CorpusDocument& document);
  /// The file appears.
  Result<void> finish() { return writer_.finish(); }

  /// {"tokens", "prompt_tokens", "longest_document", "one_token_documents",
  /// "cut_documents", "special_tokens_in_text": {token: times}, "bytes"}
  OrderedJson json() const;

 private:
  const Tokenizer& tokenizer_;
  TokenShardWriter writer_;
  int32_t end_;
  std::vector<int64_t> counts_;  // how often each id stands in the texts, ends not counted
  int64_t prompt_tokens_ = 0;
  int64_t longest_ = 0;
  int64_t one_token_documents_ = 0;
  int64_t cut_documents_ = 0;
};

}  // namespace tidar
