#include "text/added_tokens.h"

#include <algorithm>

#include "text/utf8.h"

namespace tidar {
namespace {

bool has_at(const AddedToken& token, size_t depth, uint8_t byte) {
  return depth < token.content.size() && static_cast<uint8_t>(token.content[depth]) == byte;
}

}  // namespace

Result<AddedTokens> AddedTokens::build(std::vector<AddedToken> tokens) {
  AddedTokens added;
  std::stable_sort(tokens.begin(), tokens.end(),
                   [](const auto& a, const auto& b) { return a.content < b.content; });
  const auto last = std::unique(tokens.begin(), tokens.end(), [](const auto& a, const auto& b) {
    return a.content == b.content;
  });
  tokens.erase(last, tokens.end());
  bool words = false;
  for (const AddedToken& token : tokens) {
    TIDAR_CHECK(!token.content.empty());
    added.begins_[static_cast<uint8_t>(token.content[0])] = true;
    words = words || token.single_word;
  }
  if (words) {
    // \w of the regex library that the reference uses here, which is wider than Oniguruma's.
    TIDAR_TRY(Regex word, Regex::compile("[\\w\\u200C\\u200D]"));
    added.word_.push_back(std::move(word));
  }
  added.tokens_ = std::move(tokens);
  return added;
}

int32_t AddedTokens::find(std::string_view content) const {
  const auto at = std::lower_bound(
      tokens_.begin(), tokens_.end(), content,
      [](const AddedToken& token, std::string_view text) { return token.content < text; });
  return at != tokens_.end() && at->content == content ? at->id : -1;
}

const AddedToken* AddedTokens::longest_at(std::string_view text, size_t trusted) const {
  // In sorted order the tokens that share a beginning are neighbours: [low, high) narrows with each
  // byte, and the one that ends there, if any, comes first.
  const AddedToken* longest = nullptr;
  auto low = tokens_.begin(), high = tokens_.end();
  for (size_t depth = 0; depth < text.size(); ++depth) {
    const auto byte = static_cast<uint8_t>(text[depth]);
    low = std::partition_point(low, high, [&](const AddedToken& token) {
      return depth >= token.content.size() || static_cast<uint8_t>(token.content[depth]) < byte;
    });
    high = std::partition_point(
        low, high, [&](const AddedToken& token) { return has_at(token, depth, byte); });
    if (low == high) break;
    const bool allowed = !low->special || depth < trusted;
    if (low->content.size() == depth + 1 && allowed) longest = &*low;
  }
  return longest;
}

bool AddedTokens::stands_alone(std::string_view text, Span found, Matcher& matcher) const {
  const auto is_word = [&](std::string_view character) {
    Span match;
    return matcher.find(word_[0], character, 0, match);
  };
  if (found.begin > 0) {
    const std::string_view before = text.substr(0, found.begin);
    if (is_word(before.substr(last_character_begin(before)))) return false;
  }
  if (found.end < text.size()) {
    const std::string_view after = text.substr(found.end);
    if (is_word(after.substr(0, utf8_front(after).size))) return false;
  }
  return true;
}

void AddedTokens::split(std::string_view text, Matcher& matcher,
                        std::vector<TextSection>& sections) const {
  split(text, {}, matcher, sections);
}

void AddedTokens::split(const MarkedText& text, Matcher& matcher,
                        std::vector<TextSection>& sections) const {
  split(text.bytes(), text.user(), matcher, sections);
}

void AddedTokens::split(std::string_view text, std::span<const Span> user, Matcher& matcher,
                        std::vector<TextSection>& sections) const {
  size_t done = 0;
  size_t at = 0;
  while (at < text.size()) {
    if (!begins_[static_cast<uint8_t>(text[at])]) {
      ++at;
      continue;
    }
    while (!user.empty() && user.front().end <= at) user = user.subspan(1);
    const size_t trusted_end = user.empty() ? text.size() : user.front().begin;
    const AddedToken* token = longest_at(text.substr(at), trusted_end > at ? trusted_end - at : 0);
    if (token == nullptr) {
      ++at;
      continue;
    }
    Span found{at, at + token->content.size()};
    at = found.end;
    if (found.begin < done) continue;  // white space that the token before has taken along
    if (token->single_word && !stands_alone(text, found, matcher)) continue;
    if (token->lstrip) {
      found.begin = std::max(done, found.begin - trailing_space_size(text.substr(0, found.begin)));
    }
    if (token->rstrip) found.end += leading_space_size(text.substr(found.end));
    if (found.begin > done) sections.push_back({text.substr(done, found.begin - done)});
    sections.push_back({text.substr(found.begin, found.size()), token->id});
    done = found.end;
  }
  if (done < text.size()) sections.push_back({text.substr(done)});
}

}  // namespace tidar
