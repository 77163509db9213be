#include "eval/documents.h"

#include <gtest/gtest.h>

#include "format/files_testing.h"
#include "format/token_shards.h"
#include "text/small_tokenizer_testing.h"

namespace tidar {
namespace {

constexpr int32_t kEnd = 265;

class Documents : public testing::Test {
 protected:
  Documents() : tokenizer_(*Tokenizer::parse(small_tokenizer().dump(), "test")) {
    reading_.tokenizer = &tokenizer_;
    reading_.vocabulary = 300;
    reading_.end = kEnd;
    reading_.prompt_tokens = 4;
    reading_.longest = 100;
  }

  std::vector<int32_t> ids(const std::string& text, bool end) const {
    std::vector<int32_t> tokens = tokenizer_.encode(text);
    if (end) tokens.push_back(kEnd);
    return tokens;
  }

  DocumentSet read(const std::filesystem::path& path) {
    auto set = read_documents(path, reading_);
    if (set.ok()) return std::move(*set);
    ADD_FAILURE() << set.error().message;
    return {};
  }
  std::string failure(const std::filesystem::path& path) {
    const auto set = read_documents(path, reading_);
    return set.ok() ? "none" : set.error().message;
  }
  std::filesystem::path lines(const std::string& text) { return folder_.put("d.jsonl", text); }
  std::filesystem::path shard(int64_t vocabulary,
                              const std::vector<std::pair<std::vector<int32_t>, int64_t>>& all) {
    auto path = folder_.path() / "d.tokens";
    auto writer = TokenShardWriter::create(path, vocabulary);
    for (const auto& [tokens, prompt] : all) EXPECT_TRUE(writer->add(tokens, prompt).ok());
    EXPECT_TRUE(writer->finish().ok());
    return path;
  }

  Tokenizer tokenizer_;
  DocumentReading reading_;
  ScratchFolder folder_;
};

TEST_F(Documents, OfLines) {
  const auto set =
      read(lines("{\"text\": \"abcdefghijkl\"}\n"
                 "{\"prompt\": \"1+1=\", \"text\": \"2\", \"finish_reason\": \"stop\"}\n\n"
                 "{\"prompt\": \"1+1=\", \"text\": \"2\", \"finish_reason\": \"length\"}\n"
                 "{\"text\": \"q\", \"prompt\": \"\", \"other\": []}\n"
                 "{\"prompt\": \"nothing behind it\"}\n"));
  ASSERT_EQ(set.documents.size(), 4u);
  EXPECT_EQ(set.too_short, 1);
  EXPECT_EQ(set.shortened, 0);
  const auto& all = set.documents;
  EXPECT_EQ(all[0].id, "1");
  EXPECT_EQ(all[0].tokens, ids("abcdefghijkl", true));
  EXPECT_EQ(all[0].prompt, 4);
  EXPECT_EQ(all[1].prompt, static_cast<int>(tokenizer_.encode("1+1=").size()));
  EXPECT_EQ(all[1].text_tokens(), 2);
  EXPECT_EQ(all[1].tokens.back(), kEnd);
  EXPECT_EQ(all[2].id, "4");
  EXPECT_EQ(all[2].text_tokens(), 1) << "it was cut: nothing ends it";
  EXPECT_EQ(all[3].tokens, ids("q", true));
  EXPECT_EQ(all[3].prompt, 1) << "half of it";
}

TEST_F(Documents, OfShards) {
  reading_.vocabulary = tokenizer_.size();
  const auto path = shard(tokenizer_.size(), {{{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 0},
                                              {{1, 2, 3}, 2},
                                              {{7}, 0},
                                              {{7, 8}, 2},
                                              {std::vector<int32_t>(300, 5), 150}});
  const auto set = read(path);
  ASSERT_EQ(set.documents.size(), 2u);
  EXPECT_EQ(set.documents[0].prompt, 4);
  EXPECT_EQ(set.documents[1].prompt, 2);
  EXPECT_EQ(set.documents[1].tokens, (std::vector<int32_t>{1, 2, 3}));
  EXPECT_EQ(set.too_short, 3) << "one of them is all prompt once it is cut";
}

TEST_F(Documents, AreCutToTheContext) {
  reading_.longest = 6;
  const auto set = read(lines("{\"text\": \"abcdefghijkl\"}\n{\"text\": \"abcde\"}\n"));
  ASSERT_EQ(set.documents.size(), 2u);
  EXPECT_EQ(set.shortened, 1);
  EXPECT_EQ(set.documents[0].tokens.size(), 6u);
  EXPECT_EQ(set.documents[0].prompt, 3);
  EXPECT_EQ(set.documents[1].tokens, ids("abcde", true));
}

TEST_F(Documents, AreTheFirst) {
  reading_.limit = 2;
  EXPECT_EQ(read(lines("{\"text\": \"ab\"}\n{\"prompt\": \"b\"}\nnonsense\n")).documents.size(),
            1u);
  EXPECT_EQ(
      read(shard(tokenizer_.size(), {{{1, 2}, 1}, {{1, 2}, 1}, {{1, 2}, 1}})).documents.size(), 2u);
}

TEST_F(Documents, OfAShardFromBeforeTheMaskTokenWasAdded) {
  reading_.mask_token = tokenizer_.size() - 1;
  EXPECT_EQ(read(shard(tokenizer_.size() - 1, {{{1, 2}, 1}})).documents.size(), 1u);
  EXPECT_TRUE(says(failure(shard(tokenizer_.size() - 2, {{{1, 2}, 1}})), "but the model's has"));
}

TEST_F(Documents, ThatAreNoneAreSaid) {
  EXPECT_TRUE(says(failure(lines("{\"story\": \"x\"}\n")), "d.jsonl: no line has a \"text\""));
  EXPECT_TRUE(says(failure(lines("{\"text\": \"ab\"}\nnonsense\n")), "d.jsonl:2|not valid JSON"));
  EXPECT_TRUE(says(failure(lines("{\"text\": 5}\n")), "d.jsonl:1|field 'text'"));
  EXPECT_TRUE(says(failure(shard(tokenizer_.size() + 1, {{{1, 2}, 1}})),
                   "d.tokens: is a shard of a vocabulary of|but the model's has"));
  EXPECT_TRUE(says(failure(shard(tokenizer_.size() - 1, {{{1, 2}, 1}})), "but the model's has"));
  EXPECT_TRUE(says(failure(shard(tokenizer_.size(), {{{1}, 0}})), "d.tokens: no document"));
  reading_.vocabulary = 60;
  EXPECT_TRUE(says(failure(lines("{\"text\": \"ab\"}\n")), "d.jsonl:1: its token|outside"));
  reading_.tokenizer = nullptr;
  EXPECT_TRUE(says(failure(lines("{\"text\": \"ab\"}\n")), "d.jsonl: the model has no tokenizer"));
  EXPECT_TRUE(says(failure(shard(61, {{{1, 2}, 1}})), "vocabulary of 61, but the model's has 60"));
  EXPECT_EQ(failure(shard(60, {{{1, 2}, 1}})), "none");
}

TEST(CutTexts, AreToldByTheirReason) {
  for (const char* reason : {"length", "context", "no_choice", "cancelled", "deadline"}) {
    EXPECT_TRUE(was_cut(reason)) << reason;
  }
  for (const char* reason : {"", "stop", "eos_token"}) EXPECT_FALSE(was_cut(reason)) << reason;
}

}  // namespace
}  // namespace tidar
