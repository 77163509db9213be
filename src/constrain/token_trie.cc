#include "constrain/token_trie.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "text/utf8.h"

namespace tidar {
namespace {

/// Longer ones, of which no vocabulary has any that is of use, are never allowed.
constexpr size_t kLongestToken = std::numeric_limits<uint16_t>::max();

}  // namespace

TokenTrie::TokenTrie(std::span<const std::string> tokens)
    : bytes_(tokens.begin(), tokens.end()), changed_at_begin_(vocabulary()) {
  build();
}

TokenTrie::TokenTrie(const Tokenizer& tokenizer)
    : bytes_(static_cast<size_t>(tokenizer.size())), changed_at_begin_(vocabulary()) {
  for (int32_t id = 0; id < vocabulary(); ++id) {
    if (tokenizer.is_special(id)) continue;
    std::string& bytes = bytes_[static_cast<size_t>(id)];
    bytes = tokenizer.bytes(id);
    // What is no whole character comes out as another one, wherever it stands.
    if (is_utf8(bytes) && tokenizer.decode({&id, 1}) != bytes) changed_at_begin_.insert(id);
  }
  build();
}

std::string_view TokenTrie::bytes(int32_t token) const {
  if (token < 0 || token >= vocabulary()) return {};
  return bytes_[static_cast<size_t>(token)];
}

void TokenTrie::build() {
  for (std::string& bytes : bytes_) {
    if (bytes.size() > kLongestToken) bytes.clear();
  }
  const auto bytes_of = [&](int32_t id) -> const std::string& {
    return bytes_[static_cast<size_t>(id)];
  };
  tokens_.resize(bytes_.size());
  std::iota(tokens_.begin(), tokens_.end(), 0);
  std::erase_if(tokens_, [&](int32_t id) { return bytes_of(id).empty(); });
  std::stable_sort(tokens_.begin(), tokens_.end(),
                   [&](int32_t a, int32_t b) { return bytes_of(a) < bytes_of(b); });

  std::vector<size_t> open;  // nodes on the way to the token before
  const auto close = [&](size_t depth) {
    for (; open.size() > depth; open.pop_back()) {
      nodes_[open.back()].end = static_cast<int32_t>(nodes_.size());
    }
  };
  std::string_view before;
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const std::string_view bytes = bytes_of(tokens_[i]);
    const auto differ = std::mismatch(before.begin(), before.end(), bytes.begin(), bytes.end());
    close(static_cast<size_t>(differ.first - before.begin()));
    for (size_t depth = open.size(); depth < bytes.size(); ++depth) {
      open.push_back(nodes_.size());
      nodes_.push_back({.byte = static_cast<uint8_t>(bytes[depth]),
                        .depth = static_cast<uint16_t>(depth),
                        .first_token = static_cast<int32_t>(i)});
    }
    before = bytes;
  }
  close(0);
  nodes_.push_back({.end = static_cast<int32_t>(nodes_.size()),
                    .first_token = static_cast<int32_t>(tokens_.size())});
}

}  // namespace tidar
