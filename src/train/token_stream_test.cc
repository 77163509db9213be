#include "train/token_stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <map>

#include "base/rng.h"
#include "format/files_testing.h"
#include "train/trainer.h"

namespace tidar {
namespace {

using Ids = std::vector<int32_t>;
using Documents = std::vector<Ids>;

constexpr int64_t kVocabulary = 1000;

/// Shards of random documents; half of a document is its prompt.
class TokenStreamTest : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::string& name, const Documents& documents) {
    auto path = folder_.path() / name;
    auto writer = TokenShardWriter::create(path, kVocabulary);
    for (const Ids& ids : documents) {
      EXPECT_TRUE(writer->add(ids, static_cast<int64_t>(ids.size() / 2)).ok());
    }
    EXPECT_TRUE(writer->finish().ok());
    return path;
  }
  static Documents random_documents(Rng& rng, int count, int longest) {
    Documents documents(static_cast<size_t>(count));
    for (Ids& ids : documents) {
      ids.resize(static_cast<size_t>(1 + rng.below(longest)));
      for (int32_t& id : ids) id = rng.below(kVocabulary);
    }
    return documents;
  }
  static TokenStream open(const std::vector<std::filesystem::path>& paths, int rows,
                          uint64_t seed = 0, Packing packing = Packing::whole) {
    auto stream = TokenStream::open(paths, {rows, kVocabulary, seed, -1, packing});
    EXPECT_TRUE(stream.ok()) << stream.error().message;
    return std::move(*stream);
  }

  ScratchFolder folder_;
};

std::vector<TokenPack> epoch_of(TokenStream& stream) {
  std::vector<TokenPack> packs;
  const int64_t epoch = stream.position().epoch;
  while (stream.position().epoch == epoch) packs.push_back(stream.next().value());
  return packs;
}

/// Puts the documents together again from their pieces, and checks every field on the way.
void expect_whole(const std::vector<TokenPack>& packs, const std::vector<Documents>& shards,
                  int rows) {
  std::map<std::pair<int32_t, int64_t>, std::map<int64_t, Ids>> found;
  for (const TokenPack& pack : packs) {
    ASSERT_LE(pack.tokens.size(), static_cast<size_t>(rows));
    int32_t first = 0;
    for (const Piece& piece : pack.pieces) {
      ASSERT_EQ(piece.first, std::exchange(first, first + piece.rows));
      ASSERT_GE(piece.rows, 2);
      const Ids& document =
          shards[static_cast<size_t>(piece.shard)][static_cast<size_t>(piece.document)];
      const auto size = static_cast<int64_t>(document.size());
      const int64_t end = piece.from + piece.rows;
      ASSERT_EQ(piece.next, end == size ? -1 : document[static_cast<size_t>(end)]);
      const int64_t prompt = size / 2;
      for (int64_t i = 0; i < piece.rows; ++i) {
        ASSERT_EQ(i < piece.prompt, piece.from + i < prompt);
      }
      const auto tokens = pack.tokens_of(piece);
      const bool is_new = found[{piece.shard, piece.document}]
                              .emplace(piece.from, Ids(tokens.begin(), tokens.end()))
                              .second;
      ASSERT_TRUE(is_new) << "a piece came twice";
    }
    ASSERT_EQ(static_cast<size_t>(first), pack.tokens.size());
  }
  for (size_t s = 0; s < shards.size(); ++s) {
    for (size_t d = 0; d < shards[s].size(); ++d) {
      Ids joined;
      for (const auto& [from, ids] : found[{static_cast<int32_t>(s), static_cast<int64_t>(d)}]) {
        joined.insert(joined.end(), ids.begin(), ids.end());
      }
      Ids expected = shards[s][d];
      // What would be a piece of one token is left out.
      if (expected.size() % static_cast<size_t>(rows) == 1) expected.pop_back();
      ASSERT_EQ(joined, expected) << "shard " << s << ", document " << d;
    }
  }
}

/// Every token of a document that is given behind its prompt is so wherever its piece lies, and no
/// other; likewise the token behind a piece.
TEST_F(TokenStreamTest, WhatIsGivenStaysSoInEveryPiece) {
  Rng rng(11);
  for (const int rows : {7, 16, 50}) {
    const Documents documents = random_documents(rng, 30, 60);
    std::vector<std::vector<Range>> given(documents.size());
    const auto path = folder_.path() / "g";
    auto writer = TokenShardWriter::create(path, kVocabulary);
    for (size_t d = 0; d < documents.size(); ++d) {
      const auto size = std::ssize(documents[d]);
      const int64_t prompt = rng.below(static_cast<int>(size));
      for (int64_t at = prompt + rng.below(5); at < size; at += 1 + rng.below(6)) {
        given[d].push_back({at, std::min<int64_t>(size, at + 1 + rng.below(6))});
        at = given[d].back().end;
      }
      ASSERT_TRUE(writer->add(documents[d], prompt, given[d]).ok());
    }
    ASSERT_TRUE(writer->finish().ok());
    for (const Packing packing : {Packing::whole, Packing::filled}) {
      TokenStream stream = open({path}, rows, 1, packing);
      for (const TokenPack& pack : epoch_of(stream)) {
        ASSERT_EQ(pack.given.size(), pack.pieces.size());
        const std::vector<Document> views = documents_of(pack);
        for (size_t i = 0; i < pack.pieces.size(); ++i) {
          const Piece& piece = pack.pieces[i];
          const auto is_in = [](const auto& ranges, int64_t at) {
            return std::any_of(ranges.begin(), ranges.end(), [&](const Range& range) {
              return range.begin <= at && at < range.end;
            });
          };
          for (int64_t at = 0; at <= piece.rows; ++at) {
            ASSERT_EQ(is_in(views[i].given, at),
                      is_in(given[static_cast<size_t>(piece.document)], piece.from + at));
          }
        }
      }
    }
  }
}

TEST_F(TokenStreamTest, ATextThatHoldsTheMaskTokenIsRefusedByName) {
  const auto path = write("s", {{1, 2, 3}, {4, 5, 6, 7}});
  const auto read = [&](int32_t mask) {
    auto stream = TokenStream::open({path}, {8, kVocabulary, 0, mask});
    EXPECT_TRUE(stream.ok());
    return stream->next();
  };
  EXPECT_TRUE(read(8).ok());
  const auto refused = read(6);
  ASSERT_FALSE(refused.ok());
  EXPECT_TRUE(says(refused.error().message, "/s: document 1 holds the mask token 6 at position 2"))
      << refused.error().message;
}

TEST_F(TokenStreamTest, AnEpochHoldsEveryTokenOnce) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Rng rng(seed);
    const int rows = 2 + rng.below(40);
    std::vector<Documents> shards;
    std::vector<std::filesystem::path> paths;
    for (int s = 0; s < 3; ++s) {
      shards.push_back(random_documents(rng, rng.below(300), 1 + rng.below(100)));
      paths.push_back(write(fmt::format("s{}", s), shards.back()));
    }
    shards.push_back({{1, 2, 3}});
    paths.push_back(write("last", shards.back()));
    const auto packing = seed % 2 == 0 ? Packing::whole : Packing::filled;
    TokenStream stream = open(paths, rows, seed, packing);
    const auto first = epoch_of(stream);
    expect_whole(first, shards, rows);
    EXPECT_EQ(stream.packs_of_epoch(), static_cast<int64_t>(first.size()));
    const auto second = epoch_of(stream);
    expect_whole(second, shards, rows);

    int64_t tokens = 0, pieces = 0, documents = 0, short_ones = 0;
    for (const TokenPack& pack : first) {
      tokens += static_cast<int64_t>(pack.tokens.size());
      pieces += static_cast<int64_t>(pack.pieces.size());
    }
    for (const Documents& shard : shards) {
      documents += static_cast<int64_t>(shard.size());
      short_ones +=
          std::count_if(shard.begin(), shard.end(), [](const Ids& ids) { return ids.size() == 1; });
    }
    EXPECT_EQ(stream.tokens(), tokens);
    if (packing == Packing::whole) {
      EXPECT_EQ(stream.pieces(), pieces);
    }
    EXPECT_EQ(stream.documents(), documents);
    EXPECT_EQ(stream.skipped(), short_ones);
  }
}

// Of a shard that is read r times an epoch, no piece comes more often than another but for one
// time, over any number of epochs.
TEST_F(TokenStreamTest, ShardsAreReadAsOftenAsAsked) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Rng rng(seed);
    const int rows = 4 + rng.below(30);
    std::vector<std::filesystem::path> paths;
    const std::vector<double> repeat = {0.3, 1, 2.5, 1.0 / 3};
    for (size_t s = 0; s < repeat.size(); ++s) {
      const int count = s == 3 ? 0 : 40 + rng.below(300);
      paths.push_back(write(fmt::format("s{}", s), random_documents(rng, count, 60)));
    }
    const auto packing = seed % 2 == 0 ? Packing::whole : Packing::filled;
    const StreamOptions options = {rows, kVocabulary, seed, -1, packing, repeat};
    TokenStream stream = TokenStream::open(paths, options).value();
    const TokenStream plain = open(paths, rows, seed, packing);
    EXPECT_NE(stream.position().corpus, plain.position().corpus);
    std::map<std::pair<int32_t, int64_t>, std::map<int64_t, int>> read;  // tokens, by their place
    constexpr int kEpochs = 3;
    int64_t tokens = 0;
    for (int epoch = 0; epoch < kEpochs; ++epoch) {
      for (const TokenPack& pack : epoch_of(stream)) {
        tokens += static_cast<int64_t>(pack.tokens.size());
        for (const Piece& piece : pack.pieces) {
          for (int32_t i = 0; i < piece.rows; ++i) {
            ++read[{piece.shard, piece.document}][piece.from + i];
          }
        }
      }
    }
    EXPECT_NEAR(static_cast<double>(tokens) / kEpochs / static_cast<double>(stream.tokens()), 1,
                0.05);
    for (const auto& [document, places] : read) {
      const double expected = kEpochs * repeat[static_cast<size_t>(document.first)];
      for (const auto& [place, times] : places) EXPECT_NEAR(times, expected, 1.01);
    }
    // Where it goes on it is the same as if it had not been cut.
    TokenStream again = TokenStream::open(paths, options).value();
    ASSERT_TRUE(again.seek(stream.position()).ok());
    for (int i = 0; i < 5; ++i) EXPECT_EQ(again.next()->tokens, stream.next()->tokens);
    EXPECT_FALSE(again.seek(plain.position()).ok());
  }
}

TEST_F(TokenStreamTest, EpochsAndSeedsAreShuffledDifferently) {
  Rng rng(5);
  const auto path = write("s", random_documents(rng, 1000, 30));
  TokenStream stream = open({path}, 32, 1);
  const auto first = epoch_of(stream), second = epoch_of(stream);
  TokenStream other = open({path}, 32, 2), same = open({path}, 32, 1);
  const auto documents = [](const std::vector<TokenPack>& packs) {
    std::vector<int64_t> order;
    for (const auto& pack : packs) {
      for (const Piece& piece : pack.pieces) order.push_back(piece.document);
    }
    return order;
  };
  const auto order = documents(first);
  EXPECT_NE(order, documents(second));
  EXPECT_NE(order, documents(epoch_of(other)));
  EXPECT_EQ(order, documents(epoch_of(same)));
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
}

TEST_F(TokenStreamTest, PacksAreNearlyFull) {
  Rng rng(8);
  const auto path = write("s", random_documents(rng, 4000, 300));
  TokenStream stream = open({path}, 512);
  const auto packs = epoch_of(stream);
  const auto room = static_cast<double>(packs.size()) * 512;
  EXPECT_GT(static_cast<double>(stream.tokens()) / room, 0.95);
}

TEST_F(TokenStreamTest, GoesOnFromASavedPlace) {
  Rng rng(11);
  const auto path = write("s", random_documents(rng, 900, 50));
  TokenStream stream = open({path}, 40, 3);
  std::vector<StreamPosition> places;
  std::vector<Ids> tokens;
  for (int i = 0; i < 1500; ++i) {
    places.push_back(stream.position());
    tokens.push_back(stream.next()->tokens);
  }
  ASSERT_GT(stream.position().epoch, 1);
  for (int i = 0; i < 200; ++i) {
    const auto at = static_cast<size_t>(rng.below(1500 - 3));
    TokenStream resumed = open({path}, 40, 3);
    if (i % 2 == 0) {
      ASSERT_TRUE(resumed.next().ok());
    }
    ASSERT_TRUE(resumed.seek(places[at]).ok());
    EXPECT_EQ(resumed.position(), places[at]);
    for (size_t k = 0; k < 3; ++k) ASSERT_EQ(resumed.next()->tokens, tokens[at + k]) << at;
  }
}

TEST_F(TokenStreamTest, RefusesAPlaceOfAnotherCorpus) {
  const auto path = write("s", {{1, 2, 3}, {4, 5}});
  const auto other = write("t", {{1, 2}, {4, 5, 6}});
  TokenStream stream = open({path}, 8);
  EXPECT_TRUE(says(open({other}, 8).seek(stream.position()).error().message,
                   "belongs to other token shards"));
  EXPECT_FALSE(open({path}, 9).seek(stream.position()).ok());
  EXPECT_FALSE(open({path}, 8, 1).seek(stream.position()).ok());
  EXPECT_FALSE(open({path}, 8, 0, Packing::filled).seek(stream.position()).ok());
  for (const auto& [window, pack] : {std::pair{1, 0}, {-1, 0}, {0, 1}, {0, -1}}) {
    StreamPosition place = stream.position();
    place.window = window;
    place.pack = pack;
    EXPECT_TRUE(says(stream.seek(place).error().message, "does not exist"));
  }
  EXPECT_EQ(stream.next()->tokens.size(), 5u);
}

TEST_F(TokenStreamTest, RefusesWhatCannotBeTrainedOn) {
  const auto refused = [&](const std::vector<std::filesystem::path>& paths, int64_t vocabulary,
                           std::string_view parts) {
    const auto stream = TokenStream::open(paths, {8, vocabulary, 0});
    if (stream.ok()) return ::testing::AssertionFailure() << "it was accepted";
    return says(stream.error().message, parts);
  };
  EXPECT_TRUE(refused({}, kVocabulary, "no token shards"));
  EXPECT_TRUE(refused({write("empty", {})}, kVocabulary, "/empty: no document of at least two"));
  EXPECT_TRUE(refused({write("ones", {{1}, {2}})}, kVocabulary, "/ones: no document|2 of one"));
  const auto good = write("good", {{1, 2}});
  EXPECT_TRUE(refused({good}, kVocabulary - 1, "tokenizer of 1000 tokens, but the model has 999"));
  EXPECT_TRUE(refused({good, folder_.path() / "none"}, kVocabulary, "/none: cannot be opened"));
}

TEST_F(TokenStreamTest, AnIdOutsideTheVocabularyIsAnErrorWithItsPlace) {
  const auto path = write("s", {{1, 2}, {3, 4, 5}});
  std::string bytes = bytes_of_file(path);
  const uint16_t wrong = kVocabulary;
  std::memcpy(bytes.data() + 40 + 2 * 3, &wrong, 2);
  folder_.put("s", bytes);
  const auto stream = TokenStream::open({{path}}, {8, kVocabulary, 0});
  ASSERT_FALSE(stream.ok());
  EXPECT_TRUE(says(stream.error().message, "/s: document 1 holds the id 1000 at position 1"));
}

}  // namespace
}  // namespace tidar
