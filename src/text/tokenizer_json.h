#pragma once
// What a tokenizer.json says, taken apart. Anything in the file that would change ids or text and
// that is not known here is an Error that names it.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/decoding.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"
#include "text/vocabulary.h"

namespace tidar {

/// The parts of a tokenizer, in the order in which text passes them.
struct TokenizerParts {
  AddedTokens raw_tokens;         // found in the text as it comes
  Normalizer normalizer;          //
  AddedTokens normalized_tokens;  // found in the normalised text
  PreTokenizer pre_tokenizer;
  Vocabulary vocabulary;  // added tokens too, though find() knows only the model's
  std::vector<Merge> merges;
  BpeRules rules;
  std::optional<CharacterDecoding> decoding;  // nothing at byte level
  std::vector<int32_t> prefix;  // put around every text when special tokens are wanted
  std::vector<int32_t> suffix;
  std::vector<bool> special;  // by id
};

/// The text of a file, and the name that errors give it.
struct NamedText {
  std::string_view text;
  std::string name;
};

/// Parses a tokenizer.json, and a tokenizer_config.json (its text may be "") for the added tokens
/// that only it declares. "truncation" and "padding" are not looked at: how long a text may be is
/// its user's matter. Errors begin with the name of the file and the place in it.
Result<TokenizerParts> parse_tokenizer_json(const NamedText& tokenizer, const NamedText& config);

}  // namespace tidar
