#pragma once
// The bytes of all tokens of a vocabulary as one tree, so that tokens that begin alike are followed
// once.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/token_set.h"
#include "text/tokenizer.h"

namespace tidar {

/// Immutable.
class TokenTrie {
 public:
  /// Of tokens[id], the bytes of each token in a text; those of "" are left out.
  explicit TokenTrie(std::span<const std::string> tokens);
  /// Of the tokens that text can be made of: not the special ones.
  explicit TokenTrie(const Tokenizer& tokenizer);

  /// One more than the largest id.
  int32_t vocabulary() const { return static_cast<int32_t>(bytes_.size()); }
  /// "" for what is left out.
  std::string_view bytes(int32_t token) const;

  /// Tokens that are written otherwise where a text begins, such as one with a space in front that
  /// is dropped there.
  const TokenSet& changed_at_begin() const { return changed_at_begin_; }

  /// The nodes but the root, each before those below it, which come in the order of their bytes.
  struct Node {
    uint8_t byte = 0;         ///< that leads to it
    uint16_t depth = 0;       ///< bytes before that one
    int32_t end = 0;          ///< index of the first node that is not below it
    int32_t first_token = 0;  ///< its tokens: [first_token, the next node's) of tokens()
  };
  /// One more than there are, which ends the tokens of the last.
  std::span<const Node> nodes() const { return nodes_; }
  std::span<const int32_t> tokens_of(size_t node) const {
    const auto from = static_cast<size_t>(nodes_[node].first_token);
    return std::span(tokens_).subspan(from,
                                      static_cast<size_t>(nodes_[node + 1].first_token) - from);
  }

 private:
  void build();

  std::vector<std::string> bytes_;
  TokenSet changed_at_begin_;
  std::vector<Node> nodes_;
  std::vector<int32_t> tokens_;
};

}  // namespace tidar
