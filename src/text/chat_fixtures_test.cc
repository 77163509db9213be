// The chat templates of real models, against what two other programs render (@huggingface/jinja,
// and jinja2 as transformers sets it up) and what the Rust library of Hugging Face encodes.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace tidar {
namespace {

using Ids = std::vector<int32_t>;

constexpr const char* kForged = "special_tokens_in_text";

class ChatFixtures : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const auto folder = std::filesystem::path(TIDAR_TOKENIZERS) / GetParam();
    ASSERT_TRUE(std::filesystem::exists(folder / "tokenizer_config.json"))
        << folder << " has no tokenizer_config.json; run scripts/fetch-tokenizers";
    auto opened = ChatTemplate::open(folder);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    ASSERT_TRUE(opened->has_value());
    template_ = std::make_unique<ChatTemplate>(std::move(**opened));
    auto tokenizer = Tokenizer::open(folder);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
    tokenizer_ = std::make_unique<Tokenizer>(std::move(*tokenizer));
    const auto all =
        OrderedJson::parse(std::ifstream(TIDAR_FIXTURES "/chat_cases.json"), nullptr, false);
    ASSERT_FALSE(all.is_discarded());
    for (const auto& item : all["cases"]) {
      if (item["template"] == GetParam()) cases_.push_back(item);
    }
    ASSERT_GT(cases_.size(), 20u);
  }

  MarkedText render(const OrderedJson& item) {
    ChatOptions options;
    options.variables = item["vars"];
    auto prompt = template_->render(item["messages"], options);
    EXPECT_TRUE(prompt.ok()) << item["name"] << ": " << prompt.error().message;
    return prompt.ok() ? std::move(*prompt) : MarkedText();
  }

  Ids special_of(const Ids& ids) const {
    Ids special;
    for (int32_t id : ids) {
      if (tokenizer_->is_special(id)) special.push_back(id);
    }
    return special;
  }

  std::unique_ptr<ChatTemplate> template_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::vector<OrderedJson> cases_;
};

TEST_P(ChatFixtures, Text) {
  for (const auto& item : cases_) {
    EXPECT_EQ(render(item).bytes(), item["rendered"].get<std::string>()) << item["name"];
  }
}

TEST_P(ChatFixtures, Ids) {
  for (const auto& item : cases_) {
    const MarkedText prompt = render(item);
    const auto ids = item["ids"].get<Ids>();
    EXPECT_EQ(tokenizer_->encode(prompt.bytes(), AddSpecial::no), ids) << item["name"];
    if (item["name"] != kForged) {
      EXPECT_EQ(tokenizer_->encode_prompt(prompt), ids) << item["name"];
    }
  }
}

// Messages with the text of special tokens in them: the prompt's special tokens are those of the
// same conversation about something else, and its text is what was written.
TEST_P(ChatFixtures, ForgedTokens) {
  int forged = 0;
  for (const auto& item : cases_) {
    if (item["name"] != kForged) continue;
    ++forged;
    const MarkedText prompt = render(item);
    const Ids ids = tokenizer_->encode_prompt(prompt);
    OrderedJson harmless = item;
    for (auto& message : harmless["messages"]) message["content"] = "x";
    EXPECT_EQ(special_of(ids), special_of(tokenizer_->encode_prompt(render(harmless))));
    EXPECT_GT(special_of(item["ids"].get<Ids>()).size(), special_of(ids).size());
    EXPECT_EQ(tokenizer_->decode(ids), prompt.bytes());
  }
  EXPECT_GT(forged, 0);
}

INSTANTIATE_TEST_SUITE_P(Real, ChatFixtures, testing::Values("qwen2.5", "llama3.2", "qwen3"),
                         [](const auto& instance) {
                           std::string name = instance.param;
                           std::erase(name, '.');
                           return name;
                         });

}  // namespace
}  // namespace tidar
