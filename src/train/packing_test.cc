#include "train/packing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/rng.h"

namespace tidar {
namespace {

using Packs = std::vector<std::vector<Piece>>;

int32_t tokens_of(const std::vector<Piece>& pack) {
  int32_t tokens = 0;
  for (const Piece& piece : pack) tokens += piece.rows;
  return tokens;
}

/// Documents of `shortest` to `longest` tokens, each a piece.
std::vector<Piece> random_pieces(Rng& rng, int count, int shortest, int longest, bool prompts) {
  std::vector<Piece> pieces;
  for (int i = 0; i < count; ++i) {
    Piece piece{.rows = shortest + rng.below(longest - shortest + 1), .document = i};
    if (prompts) piece.prompt = rng.below(piece.rows);
    pieces.push_back(piece);
  }
  return pieces;
}

TEST(Packing, EveryTokenIsInOnePackAndPiecesFollowEachOther) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const int rows = 2 + rng.below(600);
    const auto pieces = random_pieces(rng, rng.below(257), 2, rows, seed % 3 == 0);
    const auto packing = seed % 2 == 0 ? Packing::filled : Packing::whole;
    std::map<int64_t, std::map<int64_t, int32_t>> found;  // rows, by document and place in it
    for (const auto& pack : pack_pieces(pieces, rows, packing)) {
      ASSERT_FALSE(pack.empty());
      ASSERT_LE(tokens_of(pack), rows);
      int32_t first = 0;
      for (const Piece& piece : pack) {
        ASSERT_EQ(piece.first, first);
        ASSERT_GE(piece.rows, 2);
        first += piece.rows;
        ASSERT_TRUE(found[piece.document].emplace(piece.from, piece.rows).second);
        const Piece& whole = pieces[static_cast<size_t>(piece.document)];
        if (whole.prompt == 0 && packing == Packing::filled) continue;
        ASSERT_EQ(piece.rows, whole.rows);
        ASSERT_EQ(piece.prompt, whole.prompt);
      }
    }
    for (const Piece& piece : pieces) {
      int64_t next = 0;
      for (const auto& [from, size] : found[piece.document]) {
        ASSERT_EQ(from, next);
        next += size;
      }
      ASSERT_EQ(next, piece.rows);
    }
  }
}

// Documents of more than half a pack, of which no two fit into one.
TEST(Packing, RoomIsFilledWithTheBeginningsOfDocuments) {
  Rng rng(5);
  const auto pieces = random_pieces(rng, 256, 300, 450, false);
  const auto fullness = [&](const Packs& packs) {
    return double{1} * tokens_of(pieces) / (512.0 * static_cast<double>(packs.size()));
  };
  EXPECT_LT(fullness(pack_pieces(pieces, 512, Packing::whole)), 0.8);
  const Packs filled = pack_pieces(pieces, 512, Packing::filled);
  EXPECT_GT(fullness(filled), 0.97);
  // Nothing shorter than a thirty-second of a pack is read by itself.
  for (const auto& pack : filled) {
    for (const Piece& piece : pack) EXPECT_GE(piece.rows, 16);
  }
}

TEST(Packing, ADocumentWithAPromptIsNotCut) {
  std::vector<Piece> pieces = {{.rows = 6, .prompt = 2}, {.rows = 6, .prompt = 1, .document = 1}};
  EXPECT_EQ(pack_pieces(pieces, 8, Packing::filled).size(), 2u);
  pieces.push_back({.rows = 4, .document = 2});
  const Packs packs = pack_pieces(pieces, 8, Packing::filled);
  ASSERT_EQ(packs.size(), 2u);
  EXPECT_EQ(tokens_of(packs[0]), 8);
  EXPECT_EQ(tokens_of(packs[1]), 8);
}

}  // namespace
}  // namespace tidar
