#include "format/token_shards.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/rng.h"
#include "format/files_testing.h"

namespace tidar {
namespace {

using Ids = std::vector<int32_t>;

struct Document {
  Ids ids;
  int64_t prompt = 0;
  std::vector<Range> given{};
};

void write(const std::filesystem::path& path, int64_t vocabulary,
           const std::vector<Document>& documents) {
  auto writer = TokenShardWriter::create(path, vocabulary);
  ASSERT_TRUE(writer.ok()) << writer.error().message;
  for (const Document& document : documents) {
    ASSERT_TRUE(writer->add(document.ids, document.prompt, document.given).ok());
  }
  const int64_t bytes = writer->bytes();
  ASSERT_TRUE(writer->finish().ok());
  EXPECT_EQ(bytes, static_cast<int64_t>(std::filesystem::file_size(path)));
}

Ids read(const TokenShard& shard, int64_t document) {
  Ids ids(static_cast<size_t>(shard.size_of(document)));
  EXPECT_TRUE(shard.read(document, 0, ids).ok());
  return ids;
}

TEST(TokenShards, WhatIsWrittenIsRead) {
  const ScratchFolder folder;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Rng rng(seed);
    const int vocabulary = seed % 2 == 0 ? 1 + rng.below(65536) : 65537 + rng.below(200'000);
    std::vector<Document> documents(static_cast<size_t>(rng.below(20)));
    int64_t tokens = 0;
    for (Document& document : documents) {
      // Some are longer than the writer's buffer.
      document.ids.resize(static_cast<size_t>(1 + rng.below(rng.below(10) == 0 ? 400'000 : 40)));
      for (int32_t& id : document.ids) id = rng.below(vocabulary);
      document.ids[0] = vocabulary - 1;
      document.prompt = rng.below(static_cast<int>(document.ids.size()) + 1);
      const auto size = std::ssize(document.ids);
      for (int64_t at = document.prompt + rng.below(9); seed % 3 == 0 && at < size;) {
        const int64_t end = std::min<int64_t>(size, at + 1 + rng.below(9));
        document.given.push_back({at, end});
        at = end + 1 + rng.below(30);
      }
      tokens += size;
    }
    const auto path = folder.path() / "s";
    write(path, vocabulary, documents);
    const auto file = TokenShardFile::open(path);
    ASSERT_TRUE(file.ok()) << file.error().message << ", seed " << seed;
    const TokenShard& shard = file->shard();
    EXPECT_EQ(shard.vocabulary(), vocabulary);
    EXPECT_EQ(shard.id_bytes(), vocabulary <= 65536 ? 2 : 4);
    EXPECT_EQ(shard.tokens(), tokens);
    ASSERT_EQ(shard.documents(), static_cast<int64_t>(documents.size()));
    for (int64_t i = 0; i < shard.documents(); ++i) {
      ASSERT_EQ(read(shard, i), documents[static_cast<size_t>(i)].ids) << "seed " << seed;
      ASSERT_EQ(shard.prompt_of(i), documents[static_cast<size_t>(i)].prompt);
      const std::vector<Range>& given = documents[static_cast<size_t>(i)].given;
      const std::vector<Range> found = shard.given_of(i);
      ASSERT_EQ(found.size(), given.size());
      for (size_t k = 0; k < given.size(); ++k) {
        ASSERT_EQ(found[k].begin, given[k].begin);
        ASSERT_EQ(found[k].end, given[k].end);
      }
    }
  }
}

TEST(TokenShards, PartsOfADocument) {
  const ScratchFolder folder;
  write(folder.path() / "s", 100, {{{1, 2}}, {{3, 4, 5, 6}}});
  const auto file = TokenShardFile::open(folder.path() / "s");
  Ids ids(2);
  ASSERT_TRUE(file->shard().read(1, 1, ids).ok());
  EXPECT_EQ(ids, Ids({4, 5}));
}

TEST(TokenShards, NothingAppearsWithoutFinish) {
  const ScratchFolder folder;
  const auto path = folder.put("s", "old");
  {
    auto writer = TokenShardWriter::create(path, 10);
    ASSERT_TRUE(writer->add(Ids{1, 2}).ok());
  }
  EXPECT_EQ(bytes_of_file(path), "old");
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "s.partial"));
}

/// The bytes of a shard of two documents, [1 2 3] and [4 5], with 2-byte ids.
class DamagedShard : public ::testing::Test {
 protected:
  static constexpr size_t kIds = 40, kEnds = 56, kPrompts = 72, kSize = 80;

  DamagedShard() {
    write(folder_.path() / "s", 6, {{{1, 2, 3}, 1}, {{4, 5}, 1}});
    bytes_ = bytes_of_file(folder_.path() / "s");
    EXPECT_EQ(bytes_.size(), kSize);
  }
  template <class T>
  void set(size_t offset, T value) {
    std::memcpy(bytes_.data() + offset, &value, sizeof value);
  }
  Result<TokenShard> parse() {
    return TokenShard::parse(std::as_bytes(std::span(bytes_)), "shard");
  }
  ::testing::AssertionResult refused(std::string_view parts) {
    const auto shard = parse();
    if (shard.ok()) return ::testing::AssertionFailure() << "it was accepted";
    return says(shard.error().message, parts);
  }

  ScratchFolder folder_;
  std::string bytes_;
};

TEST_F(DamagedShard, TheWholeOneIsFine) { EXPECT_TRUE(parse().ok()); }

TEST_F(DamagedShard, Header) {
  const std::string whole = bytes_;
  bytes_.resize(39);
  EXPECT_TRUE(refused("shard: has 39 bytes|40 bytes of header"));
  bytes_ = whole;
  bytes_[0] = 'T';
  EXPECT_TRUE(refused("is no token shard"));
  bytes_ = whole;
  set<uint32_t>(8, 3);
  EXPECT_TRUE(refused("version 3|versions 1 and 2"));
  bytes_ = whole;
  set<uint32_t>(12, 3);
  EXPECT_TRUE(refused("ids of 3 bytes"));
  bytes_ = whole;
  for (const uint64_t vocabulary : {uint64_t{0}, uint64_t{65537}, ~uint64_t{0}}) {
    set<uint64_t>(16, vocabulary);
    EXPECT_TRUE(refused("vocabulary of|1 to 65536"));
  }
}

TEST_F(DamagedShard, SizesThatAreNotThere) {
  const std::string whole = bytes_;
  for (const uint64_t number : {uint64_t{0}, uint64_t{4}, uint64_t{30}, uint64_t{1} << 63,
                                (uint64_t{1} << 63) + 5, ~uint64_t{0}}) {
    for (const size_t offset : {size_t{24}, size_t{32}}) {
      bytes_ = whole;
      set(offset, number);
      EXPECT_FALSE(parse().ok()) << number << " at " << offset;
    }
  }
  for (const size_t size : {kSize - 1, kSize + 1, kSize + 8, kIds}) {
    bytes_ = whole;
    bytes_.resize(size);
    EXPECT_TRUE(refused("does not fit its|bytes; it is truncated")) << size;
  }
}

TEST_F(DamagedShard, Borders) {
  const std::string whole = bytes_;
  for (const uint64_t end : {uint64_t{0}, uint64_t{5}, uint64_t{6}, ~uint64_t{0}}) {
    bytes_ = whole;
    set(kEnds, end);
    EXPECT_FALSE(parse().ok()) << end;
  }
  bytes_ = whole;
  set<uint64_t>(kEnds + 8, 4);
  EXPECT_TRUE(refused("documents end at token 4, but there are 5"));
  bytes_ = whole;
  set<uint32_t>(kPrompts + 4, 3);
  EXPECT_TRUE(refused("document 1 has 2 tokens, but 3"));
}

TEST_F(DamagedShard, IdsOutsideTheVocabularyAreRefusedWhenOpenedAndWhenRead) {
  const ScratchFolder folder;
  EXPECT_TRUE(TokenShardFile::open(folder.put("whole", bytes_)).ok());
  set<uint16_t>(kIds + 8, 6);
  EXPECT_TRUE(says(TokenShardFile::open(folder.put("damaged", bytes_)).error().message,
                   "damaged: document 1 holds the id 6 at position 1|vocabulary of 6"));
  const auto shard = parse();
  ASSERT_TRUE(shard.ok());
  Ids ids(2);
  EXPECT_TRUE(says(shard->read(1, 0, ids).error().message,
                   "shard: document 1 holds the id 6 at position 1|vocabulary of 6"));
  EXPECT_TRUE(shard->read(1, 0, std::span(ids).first(1)).ok());
}

/// The bytes of a shard of two documents, of which the second has two stretches that are given.
class DamagedConversations : public DamagedShard {
 protected:
  static constexpr size_t kGivenEnds = 80, kGiven = 96;

  DamagedConversations() {
    write(folder_.path() / "s", 6, {{{1, 2, 3}, 1}, {{4, 5, 1, 2}, 1, {{1, 2}, {3, 4}}}});
    bytes_ = bytes_of_file(folder_.path() / "s");
    EXPECT_EQ(bytes_.size(), kGiven + 16);
  }
};

TEST_F(DamagedConversations, TheWholeOneIsFine) { EXPECT_TRUE(parse().ok()); }

TEST_F(DamagedConversations, StretchesThatAreNotThere) {
  const std::string whole = bytes_;
  for (const auto& [document, end] :
       std::vector<std::pair<size_t, uint64_t>>{{0, 3}, {0, ~uint64_t{0}}, {1, 1}, {1, 3}}) {
    bytes_ = whole;
    set(kGivenEnds + 8 * document, end);
    EXPECT_TRUE(refused("given stretches|damaged")) << document << " " << end;
  }
  for (const size_t size : {kGiven + 15, kGiven + 17, kGiven + 8, kGiven + 24, kGivenEnds}) {
    bytes_ = whole;
    bytes_.resize(size);
    EXPECT_FALSE(parse().ok()) << size;
  }
}

TEST_F(DamagedConversations, StretchesOutsideOfWhatIsLearnt) {
  const std::string whole = bytes_;
  // Before the prompt's end, empty, one upon another, touching, behind the document.
  for (const auto& [place, value] : std::vector<std::pair<size_t, uint32_t>>{
           {0, 0}, {1, 1}, {1, 4}, {1, 3}, {2, 1}, {3, 3}, {3, 5}, {2, ~0u}, {3, ~0u}}) {
    bytes_ = whole;
    set(kGiven + 4 * place, value);
    EXPECT_TRUE(refused("document 1 the tokens|given")) << place << " " << value;
  }
}

// Programs that know version 1 only read what these write of documents with prompts alone.
TEST(TokenShards, WithoutStretchesThereIsNothingNew) {
  const ScratchFolder folder;
  const auto path = folder.path() / "s";
  write(path, 6, {{{1, 2, 3}, 1}, {{4, 5}, 1}});
  const std::string bytes = bytes_of_file(path);
  EXPECT_EQ(bytes.size(), 80u);
  EXPECT_EQ(bytes[8], 1);
  write(path, 6, {{{1, 2, 3}, 1}, {{4, 5}, 1, {{1, 2}}}});
  EXPECT_EQ(bytes_of_file(path)[8], 2);
}

}  // namespace
}  // namespace tidar
