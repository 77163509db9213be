#pragma once
// The files of a tokenizer that was learnt here (text/bpe_trainer.h).

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

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

}  // namespace tidar
