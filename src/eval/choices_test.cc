#include "eval/choices.h"

#include <gtest/gtest.h>

#include "format/files_testing.h"
#include "text/small_tokenizer_testing.h"

namespace tidar {
namespace {

std::string failure(const std::string& lines) {
  const ScratchFolder folder;
  const auto items = read_choices(folder.put("task.jsonl", lines));
  return items.ok() ? "none" : items.error().message;
}

TEST(Choices, AreRead) {
  const ScratchFolder folder;
  const auto items = read_choices(
      folder.put("task.jsonl",
                 "{\"context\": \"a\", \"choices\": [\"b\", \"c\"], \"answer\": 1}\n\n"
                 "{\"id\": \"x\", \"context\": \"\", \"choices\": [\"b\", \"c\"], \"answer\": 0, "
                 "\"delimiter\": \"\", \"other\": 1}\n"));
  ASSERT_TRUE(items.ok()) << items.error().message;
  ASSERT_EQ(items->size(), 2u);
  EXPECT_EQ((*items)[0].id, "1");
  EXPECT_EQ((*items)[0].delimiter, " ");
  EXPECT_EQ((*items)[0].answer, 1);
  EXPECT_EQ((*items)[1].id, "x");
  EXPECT_EQ((*items)[1].delimiter, "");
}

TEST(Choices, WhatIsWrongIsSaid) {
  EXPECT_TRUE(says(failure("{\"context\": \"a\"}"), "task.jsonl:1|choices|2 to 1000"));
  EXPECT_TRUE(
      says(failure("\n{\"choices\": [\"b\", \"c\"], \"answer\": 1}"), "task.jsonl:2|context"));
  EXPECT_TRUE(says(failure("{\"context\": \"a\", \"choices\": [\"b\", \"c\"], \"answer\": 2}"),
                   "answer|0|1"));
  EXPECT_TRUE(says(failure("{\"context\": \"a\", \"choices\": [\"b\", \"\"], \"answer\": 1}"),
                   "choices|not empty"));
  EXPECT_TRUE(says(failure("[]"), "task.jsonl:1"));
  EXPECT_TRUE(says(failure("{\"context\": \"a\", \"choices\""), "task.jsonl:1|ends too early"));
  EXPECT_TRUE(says(failure("\n \n"), "expected a JSON object a line, found none"));
}

ChoiceItem item(const std::string& context, int answer) {
  return {.id = context,
          .context = context,
          .choices = {"no", "yes"},
          .answer = answer,
          .delimiter = " "};
}

TEST(Choices, ShotsComeFirstAndNeverTheItemItself) {
  const std::vector<ChoiceItem> shots = {item("one", 0), item("two", 1), item("three", 1)};
  EXPECT_EQ(*context_with_shots(item("two", 1), shots, 0), "two");
  EXPECT_EQ(*context_with_shots(item("two", 1), shots, 2), "one no\n\nthree yes\n\ntwo");
  EXPECT_EQ(*context_with_shots(item("x", 1), shots, 2), "one no\n\ntwo yes\n\nx");
  EXPECT_TRUE(says(context_with_shots(item("two", 1), shots, 3).error().message, "too few|two"));
}

using Parts = std::pair<std::string, std::string>;

class Split : public testing::Test {
 protected:
  Split() : tokenizer_(*Tokenizer::parse(small_tokenizer().dump(), "test")) {}

  Parts parts(const std::string& context, const std::string& continuation) {
    const auto text = split_text(tokenizer_, context, continuation, 7);
    EXPECT_TRUE(text.ok());
    const std::span<const int32_t> tokens(text->tokens);
    const auto from = static_cast<size_t>(text->from);
    return {tokenizer_.decode(tokens.first(from)), tokenizer_.decode(tokens.subspan(from))};
  }

  Tokenizer tokenizer_;
};

TEST_F(Split, AtTheEndOfTheContext) {
  EXPECT_EQ(parts("x", " the"), (Parts{"x", " the"}));
  EXPECT_EQ(parts("x ", "the"), (Parts{"x", " the"}));
  EXPECT_EQ(parts("x \n", "y"), (Parts{"x", " \ny"}));
  EXPECT_EQ(split_text(tokenizer_, "x ", "the", -1)->tokens.size(), 2u) << "encoded at once";
}

TEST_F(Split, WithoutAContextItBeginsWithTheStart) {
  const auto text = split_text(tokenizer_, "", "b", 7);
  EXPECT_EQ(text->tokens, (std::vector<int32_t>{7, 'b'}));
  EXPECT_EQ(text->from, 1);
  EXPECT_TRUE(says(split_text(tokenizer_, "  ", "b", -1).error().message, "no end-of-text"));
}

TEST_F(Split, MergesOverTheBorderBelongToTheContextsLength) {
  // "a" and "aa" become "aa", "a": the context keeps the length that it had alone.
  const auto text = split_text(tokenizer_, "a", "aa", 7);
  EXPECT_EQ(text->from, 1);
  EXPECT_EQ(text->tokens.size(), 2u);
  EXPECT_TRUE(says(split_text(tokenizer_, "a", "a", 7).error().message, "no token of its own"));
}

TEST(Choices, TheMostProbableIsChosen) {
  ChoiceItem two = item("x", 1);
  two.choices = {"no", "yes!"};
  const auto verdict = [&](double no, double yes) {
    const double logprobs[] = {no, yes};
    return judge_choices(two, logprobs);
  };
  EXPECT_TRUE(verdict(-2, -1).right);
  EXPECT_TRUE(verdict(-2, -1).right_normalised);
  EXPECT_FALSE(verdict(-2, -3).right);
  EXPECT_TRUE(verdict(-2, -3).right_normalised);  // -1 a character against -0.75
  EXPECT_EQ(verdict(-2, -2).chosen, 0);
  two.choices = {"no", "\xC3\xA9t\xC3\xA9"};  // three characters in five bytes
  EXPECT_EQ(verdict(-2, -3.5).chosen_normalised, 0);
}

}  // namespace
}  // namespace tidar
