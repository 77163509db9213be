#include "apps/mask_choice.h"

#include <gtest/gtest.h>

#include "format/files_testing.h"
#include "text/small_tokenizer_testing.h"

namespace tidar {
namespace {

/// The small tokenizer with further special tokens, and a model of so many ids more.
struct Choosing {
  Tokenizer tokenizer;
  ModelConfig config;
  std::vector<int64_t> counts;

  explicit Choosing(const std::vector<std::string>& special = {}, int padding = 0)
      : tokenizer(make_tokenizer(special)) {
    config.vocabulary = tokenizer.size() + padding;
    config.eos_tokens = {tokenizer.id_of("<bos>")};
    counts.assign(static_cast<size_t>(tokenizer.size()), 0);
  }
  Result<MaskChoice> choose(std::string_view named = "") const {
    return choose_mask(named, config, tokenizer, counts);
  }
  std::string refusal(std::string_view named = "") const {
    const auto choice = choose(named);
    return choice.ok() ? "none" : choice.error().message;
  }
  int64_t& count(std::string_view token) {
    return counts[static_cast<size_t>(tokenizer.id_of(token))];
  }

 private:
  static Tokenizer make_tokenizer(const std::vector<std::string>& special) {
    nlohmann::json json = small_tokenizer();
    int id = json["added_tokens"].back()["id"];
    for (const auto& name : special) json["added_tokens"].push_back(added_token(++id, name, true));
    return Tokenizer::parse(json.dump(), "test").value();
  }
};

TEST(MaskChoice, TokensMadeForItComeFirst) {
  Choosing one({"<|reserved_1|>", "[MASK]"}, 3);
  EXPECT_EQ(one.choose()->token, one.tokenizer.id_of("[MASK]"));
  one.count("[MASK]") = 1;
  EXPECT_EQ(one.choose()->token, one.tokenizer.size());
  one.config.vocabulary = one.tokenizer.size();
  EXPECT_EQ(one.choose()->token, one.tokenizer.id_of("<|reserved_1|>"));
}

TEST(MaskChoice, ThenAByteThatNoTextHas) {
  Choosing one;
  EXPECT_EQ(one.choose()->token, 0xFF);
  one.counts[0xFF] = one.counts[0xFE] = 1;
  EXPECT_EQ(one.choose()->token, 0xFD);
}

TEST(MaskChoice, ThenANewOneRatherThanAWordThatTheseTextsDoNotHave) {
  Choosing one;
  for (int byte = 0xF5; byte <= 0xFF; ++byte) one.counts[static_cast<size_t>(byte)] = 1;
  const MaskChoice choice = one.choose().value();
  EXPECT_EQ(choice.token, one.tokenizer.size());
  EXPECT_EQ(choice.added.id, choice.token);
  EXPECT_EQ(choice.added.content, "<|mask|>");
  EXPECT_TRUE(says(choice.why, "added to the tokenizer and to the vocabulary"));
}

TEST(MaskChoice, ANewOneHasANameOfItsOwn) {
  const Choosing padded({"<|mask|>", "[MASK]"}, 4);
  const MaskChoice choice = new_mask(padded.config, padded.tokenizer);
  EXPECT_EQ(choice.added.content, "<mask>");
  EXPECT_EQ(choice.token, padded.tokenizer.size());
  EXPECT_FALSE(says(choice.why, "vocabulary"));  // it has a row for it
  const Choosing all({"<|mask|>", "<mask>", "[MASK]", "<|MASK|>", "<|mdm_mask|>", "<|mask_5|>"});
  EXPECT_EQ(new_mask(all.config, all.tokenizer).added.content, "<|mask_6|>");
}

TEST(MaskChoice, ATokenThatIsNamedMustBeFree) {
  Choosing one({"<spare>"}, 2);
  EXPECT_EQ(one.choose("<spare>")->token, one.tokenizer.id_of("<spare>"));
  EXPECT_EQ(one.choose("17")->token, 17);
  one.counts[17] = 4;
  EXPECT_TRUE(says(one.refusal("17"), "stands in the text 4 times"));
  EXPECT_TRUE(says(one.refusal("<bos>"), "begins or ends texts"));
  EXPECT_TRUE(says(one.refusal("<none>"), "no token"));
  const int last = one.config.vocabulary - 1;
  EXPECT_EQ(one.choose(std::to_string(last))->token, last);
  EXPECT_TRUE(says(one.refusal(std::to_string(last + 1)), "outside the vocabulary"));
}

TEST(MaskChoice, ACheckpointsOwnStays) {
  Choosing one({"[MASK]"});
  one.config.tidar = {.mask_token = 7, .block_size = 8};
  EXPECT_EQ(one.choose()->token, 7);
  EXPECT_EQ(one.choose("[MASK]")->token, one.tokenizer.id_of("[MASK]"));
  one.counts[7] = 1;
  EXPECT_TRUE(says(one.refusal(), "stands in the text 1 time"));
}

}  // namespace
}  // namespace tidar
