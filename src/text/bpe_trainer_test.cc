#include "text/bpe_trainer.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/rng.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace tidar {
namespace {

BpeTrainer trainer_of(int32_t vocabulary, int64_t min_count = 1, SpecialTokens special = {}) {
  auto trainer = BpeTrainer::create({vocabulary, min_count, std::move(special)});
  EXPECT_TRUE(trainer.ok()) << trainer.error().message;
  return std::move(*trainer);
}

Tokenizer tokenizer_of(const LearntBpe& learnt, const SpecialTokens& special = {}) {
  auto tokenizer = Tokenizer::parse(tokenizer_json(learnt, special), "learnt");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  return std::move(*tokenizer);
}

/// Words of few letters, so that pairs are frequent and often equally frequent.
std::string random_text(Rng& rng, int words) {
  constexpr const char* letters[] = {"a", "b", "c", "a", "aa", "\u00E9", "\u4E2D"};
  std::string text;
  for (int i = 0; i < words; ++i) {
    if (i > 0) text += rng.below(5) == 0 ? "\n" : " ";
    for (int n = 1 + rng.below(6); n > 0; --n) text += letters[rng.below(7)];
  }
  return text;
}

/// The definition, without any cleverness: count every pair of every piece anew for each merge.
std::vector<std::pair<std::string, std::string>> plain_merges(
    const std::map<std::string, int64_t>& pieces, size_t tokens, int64_t min_count,
    const LearntBpe& bytes) {
  std::map<std::string, int32_t> ids;
  for (const std::string& token : bytes.tokens) ids.emplace(token, ids.size());
  std::vector<std::pair<std::vector<std::string>, int64_t>> words;
  for (const auto& [piece, count] : pieces) {
    std::vector<std::string> letters;
    for (const char byte : piece) letters.emplace_back(1, byte);
    words.emplace_back(letters, count);
  }
  std::vector<std::pair<std::string, std::string>> merges;
  while (ids.size() < tokens) {
    std::map<std::pair<int32_t, int32_t>, int64_t> counts;  // in the order of ids
    std::map<std::pair<int32_t, int32_t>, std::pair<std::string, std::string>> texts;
    for (const auto& [word, count] : words) {
      for (size_t i = 0; i + 1 < word.size(); ++i) {
        const std::pair key(ids.at(word[i]), ids.at(word[i + 1]));
        counts[key] += count;
        texts[key] = {word[i], word[i + 1]};
      }
    }
    auto best = counts.begin();
    for (auto at = counts.begin(); at != counts.end(); ++at) {
      if (at->second > best->second) best = at;
    }
    if (best == counts.end() || best->second < min_count) break;
    const auto [left, right] = texts.at(best->first);
    merges.emplace_back(left, right);
    ids.emplace(left + right, ids.size());
    for (auto& [word, count] : words) {
      for (size_t i = 0; i + 1 < word.size(); ++i) {
        if (word[i] != left || word[i + 1] != right) continue;
        word[i] += right;
        word.erase(word.begin() + static_cast<ptrdiff_t>(i) + 1);
      }
    }
  }
  return merges;
}

TEST(BpeTrainer, LearnsWhatTheDefinitionSays) {
  const LearntBpe bytes = trainer_of(258).learn();
  ASSERT_EQ(bytes.tokens.size(), 256u);
  for (uint64_t seed = 0; seed < 150; ++seed) {
    Rng rng(seed);
    const std::string text = random_text(rng, 1 + rng.below(60));
    const int64_t min_count = 1 + rng.below(3);
    const size_t tokens = 256 + static_cast<size_t>(rng.below(80));
    BpeTrainer trainer = trainer_of(static_cast<int32_t>(tokens) + 2, min_count);
    trainer.add(text);
    const LearntBpe learnt = trainer.learn();

    // Qwen2's rule for letters: a word takes the blank or the line end before it along, but line
    // ends stay apart.
    std::map<std::string, int64_t> pieces;
    for (size_t from = 0; from < text.size();) {
      size_t to = std::min(text.find_first_of(" \n", from + 1), text.size());
      if (text[from] == '\n') to = from + 1;
      ++pieces[text.substr(from, to - from)];
      from = to;
    }
    const auto expected = plain_merges(pieces, tokens, min_count, bytes);
    ASSERT_EQ(learnt.merges.size(), expected.size()) << "seed " << seed;
    for (size_t i = 0; i < expected.size(); ++i) {
      const auto [left, right] = learnt.merges[i];
      ASSERT_EQ(std::pair(learnt.tokens[static_cast<size_t>(left)],
                          learnt.tokens[static_cast<size_t>(right)]),
                expected[i])
          << "seed " << seed << ", merge " << i;
    }
  }
}

TEST(BpeTrainer, TheOrderOfTextsDoesNotMatter) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    Rng rng(seed);
    std::vector<std::string> texts(10);
    for (std::string& text : texts) text = random_text(rng, 20);
    BpeTrainer forward = trainer_of(400), backward = trainer_of(400);
    for (size_t i = 0; i < texts.size(); ++i) {
      forward.add(texts[i]);
      backward.add(texts[texts.size() - 1 - i]);
    }
    EXPECT_EQ(tokenizer_json(forward.learn(), {}), tokenizer_json(backward.learn(), {}));
  }
}

TEST(BpeTrainer, TheTokenizerReadsItsOwnFileAndLosesNothing) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Rng rng(seed);
    BpeTrainer trainer = trainer_of(300 + rng.below(100));
    trainer.add(random_text(rng, 200));
    const LearntBpe learnt = trainer.learn();
    const Tokenizer tokenizer = tokenizer_of(learnt);
    ASSERT_EQ(tokenizer.size(), static_cast<int32_t>(learnt.tokens.size()) + 2);
    EXPECT_EQ(tokenizer.id_of("<|endoftext|>"), tokenizer.size() - 2);
    EXPECT_TRUE(tokenizer.is_special(tokenizer.id_of("<|mask|>")));
    for (size_t id = 0; id < learnt.tokens.size(); ++id) {
      ASSERT_EQ(tokenizer.bytes(static_cast<int32_t>(id)), learnt.tokens[id]);
    }
    std::string text = random_text(rng, 30) + "\x01 9\U0001F600";
    ASSERT_EQ(tokenizer.decode(tokenizer.encode(text)), text) << "seed " << seed;
  }
}

TEST(BpeTrainer, EveryTokenOfTheTrainingTextIsFound) {
  // A word that is all of the text ends as one token.
  BpeTrainer trainer = trainer_of(600);
  for (int i = 0; i < 3; ++i) trainer.add("internationalization");
  const LearntBpe learnt = trainer.learn();
  EXPECT_EQ(tokenizer_of(learnt).encode("internationalization").size(), 1u);
  EXPECT_LT(learnt.tokens.size(), 300u);  // and then nothing is left to learn
}

TEST(BpeTrainer, SpecialTokensTeachNothing) {
  BpeTrainer trainer = trainer_of(1000, 1, {.end = "<end>", .mask = "<gap>", .more = {"<user>"}});
  trainer.add("<end><gap><user><end>");
  EXPECT_EQ(trainer.pieces(), 0u);
  EXPECT_EQ(trainer.learn().tokens.size(), 256u);
}

TEST(BpeTrainer, PairsThatAreTooRareStayApart) {
  BpeTrainer trainer = trainer_of(1000, 2);
  trainer.add("ab ab ab cd");
  const LearntBpe learnt = trainer.learn();
  // " ab" twice and "ab" once; " cd" is alone.
  ASSERT_EQ(learnt.tokens.size(), 258u);
  EXPECT_EQ(learnt.tokens[256], "ab");
  EXPECT_EQ(learnt.tokens[257], " ab");
}

TEST(BpeTrainer, RunsOfOneLetter) {
  BpeTrainer trainer = trainer_of(1000, 1);
  trainer.add("aaaaa");  // aa aa a: the pair overlaps itself
  const LearntBpe learnt = trainer.learn();
  EXPECT_EQ(tokenizer_of(learnt).encode("aaaaa").size(), 1u);
}

TEST(BpeTrainer, VeryLongPiecesTeachNothing) {
  BpeTrainer trainer = trainer_of(1000, 1);
  trainer.add(std::string(1025, 'x'));
  EXPECT_EQ(trainer.pieces(), 0u);
  trainer.add(std::string(1024, 'x'));
  EXPECT_EQ(trainer.pieces(), 1u);
}

TEST(BpeTrainer, TextIsNormalised) {
  BpeTrainer one = trainer_of(300), other = trainer_of(300);
  one.add("caf\u00E9 caf\u00E9");
  other.add("cafe\u0301 cafe\u0301");
  EXPECT_EQ(tokenizer_json(one.learn(), {}), tokenizer_json(other.learn(), {}));
}

TEST(BpeTrainer, RefusesWhatCannotBe) {
  const auto refused = [](BpeTrainerOptions options) {
    const auto trainer = BpeTrainer::create(std::move(options));
    return trainer.ok() ? "accepted" : trainer.error().message;
  };
  EXPECT_EQ(refused({.vocabulary = 257, .special = {}}),
            "a vocabulary of 257 tokens: expected 258 (all bytes and 2 special tokens) to 4194304");
  EXPECT_NE(refused({.vocabulary = 5'000'000, .special = {}}), "accepted");
  EXPECT_EQ(refused({300, 2, {"<a>", "<a>", {}}}), "the special token \"<a>\" is given twice");
  EXPECT_EQ(refused({300, 2, {"<a>", "!", {}}}),
            "the special token \"!\" must be UTF-8 and have at least two bytes");
  EXPECT_NE(refused({300, 2, {"<a>", "", {}}}), "accepted");
  EXPECT_NE(refused({300, 2, {"<a>", "\xFF\xFF", {}}}), "accepted");
}

TEST(TokenizerConfig, NamesTheSpecialTokens) {
  const LearntBpe learnt = trainer_of(300).learn();
  const auto config = nlohmann::json::parse(
      tokenizer_config_json(learnt, {.end = "<end>", .mask = "<gap>", .more = {"<user>"}}));
  EXPECT_EQ(config["eos_token"], "<end>");
  EXPECT_EQ(config["mask_token"], "<gap>");
  EXPECT_EQ(config["added_tokens_decoder"]["258"]["content"], "<user>");
  EXPECT_EQ(config["added_tokens_decoder"].size(), 3u);
}

}  // namespace
}  // namespace tidar
