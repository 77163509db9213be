#pragma once
// Documents as a model reads them: a prompt that is given and the text behind it, as tokens.

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/tokenizer.h"

namespace tidar {

/// Whether a text that a model wrote was cut before its end, by the name of its FinishReason
/// (engine/request.h): no end-of-text token belongs behind it. Names of others say nothing.
bool was_cut(std::string_view finish_reason);

/// A document's tokens, without an end, and how many of its first are its prompt.
struct EncodedDocument {
  std::vector<int32_t> tokens;
  int64_t prompt = 0;
};

/// Each of the two by itself, because at decoding time the prompt comes by itself; what the
/// tokenizer puts around a text stands before the first of them.
EncodedDocument encode_document(const Tokenizer& tokenizer, std::string_view prompt,
                                std::string_view text);

struct TextDocument {
  std::string id;                 ///< its number in the file; the first is 1
  std::vector<int32_t> tokens{};  ///< prompt and text, with the end-of-text token that it has
  int32_t prompt = 0;             ///< tokens of the prompt: at least 1, and fewer than there are

  std::span<const int32_t> prompt_tokens() const {
    return std::span(tokens).first(static_cast<size_t>(prompt));
  }
  int32_t text_tokens() const { return static_cast<int32_t>(tokens.size()) - prompt; }
};

/// How files become documents of a model.
struct DocumentReading {
  const Tokenizer* tokenizer = nullptr;  ///< the model's; shards need none
  int vocabulary = 0;                    ///< the model's
  int32_t mask_token = -1;  ///< the model's: where it is the tokenizer's last token, shards may be
                            ///< from before it was added (tidar convert); -1: it has none
  int32_t end = -1;         ///< behind a document of JSONL that was not cut; -1: no token is
  int32_t prompt_tokens = 16;  ///< of documents without a prompt: so many first tokens are it, but
                               ///< not more than half of the document
  int longest = 0;  ///< tokens that a document may have, at least 2; what is behind is left out
  int limit = 0;    ///< only the first so many lines, or documents of a shard; 0: all
};

struct DocumentSet {
  std::vector<TextDocument> documents;
  int64_t too_short = 0;  ///< left out: no token behind a prompt
  int64_t shortened = 0;  ///< to the longest
};

/// Those of a token shard (format/token_shards.h), a conversation up to the end of its first
/// answer; or of JSONL: a line's "text" behind its "prompt", if it has one (encode_document()). An
/// Error when the shard is of another vocabulary than the model's, when a line is no JSON object or
/// has a token outside it, when the model has no tokenizer for lines, and when there is no
/// document.
Result<DocumentSet> read_documents(const std::filesystem::path& path,
                                   const DocumentReading& reading);

}  // namespace tidar
