#pragma once
// The files of a tokenizer that was learnt here (text/bpe_trainer.h), and one token more in those
// of another.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace tidar {

/// Tokens that no text is made of. They get the last ids, in this order.
struct SpecialTokens {
  std::string end = "<|endoftext|>";  ///< ends a document
  std::string mask = "<|mask|>";      ///< stands for a token that is still unknown
  std::vector<std::string> more;

  std::vector<std::string> all() const;
};

/// What has been learnt. Tokens are bytes, by id: first the 256 single bytes in the order of the
/// characters that write them (text/byte_level.h), then one for each merge, but for those that
/// lead to a token that is there already.
struct LearntBpe {
  std::vector<std::string> tokens;
  std::vector<std::pair<int32_t, int32_t>> merges;  ///< ids; the most frequent first
};

/// The two files of a tokenizer that the Hugging Face libraries read: tokenizer.json, and
/// tokenizer_config.json, which says what the special tokens are for. A vocabulary that was learnt
/// with other special tokens must not hold one of `special`.
std::string tokenizer_json(const LearntBpe& learnt, const SpecialTokens& special);
std::string tokenizer_config_json(const LearntBpe& learnt, const SpecialTokens& special);

/// A token that a tokenizer gets.
struct NewToken {
  int32_t id = -1;
  std::string content;
};

/// A tokenizer.json with one more special token, which no merge leads to and every text that holds
/// it gives. All else stays as it is, to the byte. The Hugging Face libraries count added tokens
/// instead of believing their ids: `token.id` must be one more than the largest in the file, and
/// where it is not, the file stays as it is (tokenizer_config.json has such tokens, too). An Error
/// when it is no tokenizer.
Result<std::string> with_special_token(const std::string& tokenizer_json, const NewToken& token);

/// The tokenizer_config.json of that tokenizer: the token among the added ones, and as "mask_token"
/// where the file names none. An Error when it is no JSON object.
Result<std::string> config_with_mask_token(const std::string& tokenizer_config_json,
                                           const NewToken& token);

}  // namespace tidar
