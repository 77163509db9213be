#include "constrain/token_language.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "constrain/grammar_testing.h"
#include "constrain/json_schema.h"
#include "constrain/output_form.h"
#include "text/small_tokenizer_testing.h"

namespace tidar {
namespace {

constexpr int32_t kEos = 300, kOtherEos = 5;

/// All bytes, and pieces of texts of the grammar, some of them twice.
std::vector<std::string> random_vocabulary(const Grammar& grammar, Rng& rng) {
  std::vector<std::string> tokens;
  Automaton automaton(grammar);
  for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
  while (tokens.size() < 600) {
    const std::string text = random_text_of(automaton, rng);
    if (text.empty()) {
      tokens.emplace_back();
      continue;
    }
    const auto from = static_cast<size_t>(rng.below(static_cast<int>(text.size())));
    tokens.push_back(text.substr(from, static_cast<size_t>(1 + rng.below(8))));
  }
  return tokens;
}

Grammar random_grammar(Rng& rng) {
  const std::array<const char*, 6> kExpressions = {"(?:ab|a|é😀?)*c{2,3}",
                                                   ".*",
                                                   "[^a]+a?",
                                                   "(?:\"(?:[^\"\\\\]|\\\\.)*\",?)+",
                                                   "-?\\d+(?:\\.\\d+)?",
                                                   "(?:[ab]*a[ab]{9})"};
  const int which = rng.below(8);
  if (which < 6) return grammar_of_expression(kExpressions[static_cast<size_t>(which)]);
  if (which == 6) return grammar_of_any_object().value();
  return grammar_of_schema(OrderedJson::parse(R"({"properties":{"é\"":{"enum":["aa","ab",null]},)"
                                              R"("b":{"type":"array","items":{"$ref":"#"}}}})"))
      .value();
}

/// Along random texts: the tokens whose bytes lead on, found one by one.
void expect_allowed_is_what_leads_on(const Grammar& grammar, uint64_t seed, int steps) {
  Rng rng(seed);
  const auto tokens = random_vocabulary(grammar, rng);
  const auto trie = std::make_shared<const TokenTrie>(tokens);
  const std::vector<int32_t> eos = {kEos, kOtherEos};
  Automaton automaton(grammar);
  auto constraint = constrain(grammar, trie, eos);
  auto state = automaton.begin();
  for (int i = 0; i < steps; ++i) {
    const auto allowed = constraint->allowed();
    std::vector<int32_t> some;
    for (int32_t token = 0; token < 700; ++token) {
      const bool ends = std::count(eos.begin(), eos.end(), token) > 0;
      const std::string& bytes = token < 600 ? tokens[static_cast<size_t>(token)] : "";
      auto next = state;
      for (const char byte : bytes) next = automaton.next(next, static_cast<uint8_t>(byte));
      const bool leads_on =
          ends ? automaton.may_end(state) : !bytes.empty() && next != Automaton::kDead;
      ASSERT_EQ(allowed->contains(token), leads_on) << token << " at " << i;
      ASSERT_EQ(constraint->after(token) != nullptr, leads_on) << token << " at " << i;
      if (leads_on && !ends) some.push_back(token);
    }
    if (some.empty()) break;
    const int32_t token = some[static_cast<size_t>(rng.below(static_cast<int>(some.size())))];
    constraint = constraint->after(token);
    for (const char byte : tokens[static_cast<size_t>(token)])
      state = automaton.next(state, static_cast<uint8_t>(byte));
  }
}

TEST(TokenLanguage, AllowsTheTokensThatLeadOn) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(1000 + seed);
    expect_allowed_is_what_leads_on(random_grammar(rng), seed, 12);
    if (HasFailure()) return;
  }
}

// So many states that tables have to give way to new ones, on the way of one text and more often.
TEST(TokenLanguage, GoesOnWhereATableIsFull) {
  expect_allowed_is_what_leads_on(grammar_of_expression("[ab]*a[ab]{14}c"), 1, 25);
}

// What a text was found to allow does not depend on what other texts met before.
TEST(TokenLanguage, ManyReadingsAreTheSameForEveryText) {
  const Grammar grammar = grammar_of_expression("(?:[ab]*a[ab]{300})|(?:[abc]*)");
  Rng rng(3);
  const auto trie = std::make_shared<const TokenTrie>(random_vocabulary(grammar, rng));
  const auto shared = constrain(grammar, trie, {kEos});
  for (int text = 0; text < 3; ++text) {
    auto one = shared, other = constrain(grammar, trie, {kEos});
    for (int i = 0; i < 400; ++i) {
      const int32_t token = rng.below(200) == 0 ? 'c' : 'a' + (rng.below(9) == 0);
      if (i % 99 == 98) {
        ASSERT_EQ(*one->allowed(), *other->allowed());
      }
      one = one->after(token);
      other = other->after(token);
      ASSERT_EQ(one == nullptr, other == nullptr);
      if (one == nullptr) break;
    }
  }
}

TEST(TokenLanguage, NothingFollowsTheEnd) {
  const std::vector<std::string> tokens = {"a", "b"};
  const auto constraint =
      constrain(grammar_of_expression("a*"), std::make_shared<const TokenTrie>(tokens), {7});
  EXPECT_EQ(constraint->after(1), nullptr);
  const auto ended = constraint->after(0)->after(7);
  ASSERT_NE(ended, nullptr);
  EXPECT_TRUE(ended->allowed()->empty());
  EXPECT_EQ(ended->after(0), nullptr);
  EXPECT_EQ(ended->after(7), nullptr);
}

TEST(TokenTrie, LeavesOutSpecialTokens) {
  nlohmann::json json = small_tokenizer({});
  json["added_tokens"] = {added_token(256, "<eos>", true), added_token(257, "<note>", false)};
  const Tokenizer tokenizer = Tokenizer::parse(json.dump(), "small").value();
  const TokenTrie trie(tokenizer);
  EXPECT_EQ(trie.bytes(256), "");
  EXPECT_EQ(trie.bytes(257), "<note>");
  EXPECT_EQ(trie.bytes(-1), "");
  EXPECT_EQ(trie.bytes(100'000), "");
  const auto constraint = constrain(grammar_of_expression("[<>a-z]*"),
                                    std::make_shared<const TokenTrie>(tokenizer), {kEos});
  EXPECT_FALSE(constraint->allowed()->contains(256));
  EXPECT_TRUE(constraint->allowed()->contains(257));
}

TEST(TokenTrie, LeavesOutTokensOfMoreBytesThanAnyTextNeeds) {
  const std::vector<std::string> tokens = {"a", std::string(65535, 'a'), std::string(65536, 'a')};
  const auto constraint =
      constrain(grammar_of_expression("a*"), std::make_shared<const TokenTrie>(tokens), {kEos});
  const auto allowed = constraint->allowed();
  EXPECT_TRUE(allowed->contains(0) && allowed->contains(1));
  EXPECT_FALSE(allowed->contains(2));
  EXPECT_EQ(constraint->after(2), nullptr);
}

TEST(OutputForms, KeepWhatWasMade) {
  const Tokenizer tokenizer = Tokenizer::parse(small_tokenizer({}).dump(), "small").value();
  OutputForms forms(tokenizer);
  const OutputForm digits = {.kind = OutputForm::Kind::expression, .text = "\\d+"};
  const auto first = forms.constraint_of(digits, {1}).value();
  EXPECT_EQ(forms.constraint_of(digits, {1}).value(), first);
  EXPECT_NE(forms.constraint_of(digits, {2}).value(), first);
  EXPECT_NE(forms.constraint_of({.kind = OutputForm::Kind::json_object}, {1}).value(), first);
  for (size_t i = 0; i < OutputForms::kKept; ++i) {
    const OutputForm other = {.kind = OutputForm::Kind::expression,
                              .text = std::string(i + 1, 'a')};
    ASSERT_TRUE(forms.constraint_of(other, {1}).ok());
  }
  EXPECT_NE(forms.constraint_of(digits, {1}).value(), first) << "it was used least";
  EXPECT_EQ(forms.constraint_of({}, {}).value(), nullptr);
  EXPECT_NE(forms.constraint_of(digits, {}).error().message.find("needs an end-of-text token"),
            std::string::npos);
  const OutputForm wrong = {.kind = OutputForm::Kind::json_schema, .text = "{\"type\":1}"};
  EXPECT_NE(forms.constraint_of(wrong, {1}).error().message.find("the schema at #"),
            std::string::npos);
}

TEST(OutputForms, KeepWhatIsUsed) {
  const Tokenizer tokenizer = Tokenizer::parse(small_tokenizer({}).dump(), "small").value();
  OutputForms forms(tokenizer);
  const auto made = [&](size_t letters) {
    return forms
        .constraint_of({.kind = OutputForm::Kind::expression, .text = std::string(letters, 'a')},
                       {1})
        .value();
  };
  const auto first = made(1);
  for (size_t i = 2; i < 2 * OutputForms::kKept; ++i) {
    made(i);
    ASSERT_EQ(made(1), first);
  }
}

}  // namespace
}  // namespace tidar
