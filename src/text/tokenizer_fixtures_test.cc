// The tokenizers of real models, against what the Rust library of Hugging Face makes of the same
// texts (tests/fixtures/tokenizer).

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace tidar {
namespace {

using Ids = std::vector<int32_t>;

class TokenizerFixtures : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const auto folder = std::filesystem::path(TIDAR_TOKENIZERS) / GetParam();
    ASSERT_TRUE(std::filesystem::exists(folder / "tokenizer.json"))
        << folder << " has no tokenizer.json; run scripts/fetch-tokenizers, which downloads it";
    auto opened = Tokenizer::open(folder);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    tokenizer_ = std::make_unique<Tokenizer>(std::move(*opened));

    const std::string path = std::string(TIDAR_FIXTURES "/tokenizer/") + GetParam() + ".json";
    fixture_ = nlohmann::json::parse(std::ifstream(path), nullptr, false);
    ASSERT_FALSE(fixture_.is_discarded()) << path;
  }

  std::unique_ptr<Tokenizer> tokenizer_;
  nlohmann::json fixture_;
};

TEST_P(TokenizerFixtures, Encode) {
  const auto bos = fixture_["bos_prefix_with_special_tokens"].get<Ids>();
  ASSERT_FALSE(fixture_["cases"].empty());
  for (const auto& item : fixture_["cases"]) {
    const auto text = item["text"].get<std::string>();
    const auto ids = item["ids"].get<Ids>();
    Ids with_special = bos;
    with_special.insert(with_special.end(), ids.begin(), ids.end());
    EXPECT_EQ(tokenizer_->encode(text, AddSpecial::no), ids) << item["category"] << " " << text;
    EXPECT_EQ(tokenizer_->encode(text, AddSpecial::yes), with_special) << text;
  }
}

TEST_P(TokenizerFixtures, DecodeWhatWasEncoded) {
  for (const auto& item : fixture_["cases"]) {
    const auto text = item.value("decoded", item["text"].get<std::string>());
    EXPECT_EQ(tokenizer_->decode(item["ids"].get<Ids>()), text) << item["category"];
  }
}

TEST_P(TokenizerFixtures, Decode) {
  ASSERT_FALSE(fixture_["decode_cases"].empty());
  for (const auto& item : fixture_["decode_cases"]) {
    const auto ids = item["ids"].get<Ids>();
    const auto text = item["text"].get<std::string>();
    const auto skipped = item["text_skip_special"].get<std::string>();
    EXPECT_EQ(tokenizer_->decode(ids, SkipSpecial::no), text) << item["ids"];
    EXPECT_EQ(tokenizer_->decode(ids, SkipSpecial::yes), skipped) << item["ids"];
    Detokenizer detokenizer(*tokenizer_, SkipSpecial::yes);
    std::string pieces;
    for (int32_t id : ids) pieces += detokenizer.push(id);
    EXPECT_EQ(pieces + detokenizer.finish(), skipped) << item["ids"];
  }
}

INSTANTIATE_TEST_SUITE_P(Real, TokenizerFixtures,
                         testing::Values("qwen2.5", "llama3.2", "qwen3", "llama2"),
                         [](const auto& instance) {
                           std::string name = instance.param;
                           std::erase(name, '.');
                           return name;
                         });

}  // namespace
}  // namespace tidar
