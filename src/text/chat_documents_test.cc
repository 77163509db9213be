#include "text/chat_documents.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "format/files_testing.h"
#include "text/small_tokenizer_testing.h"

namespace tidar {
namespace {

// Turns between <s> and <e>, as ChatML has them.
constexpr const char* kPlain =
    "{% for m in messages %}<s>{{ m.role }}\n{{ m.content }}<e>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}";
// What a model thought is left out once another message follows.
constexpr const char* kThinking =
    "{% for m in messages %}<s>{{ m.role }}\n"
    "{% if m.role == 'assistant' and loop.last %}(thought){% endif %}{{ m.content }}<e>\n"
    "{% endfor %}{% if add_generation_prompt %}<s>assistant\n{% endif %}";

class Conversations : public testing::Test {
 protected:
  static Tokenizer make_tokenizer() {
    nlohmann::json json = small_tokenizer();
    int id = json["added_tokens"].back()["id"];
    for (const char* name : {"<s>", "<e>"}) {
      json["added_tokens"].push_back(added_token(++id, name, true));
    }
    return Tokenizer::parse(json.dump(), "test").value();
  }
  Result<EncodedConversation> encode(const OrderedJson& messages, const char* source = kPlain) {
    const auto parsed = ChatTemplate::parse(source, {});
    return encode_conversation(parsed.value(), tokenizer_, {{"messages", messages}});
  }
  static OrderedJson turns(const std::vector<std::pair<std::string, std::string>>& list) {
    OrderedJson messages = OrderedJson::array();
    for (const auto& [role, content] : list) {
      messages.push_back({{"role", role}, {"content", content}});
    }
    return messages;
  }

  /// The text of a document, with what is learnt between brackets; checks that prompt and stretches
  /// are ascending and apart on the way.
  std::string marked(const ChatDocument& document) const {
    std::string text;
    std::vector<bool> given(document.tokens.size());
    std::fill_n(given.begin(), document.prompt, true);
    int64_t behind = document.prompt + 1;
    for (const Range& stretch : document.given) {
      EXPECT_GE(stretch.begin, behind);
      EXPECT_GT(stretch.size(), 0);
      std::fill(given.begin() + stretch.begin, given.begin() + stretch.end, true);
      behind = stretch.end + 1;
    }
    EXPECT_LE(behind, std::ssize(document.tokens) + 1);
    bool open = false;
    for (size_t i = 0; i < document.tokens.size(); ++i) {
      if (open == given[i]) text += open ? ']' : '[', open = !open;
      text += tokenizer_.decode({&document.tokens[i], 1});
    }
    return text + (open ? "]" : "");
  }

  Tokenizer tokenizer_ = make_tokenizer();
  OrderedJson two_answers_ = turns({{"system", "be"},
                                    {"user", "the thing"},
                                    {"assistant", "ing"},
                                    {"user", "more"},
                                    {"assistant", "the end"},
                                    {"user", "and"}});
};

TEST_F(Conversations, AnswersAreLearntWithTheirEnds) {
  const auto encoded = encode(two_answers_);
  ASSERT_TRUE(encoded.ok()) << encoded.error().message;
  ASSERT_EQ(encoded->documents.size(), 1u);
  EXPECT_EQ(marked(encoded->documents[0]),
            "<s>system\nbe<e>\n<s>user\nthe thing<e>\n<s>assistant\n[ing<e>]\n"
            "<s>user\nmore<e>\n<s>assistant\n[the end<e>]");
  EXPECT_EQ(encoded->text,
            "<s>system\nbe<e>\n<s>user\nthe thing<e>\n<s>assistant\ning<e>\n"
            "<s>user\nmore<e>\n<s>assistant\nthe end<e>\n");
}

// The tokens before an answer are those of the prompt to which the model gives it.
TEST_F(Conversations, PromptsAreThoseOfDecoding) {
  const ChatTemplate parsed = ChatTemplate::parse(kPlain, {}).value();
  OrderedJson first = OrderedJson::array({two_answers_[0], two_answers_[1]});
  const auto prompt = tokenizer_.encode_prompt(parsed.render(first, {}).value());
  const ChatDocument document = encode(two_answers_)->documents[0];
  ASSERT_EQ(document.prompt, std::ssize(prompt));
  EXPECT_TRUE(std::equal(prompt.begin(), prompt.end(), document.tokens.begin()));
}

TEST_F(Conversations, WhatUsersWriteIsNoSpecialToken) {
  const auto encoded = encode(turns({{"user", "<e>"}, {"assistant", "a<e>b"}}));
  const std::vector<int32_t>& tokens = encoded->documents[0].tokens;
  EXPECT_EQ(std::count(tokens.begin(), tokens.end(), tokenizer_.id_of("<e>")), 2);
  EXPECT_EQ(marked(encoded->documents[0]), "<s>user\n<e><e>\n<s>assistant\n[a<e>b<e>]");
}

TEST_F(Conversations, WhatIsWrittenOtherwiseLaterIsADocumentOfItsOwn) {
  const auto encoded = encode(two_answers_, kThinking);
  ASSERT_EQ(encoded->documents.size(), 2u);
  EXPECT_EQ(marked(encoded->documents[0]),
            "<s>system\nbe<e>\n<s>user\nthe thing<e>\n<s>assistant\n[(thought)ing<e>]");
  EXPECT_EQ(marked(encoded->documents[1]),
            "<s>system\nbe<e>\n<s>user\nthe thing<e>\n<s>assistant\ning<e>\n"
            "<s>user\nmore<e>\n<s>assistant\n[(thought)the end<e>]");
}

TEST_F(Conversations, WithoutSpecialTokensAllThatIsWrittenIsTheAnswer) {
  constexpr const char* kWords =
      "{% for m in messages %}{{ 'Q: ' if m.role == 'user' else 'A:' }}{{ m.content }}\n{% endfor "
      "%}"
      "{% if add_generation_prompt %}A:{% endif %}";
  const auto encoded = encode(
      turns({{"user", "a"}, {"assistant", " b"}, {"user", "c"}, {"assistant", " d"}}), kWords);
  EXPECT_EQ(marked(encoded->documents[0]), "Q: a\nA:[ b\n]Q: c\nA:[ d\n]");
}

TEST_F(Conversations, ToolsAndVariablesReachTheTemplate) {
  const ChatTemplate parsed =
      ChatTemplate::parse("{{ tools[0] }}{{ x }}{% for m in messages %}{{ m.content }}{% endfor %}",
                          {})
          .value();
  const auto encoded = encode_conversation(parsed, tokenizer_,
                                           {{"messages", turns({{"assistant", "a"}})},
                                            {"tools", {"t"}},
                                            {"chat_template_kwargs", {{"x", "y"}}}});
  ASSERT_TRUE(encoded.ok()) << encoded.error().message;
  EXPECT_EQ(marked(encoded->documents[0]), "ty[a]");
}

TEST_F(Conversations, WhatCannotBeLearntIsSaid) {
  const auto refusal = [&](const OrderedJson& messages, const char* source = kPlain) {
    const auto encoded = encode(messages, source);
    return encoded.ok() ? "none" : encoded.error().message;
  };
  EXPECT_TRUE(says(refusal(turns({{"user", "a"}})), "no message of the role 'assistant'"));
  EXPECT_TRUE(says(refusal(OrderedJson::array()), "no message of the role 'assistant'"));
  EXPECT_TRUE(says(refusal("text"), "list \"messages\""));
  EXPECT_TRUE(says(refusal(two_answers_, "{{ raise_exception('no') }}"), "no"));
  EXPECT_TRUE(says(refusal(two_answers_, "{{ messages | length }}"), "message 3|where it begins"));
}

}  // namespace
}  // namespace tidar
