// Tokenizer::encode_prompt(): special tokens are found in the template's own text only.

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "text/small_tokenizer_testing.h"
#include "text/tokenizer.h"

namespace tidar {
namespace {

using nlohmann::json;
using Ids = std::vector<int32_t>;

/// "A[b]C": the user wrote what stands in brackets.
MarkedText marked(const std::string& text) {
  MarkedText result;
  Origin origin = Origin::author;
  for (char c : text) {
    if (c == '[' || c == ']') {
      origin = c == '[' ? Origin::user : Origin::author;
    } else {
      result.append(std::string(1, c), origin);
    }
  }
  return result;
}

/// The added tokens that were found, in order.
std::vector<std::string> found(const Tokenizer& tokenizer, const std::string& text) {
  std::vector<std::string> tokens;
  const MarkedText prompt = marked(text);
  const Ids ids = tokenizer.encode_prompt(prompt);
  EXPECT_EQ(tokenizer.decode(ids), prompt.bytes());
  for (int32_t id : ids) {
    const std::string token(tokenizer.bytes(id));
    if (token.size() > 1 && token.front() == '<' && token.back() == '>') tokens.push_back(token);
  }
  return tokens;
}

using Tokens = std::vector<std::string>;

TEST(EncodePrompt, SpecialTokensOfTheTemplateAlone) {
  const Tokenizer tokenizer = parsed(small_tokenizer());
  EXPECT_EQ(found(tokenizer, "<bos>hi<bos>"), (Tokens{"<bos>", "<bos>"}));
  EXPECT_EQ(found(tokenizer, "<bos>[hi]<bos>"), (Tokens{"<bos>", "<bos>"}));
  EXPECT_EQ(found(tokenizer, "<bos>[<bos>]<bos>"), (Tokens{"<bos>", "<bos>"}));
  EXPECT_EQ(found(tokenizer, "[a<bos>b]"), Tokens{});
  // Not where the user's text meets the template's, at either end or within.
  EXPECT_EQ(found(tokenizer, "[<]bos>"), Tokens{});
  EXPECT_EQ(found(tokenizer, "<bos[>]"), Tokens{});
  EXPECT_EQ(found(tokenizer, "<b[o]s>"), Tokens{});
  // Added tokens that are not special are text.
  EXPECT_EQ(found(tokenizer, "[<tool>]<tool>"), (Tokens{"<tool>", "<tool>"}));
}

TEST(EncodePrompt, AShorterTokenOfTheTemplateIsFoundBeforeTheUsersText) {
  json file = small_tokenizer();
  int id = file["added_tokens"].back()["id"].get<int>();
  file["added_tokens"].push_back(added_token(id + 1, "<bos>>", true));
  const Tokenizer tokenizer = parsed(file);
  EXPECT_EQ(found(tokenizer, "<bos>>"), Tokens{"<bos>>"});
  EXPECT_EQ(found(tokenizer, "<bos>[>]"), Tokens{"<bos>"});
}

TEST(EncodePrompt, TokensThatTakeSpacesAlongTakeTheUsersToo) {
  json file = small_tokenizer();
  file["added_tokens"][0]["lstrip"] = true;
  file["added_tokens"][0]["rstrip"] = true;
  const Tokenizer tokenizer = parsed(file);
  const MarkedText prompt = marked("[hi  ]<bos>[  hi]");
  EXPECT_EQ(tokenizer.encode_prompt(prompt), tokenizer.encode(prompt.bytes(), AddSpecial::no));
}

// Tokens that are looked for in the normalised text, where bytes have moved.
TEST(EncodePrompt, NormalizedTokens) {
  json file = small_tokenizer();
  file["added_tokens"][0]["normalized"] = true;
  file["normalizer"] = {
      {"type", "Sequence"},
      {"normalizers",
       {{{"type", "Prepend"}, {"prepend", "_"}},
        {{"type", "Replace"}, {"pattern", {{"String", "x"}}}, {"content", "yy"}}}}};
  const Tokenizer tokenizer = parsed(file);
  EXPECT_EQ(tokenizer.encode_prompt(marked("[axxa]_<bos>[xx]b")),
            tokenizer.encode("axxa_<bos>xxb", AddSpecial::no));
  const Ids forged = tokenizer.encode_prompt(marked("[axx_<bos>]_<bos>"));
  EXPECT_EQ(std::count_if(forged.begin(), forged.end(),
                          [&](int32_t id) { return tokenizer.is_special(id); }),
            1);
}

// Without special tokens in the user's text, the ids are those of the whole text, wherever the
// borders lie.
TEST(EncodePrompt, BordersChangeNothingElse) {
  const Tokenizer tokenizer = parsed(small_tokenizer());
  std::mt19937 rng(std::random_device{}());
  const std::vector<std::string> author = {"<bos>", "the ", " in", "a", "<tool>", "\n", "  "};
  const std::vector<std::string> user = {"ing", "the", " t", "aaaa", "<tool>", "<", ">", "é", " "};
  for (int round = 0; round < 500; ++round) {
    MarkedText prompt;
    for (unsigned i = 0; i < 8; ++i) {
      if (rng() % 2 == 0) {
        prompt.append(author[rng() % author.size()], Origin::author);
      } else {
        prompt.append(user[rng() % user.size()], Origin::user);
      }
    }
    EXPECT_EQ(tokenizer.encode_prompt(prompt), tokenizer.encode(prompt.bytes(), AddSpecial::no))
        << prompt.bytes();
  }
}

}  // namespace
}  // namespace tidar
