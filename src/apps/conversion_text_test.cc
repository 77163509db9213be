#include "apps/conversion_text.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "format/files_testing.h"
#include "format/token_shards.h"
#include "text/small_tokenizer_testing.h"

namespace tidar {
namespace {

using Documents = std::vector<std::vector<int32_t>>;

class ConversionTextTest : public ::testing::Test {
 protected:
  std::string shard(const std::string& name, const Documents& documents, int64_t vocabulary) {
    const auto path = folder_.path() / name;
    auto writer = TokenShardWriter::create(path, vocabulary);
    for (const auto& ids : documents) EXPECT_TRUE(writer->add(ids, 1).ok());
    EXPECT_TRUE(writer->finish().ok());
    return path.string();
  }
  /// The documents of shards, and how often each is there.
  static std::multiset<std::vector<int32_t>> read(
      const std::vector<std::filesystem::path>& shards) {
    std::multiset<std::vector<int32_t>> documents;
    for (const auto& path : shards) {
      const TokenShardFile file = TokenShardFile::open(path).value();
      for (int64_t i = 0; i < file.shard().documents(); ++i) {
        std::vector<int32_t> ids(static_cast<size_t>(file.shard().size_of(i)));
        EXPECT_TRUE(file.shard().read(i, 0, ids).ok());
        documents.insert(std::move(ids));
      }
    }
    return documents;
  }
  Result<ConversionText> gather(std::vector<std::string> data,
                                std::vector<std::string> validation = {}) {
    ConversionSources sources;
    sources.data.files = std::move(data);
    sources.validation = std::move(validation);
    sources.end = end_;
    return gather_text(sources, tokenizer_, folder_.path());
  }
  std::string refusal(std::vector<std::string> data) {
    const auto text = gather(std::move(data));
    return text.ok() ? "none" : text.error().message;
  }

  ScratchFolder folder_;
  Tokenizer tokenizer_ = Tokenizer::parse(small_tokenizer().dump(), "test").value();
  int32_t end_ = tokenizer_.id_of("<bos>");
};

TEST_F(ConversionTextTest, APartOfTheTextIsHeldOut) {
  std::string lines;
  for (int i = 0; i < 100; ++i) lines += fmt::format("{{\"text\": \"text {}\"}}\n", i);
  folder_.put("a.jsonl", lines);
  const ConversionText text = gather({(folder_.path() / "a.jsonl").string()}).value();
  EXPECT_EQ(text.documents, 100);
  EXPECT_EQ(text.held_out, 6);  // the second one, and every twentieth
  EXPECT_EQ(text.ended, 100);
  EXPECT_EQ(text.counts[static_cast<size_t>(end_)], 100);
  EXPECT_EQ(std::accumulate(text.counts.begin(), text.counts.end(), int64_t{0}), text.tokens);
  EXPECT_EQ(read(text.validation).size(), 6u);
  auto both = text.train;
  both.insert(both.end(), text.validation.begin(), text.validation.end());
  const auto all = read(both);
  EXPECT_EQ(all.size(), 100u);
  std::vector<int32_t> last = tokenizer_.encode("text 99");
  last.push_back(end_);
  EXPECT_EQ(all.count(last), 1u);
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "all.tokens"));
}

TEST_F(ConversionTextTest, ShardsWithValidationStayAsTheyAre) {
  const std::string train = shard("a", {{1, 2, 3}, {4, 5, end_}}, tokenizer_.size());
  const std::string held = shard("b", {{6, 7}}, tokenizer_.size());
  const ConversionText text = gather({train}, {held}).value();
  EXPECT_EQ(text.train, (std::vector<std::filesystem::path>{train}));
  EXPECT_EQ(text.validation, (std::vector<std::filesystem::path>{held}));
  EXPECT_EQ(text.documents, 3);
  EXPECT_EQ(text.held_out, 1);
  EXPECT_EQ(text.ended, 1);
  EXPECT_EQ(text.tokens, 8);
  EXPECT_EQ(text.prompt_tokens, 3);
  EXPECT_EQ(text.longest, 3);
}

TEST_F(ConversionTextTest, RefusesWhatDoesNotFit) {
  const std::string large = shard("large", {{1, 2}, {3, 4}}, tokenizer_.size() + 1);
  EXPECT_TRUE(says(refusal({large}), "/large: was made with a tokenizer of|tidar data tokens"));
  const std::string one = shard("one", {{1, 2}}, tokenizer_.size());
  EXPECT_TRUE(says(refusal({one}), "one document|--validation"));
  folder_.put("a.txt", "text");
  EXPECT_TRUE(says(refusal({one, (folder_.path() / "a.txt").string()}), "mixed"));
  EXPECT_TRUE(says(refusal({(folder_.path() / "none").string()}), "/none"));
}

}  // namespace
}  // namespace tidar
