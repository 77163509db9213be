#include "apps/prompts.h"

#include <gtest/gtest.h>

#include "format/files_testing.h"

namespace tidar {
namespace {

TEST(Prompts, AreThoseThatFit) {
  const Tokenizer tokenizer =
      Tokenizer::parse(R"({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []},
                           "pre_tokenizer": {"type": "ByteLevel"},
                           "decoder": {"type": "ByteLevel"}})",
                       "test")
          .value();
  const ScratchFolder folder;
  const auto path = folder.put(
      "p.jsonl",
      "{\"prompt\": \"aaa\"}\n{}\n{\"prompt\": \"\"}\n{\"prompt\": \"ab\"}\n{\"prompt\": \"b\"}\n");
  const auto lines_of = [&](const PromptChoice& choice) {
    std::vector<int64_t> lines;
    const auto prompts = read_prompts(path.string(), tokenizer, choice).value();
    for (const NumberedPrompt& prompt : prompts) lines.push_back(prompt.line);
    return lines;
  };
  EXPECT_EQ(lines_of({}), (std::vector<int64_t>{1, 4, 5}));
  EXPECT_EQ(lines_of({.most = 2}), (std::vector<int64_t>{1, 4}));
  EXPECT_EQ(lines_of({.shorter_than = 3}), (std::vector<int64_t>{4, 5}));
  EXPECT_EQ(read_prompts(path.string(), tokenizer, {}).value()[1].ids,
            (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(read_prompts(path.string(), tokenizer, {}).value()[1].text, "ab");
  EXPECT_EQ(lines_of({.start = 7}), (std::vector<int64_t>{1, 3, 4, 5}));
  EXPECT_EQ(read_prompts(path.string(), tokenizer, {.start = 7}).value()[1].ids,
            (std::vector<int32_t>{7}));
  EXPECT_TRUE(says(read_prompts(path.string(), tokenizer, {.shorter_than = 1}).error().message,
                   "p.jsonl: no line has a \"prompt\" to continue"));
}

}  // namespace
}  // namespace tidar
