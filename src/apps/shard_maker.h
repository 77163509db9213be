#pragma once
// Documents as text become a token shard.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "apps/output.h"
#include "base/result.h"
#include "format/corpus.h"
#include "format/token_shards.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace tidar {

/// Not thread-safe.
class ShardMaker {
 public:
  /// `tokenizer` must outlive this; `model` is its folder, or GGUF file. `end` is the id behind
  /// every document; -1: none.
  ShardMaker(std::filesystem::path model, const Tokenizer& tokenizer, TokenShardWriter writer,
             int32_t end)
      : model_(std::move(model)),
        tokenizer_(tokenizer),
        writer_(std::move(writer)),
        end_(end),
        counts_(static_cast<size_t>(tokenizer.size())) {}

  /// Adds a good document. One that was cut, as its finish_reason says, gets no end; one without
  /// any token, an end included, is left out. A conversation is written by the model's chat
  /// template (text/chat_documents.h), and its answers end as that says; what it became is its text
  /// then. One that the template refuses has a problem then. An Error where there is no template.
  Result<void> add(CorpusDocument& document);
  /// The file appears.
  Result<void> finish() { return writer_.finish(); }

  /// {"tokens", "prompt_tokens", "longest_document", "one_token_documents", "cut_documents",
  /// "conversations", "answer_documents", "special_tokens_in_text": {token: times}, "bytes"}:
  /// prompts with all else that is given; documents that are one answer each, because the template
  /// writes earlier ones otherwise.
  OrderedJson json() const;

 private:
  Result<void> add_conversation(CorpusDocument& document);
  Result<void> write(std::span<const int32_t> ids, int64_t prompt, std::span<const Range> given);

  std::filesystem::path model_;
  const Tokenizer& tokenizer_;
  std::optional<ChatTemplate> chat_template_;  // opened when the first conversation comes
  TokenShardWriter writer_;
  int32_t end_;
  std::vector<int64_t> counts_;  // how often each id stands in the texts, ends not counted
  int64_t prompt_tokens_ = 0;
  int64_t longest_ = 0;
  int64_t one_token_documents_ = 0;
  int64_t cut_documents_ = 0;
  int64_t conversations_ = 0;
  int64_t answer_documents_ = 0;
};

}  // namespace tidar
