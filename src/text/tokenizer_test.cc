#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "base/rng.h"
#include "text/small_tokenizer_testing.h"
#include "text/utf8.h"

namespace tidar {
namespace {

using nlohmann::json;
using Ids = std::vector<int32_t>;

std::string pieces_of(const Tokenizer& tokenizer, const Ids& ids, SkipSpecial special) {
  Detokenizer detokenizer(tokenizer, special);
  std::string text;
  for (int32_t id : ids) {
    const std::string piece = detokenizer.push(id);
    EXPECT_TRUE(is_utf8(piece));
    text += piece;
  }
  return text + detokenizer.finish();
}

class RandomTokenizers : public testing::TestWithParam<const char*> {};

TEST_P(RandomTokenizers, AgreeWithTheReference) {
  const std::string path = std::string(TIDAR_FIXTURES "/tokenizer/") + GetParam();
  const json fixture = json::parse(std::ifstream(path), nullptr, false);
  ASSERT_FALSE(fixture.is_discarded());
  ASSERT_GT(fixture["cases"].size(), 50u);
  for (const json& item : fixture["cases"]) {
    json file = fixture["bases"][item["base"].get<size_t>()];
    for (const char* key :
         {"added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder"}) {
      if (item.contains(key)) file[key] = item[key];
    }
    file["model"].update(item["model"]);
    const Tokenizer tokenizer = parsed(file);
    file["model"].erase("vocab");
    file["model"].erase("merges");
    for (const json& text : item["texts"]) {
      const auto ids = text["ids"].get<Ids>();
      ASSERT_EQ(tokenizer.encode(text["text"].get<std::string>()), ids) << text << file;
      ASSERT_EQ(tokenizer.decode(ids), text["decoded"].get<std::string>()) << text << file;
      ASSERT_EQ(tokenizer.decode(ids, SkipSpecial::yes),
                text["decoded_skip_special"].get<std::string>())
          << text << file;
    }
    for (const json& decoded : item.value("decode_cases", json::array())) {
      const auto ids = decoded["ids"].get<Ids>();
      ASSERT_EQ(tokenizer.decode(ids), decoded["text"].get<std::string>()) << decoded << file;
      ASSERT_EQ(pieces_of(tokenizer, ids, SkipSpecial::no), decoded["text"].get<std::string>())
          << decoded << file;
      ASSERT_EQ(pieces_of(tokenizer, ids, SkipSpecial::yes),
                decoded["text_skip_special"].get<std::string>())
          << decoded << file;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, RandomTokenizers,
                         testing::Values("random_small.json", "characters_small.json"),
                         [](const auto& instance) {
                           return std::string(instance.param).substr(0, 6);
                         });

/// Random text: letters that merge, spaces, added tokens, characters of all lengths, stray bytes.
std::string random_text(Rng& rng) {
  constexpr const char* parts[] = {
      "a",  "the",    " the",   "ing",        " ",      "  ",   "\n",   "<bos>", "<",    "12",
      "'s", "\u00E9", "\u4E2D", "\U0001F600", "<tool>", "\xF0", "\x9F", "\xC3",  "\xFF", "e\u0301"};
  std::string text;
  for (int i = rng.below(12); i > 0; --i) {
    text += parts[rng.below(static_cast<int>(std::size(parts)))];
  }
  return text;
}

TEST(Tokenizer, WhatIsEncodedDecodesToItself) {
  const Tokenizer tokenizer = parsed(small_tokenizer());
  for (uint64_t seed = 0; seed < 5000; ++seed) {
    Rng rng(seed);
    const std::string text = random_text(rng);
    std::string repaired;
    append_lossy(repaired, text);
    const Ids ids = tokenizer.encode(text);
    ASSERT_EQ(tokenizer.decode(ids), repaired) << "seed " << seed;
    ASSERT_EQ(tokenizer.encode(repaired), ids) << "seed " << seed;
  }
}

TEST(Detokenizer, PiecesAreWholeCharactersAndAddUpToTheText) {
  const Tokenizer tokenizer = parsed(small_tokenizer());
  for (SkipSpecial special : {SkipSpecial::no, SkipSpecial::yes}) {
    for (uint64_t seed = 0; seed < 5000; ++seed) {
      Rng rng(seed);
      Ids ids;
      // Bytes of multi-byte characters above all; at times ids that do not exist.
      for (int n = rng.below(16); n > 0; --n) {
        ids.push_back(rng.below(3) > 0 ? 0x80 + rng.below(0x80) : rng.below(270) - 1);
      }
      std::string bytes, expected;
      for (int32_t id : ids) {
        if (special == SkipSpecial::no || !tokenizer.is_special(id)) bytes += tokenizer.bytes(id);
      }
      append_lossy(expected, bytes);
      ASSERT_EQ(pieces_of(tokenizer, ids, special), expected) << "seed " << seed;
      ASSERT_EQ(tokenizer.decode(ids, special), expected) << "seed " << seed;
    }
  }
}

TEST(Detokenizer, HoldsBackNoMoreThanAnUnfinishedCharacter) {
  const Tokenizer tokenizer = parsed(small_tokenizer());
  Detokenizer detokenizer(tokenizer);
  EXPECT_EQ(detokenizer.push('h'), "h");
  EXPECT_EQ(detokenizer.push(0xF0), "");
  EXPECT_EQ(detokenizer.push(0x9F), "");
  EXPECT_EQ(detokenizer.push(0x98), "");
  EXPECT_EQ(detokenizer.push(0x80), "\U0001F600");
  EXPECT_EQ(detokenizer.push(0xE4), "");
  EXPECT_EQ(detokenizer.push('x'), "\uFFFDx");
  EXPECT_EQ(detokenizer.push(0xE4), "");
  EXPECT_EQ(detokenizer.finish(), "\uFFFD");
}

/// Of small_tokenizer() by characters: all bytes as <0x00> …, then "▁", "t", "h", "e", "▁t", "he".
json character_tokenizer() {
  json file = small_tokenizer();
  json vocabulary;
  int id = 0;
  for (; id < 256; ++id) vocabulary[fmt::format("<0x{:02X}>", id)] = id;
  for (const char* token : {"\u2581", "t", "h", "e", "\u2581t", "he"}) vocabulary[token] = id++;
  const json mark = {{"String", "\u2581"}}, space = {{"String", " "}};
  file["model"]["vocab"] = vocabulary;
  file["model"]["merges"] = {"\u2581 t", "h e"};
  file["model"]["byte_fallback"] = true;
  file["normalizer"] = {{"type", "Replace"}, {"pattern", space}, {"content", "\u2581"}};
  file["pre_tokenizer"] = nullptr;
  file["decoder"] = {{"type", "Sequence"},
                     {"decoders",
                      {{{"type", "Replace"}, {"pattern", mark}, {"content", " "}},
                       {{"type", "ByteFallback"}},
                       {{"type", "Fuse"}},
                       {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}};
  return file;
}

TEST(Detokenizer, HoldsBackFallbackBytesUntilTheirRunEnds) {
  const Tokenizer tokenizer = parsed(character_tokenizer());
  Detokenizer detokenizer(tokenizer);
  EXPECT_EQ(detokenizer.push(260), "t");  // " t", whose space is stripped
  EXPECT_EQ(detokenizer.push(0xC3), "");
  EXPECT_EQ(detokenizer.push(0xA9), "");
  EXPECT_EQ(detokenizer.push(261), "\u00E9he");
  EXPECT_EQ(detokenizer.push(0xC3), "");
  EXPECT_EQ(detokenizer.push(0xA9), "");
  EXPECT_EQ(detokenizer.push(0xFF), "");
  EXPECT_EQ(detokenizer.push(266), "");  // special, left out: the run goes on
  EXPECT_EQ(detokenizer.push('\n'), "");
  EXPECT_EQ(detokenizer.push(260), "\uFFFD\uFFFD\uFFFD\uFFFD t");
  EXPECT_EQ(detokenizer.push('\n'), "");
  EXPECT_EQ(detokenizer.finish(), "\n");
}

TEST(Tokenizer, TokensOfCharactersHaveTheBytesOfText) {
  const Tokenizer tokenizer = parsed(character_tokenizer());
  EXPECT_EQ(tokenizer.encode(" the\n"), (Ids{260, 261, '\n'}));
  EXPECT_EQ(tokenizer.bytes(260), " t");
  EXPECT_EQ(tokenizer.bytes('\n'), "\n");
  EXPECT_EQ(tokenizer.id_of("\u2581t"), 260);
}

TEST(Tokenizer, TellsAboutItsTokens) {
  const Tokenizer tokenizer = parsed(small_tokenizer());
  EXPECT_EQ(tokenizer.size(), 268);
  EXPECT_EQ(tokenizer.bytes(256), " t");
  EXPECT_EQ(tokenizer.bytes(0xFF), "\xFF");
  EXPECT_EQ(tokenizer.bytes(266), "<bos>");
  EXPECT_EQ(tokenizer.bytes(268), "");
  EXPECT_EQ(tokenizer.bytes(-1), "");
  EXPECT_TRUE(tokenizer.is_special(266));
  EXPECT_FALSE(tokenizer.is_special(267));
  EXPECT_FALSE(tokenizer.is_special(-1));
  EXPECT_FALSE(tokenizer.is_special(1 << 30));
  EXPECT_EQ(tokenizer.id_of("<tool>"), 267);
  EXPECT_EQ(tokenizer.id_of(" the"), 258);
  EXPECT_EQ(tokenizer.id_of("nothing"), -1);
}

TEST(Tokenizer, SpecialTokensOfTheTemplateAreAddedOnRequest) {
  json file = small_tokenizer();
  file["post_processor"] = json::parse(R"({"type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "<bos>"}}, {"Sequence": {"id": "A"}}],
      "special_tokens": {"<bos>": {"id": "<bos>", "ids": [266]}}})");
  const Tokenizer tokenizer = parsed(file);
  EXPECT_EQ(tokenizer.encode(" the"), (Ids{266, 258}));
  EXPECT_EQ(tokenizer.encode(" the", AddSpecial::no), (Ids{258}));
  EXPECT_EQ(tokenizer.encode(""), (Ids{266}));
  EXPECT_EQ(tokenizer.encode("", AddSpecial::no), Ids{});
}

TEST(Tokenizer, ThreadsGetWhatOneThreadGets) {
  json file = small_tokenizer();
  file["normalizer"] = {{"type", "NFC"}};
  const Tokenizer tokenizer = parsed(file);
  std::vector<std::string> texts;
  std::vector<Ids> expected;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Rng rng(seed);
    texts.push_back(random_text(rng));
    expected.push_back(tokenizer.encode(texts.back()));
  }
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (size_t thread = 0; thread < wrong.size(); ++thread) {
    threads.emplace_back([&, thread] {
      for (size_t i = 0; i < texts.size(); ++i) {
        const size_t at = (i * 7 + thread * 31) % texts.size();
        wrong[thread] += tokenizer.encode(texts[at]) != expected[at];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4));
}

TEST(Tokenizer, AFolderWithoutTheFileIsNamed) {
  const auto opened = Tokenizer::open("/nowhere/at/all");
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.error().message.find("/nowhere/at/all/tokenizer.json"), std::string::npos);
}

TEST(Tokenizer, WhiteSpaceTakenAlongIsNotFoundAgain) {
  json file = small_tokenizer();
  file["added_tokens"].push_back(added_token(268, "  ", false));
  file["added_tokens"][0]["rstrip"] = true;
  const Tokenizer tokenizer = parsed(file);
  EXPECT_EQ(tokenizer.encode("<bos>    a"), (Ids{266, 'a'}));
  EXPECT_EQ(tokenizer.encode("    a"), (Ids{268, 268, 'a'}));
}

}  // namespace
}  // namespace tidar
