#include "plan/pass.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "base/check.h"
#include "plan/layouts.h"
#include "plan/shown_rows.h"

namespace tidar {
namespace {

constexpr int32_t kAnyMask = 99;

TEST(Pass, RowsTakeTheNextKeysOfTheirCache) {
  PagePool pool(4);
  SequenceCache other(pool), cache(pool);
  ASSERT_TRUE(other.reserve(1));
  ASSERT_TRUE(cache.reserve(3 * kPageSlots));
  cache.commit(kPageSlots - 1);

  Pass pass;
  pass.begin_sequence(other);
  EXPECT_EQ(pass.next_key(), 0);
  pass.add_row(5, 0, {{0, 1}, {}}, Keep::page);
  pass.begin_sequence(cache);
  EXPECT_EQ(pass.next_key(), kPageSlots - 1);
  EXPECT_EQ(pass.sequences[1].pages.size(), 1u);
  pass.add_row(6, kPageSlots - 1, {{0, kPageSlots}, {}}, Keep::page);
  EXPECT_EQ(pass.sequences[1].pages.size(), 1u);
  pass.add_row(7, kPageSlots, {{0, kPageSlots + 1}, {}}, Keep::page);
  const int32_t last = pass.add_row(8, kPageSlots + 1, {{0, kPageSlots + 2}, {}}, Keep::scratch);
  pass.check();

  const PassSequence& sequence = pass.sequences[1];
  EXPECT_EQ(last, 3);
  EXPECT_EQ(sequence.pages, (std::vector<PageId>{cache.pages()[0], cache.pages()[1]}));
  EXPECT_EQ(sequence.cached, kPageSlots - 1);
  EXPECT_EQ(sequence.stored, 2);
  EXPECT_EQ(sequence.rows, 3);
  EXPECT_EQ(sequence.first_row, 1);
  EXPECT_EQ(sequence.key_of_row(last), kPageSlots + 1);
  EXPECT_EQ(slot_of_key(sequence.pages, kPageSlots), cache.slot(kPageSlots));
}

TEST(Pass, ShowsTheRowsOfOneOfItsSequences) {
  PagePool pool(2);
  SequenceCache cache(pool);
  ASSERT_TRUE(cache.reserve(5));
  cache.commit(3);
  Pass pass;
  pass.begin_sequence();
  add_causal(pass, std::array{1, 2}, Keep::scratch);
  pass.begin_sequence(cache);
  std::array<MaskGroup, 1> groups = {{{.accepted = 1, .masks = 2}}};
  add_tidar_step(pass, std::array{7, 8}, kAnyMask, groups);

  const ShownRows shown = shown_rows(pass, pass.sequences[1]);
  EXPECT_EQ(shown.cached, 3);
  EXPECT_EQ(shown.first_row, 2);
  const std::vector<ShownRow> expected = {{7, 3, Keep::page, {0, 4}, {}},
                                          {8, 4, Keep::page, {0, 5}, {}},
                                          {kAnyMask, 4, Keep::scratch, {0, 4}, {5, 7}},
                                          {kAnyMask, 5, Keep::scratch, {0, 4}, {5, 7}}};
  EXPECT_EQ(shown.rows, expected);
  EXPECT_EQ(shown_rows(pass, pass.sequences[0]).rows.size(), 2u);
}

TEST(Pass, ClearLeavesNothingBehind) {
  PagePool pool(1);
  SequenceCache cache(pool);
  ASSERT_TRUE(cache.reserve(3));
  Pass pass;
  pass.begin_sequence(cache);
  add_causal(pass, std::array{1, 2, 3}, Keep::page);
  pass.asks.add({.row = 2});
  pass.clear();
  pass.begin_sequence();
  add_causal(pass, std::array{4}, Keep::scratch);
  pass.check();
  EXPECT_EQ(pass.rows(), 1);
  EXPECT_TRUE(pass.asks.empty());
  ASSERT_EQ(pass.sequences.size(), 1u);
  EXPECT_TRUE(pass.sequences[0].pages.empty());
  EXPECT_EQ(pass.sequences[0].first_row, 0);
}

// A copy goes on by itself, even when the cache is gone.
TEST(Pass, CopiesOfAHalfBuiltPassGoOn) {
  PagePool pool(3);
  Pass pass;
  std::vector<PageId> pages;
  {
    SequenceCache cache(pool);
    ASSERT_TRUE(cache.reserve(2 * kPageSlots + 1));
    pages.assign(cache.pages().begin(), cache.pages().end());
    pass.begin_sequence(cache);
    add_causal(pass, std::vector<int32_t>(kPageSlots, 7), Keep::page);
  }
  Pass copy = pass;
  for (Pass* one : {&pass, &copy}) {
    add_causal(*one, std::vector<int32_t>(kPageSlots + 1, 8), Keep::page);
    one->check();
    EXPECT_EQ(one->sequences[0].pages, pages);
  }
}

// A cache with 70 committed keys, the last of which was stored five keys further behind.
SequenceCache cache_with_pending(PagePool& pool) {
  SequenceCache cache(pool);
  TIDAR_CHECK(cache.reserve(80));
  cache.commit(69);
  cache.commit_aside(74);
  return cache;
}

TEST(Pass, WhatIsPendingBecomesAMove) {
  PagePool pool(4);
  const SequenceCache other = cache_with_pending(pool), cache = cache_with_pending(pool);
  Pass pass;
  pass.begin_sequence(other);
  add_causal(pass, std::array{1, 2}, Keep::page);
  pass.begin_sequence(cache);
  add_causal(pass, std::array{3}, Keep::page);
  pass.check();
  EXPECT_EQ(pass.moves, (std::vector<SlotMove>{{other.slot(74), other.slot(69)},
                                               {cache.slot(74), cache.slot(69)}}));
  EXPECT_NE(pass.picture().find(
                fmt::format("first, slot {} goes to slot {}\n", cache.slot(74), cache.slot(69))),
            std::string::npos);
  pass.clear();
  EXPECT_TRUE(pass.moves.empty());
}

TEST(PassDeathTest, MovesStayWithinTheCachedKeysOfTheirSequence) {
  PagePool pool(6);
  const SequenceCache other = cache_with_pending(pool), cache = cache_with_pending(pool);
  SequenceCache stranger(pool);
  ASSERT_TRUE(stranger.reserve(1));
  Pass right;
  right.begin_sequence(other);
  right.begin_sequence(cache);
  right.check();
  const auto broken = [&](SlotMove move) {
    Pass pass = right;
    pass.moves[1] = move;
    pass.check();
  };
  EXPECT_DEATH(broken({-1, cache.slot(69)}), "move.from >= 0");
  EXPECT_DEATH(broken({cache.slot(74), -1}), "move.to >= 0");
  EXPECT_DEATH(broken({cache.slot(74), stranger.slot(0)}), "a page of the pass");
  EXPECT_DEATH(broken({cache.slot(74), cache.slot(70)}), "key < sequence->cached");
  EXPECT_DEATH(broken({other.slot(74), cache.slot(69)}), "within a sequence");
  EXPECT_DEATH(broken({cache.slot(69), cache.slot(69)}), "from and to");
  EXPECT_DEATH(broken({other.slot(75), other.slot(69)}), "twice to a slot");
  broken({cache.slot(75), cache.slot(2)});
}

TEST(PassDeathTest, BuildingStopsAtRowsWithoutAPlace) {
  PagePool pool(1);
  SequenceCache cache(pool);
  ASSERT_TRUE(cache.reserve(kPageSlots));
  Pass pass;
  const Sight self{{0, 1}, {}};
  EXPECT_DEATH(pass.add_row(1, 0, self, Keep::scratch), "sequences.empty");
  pass.begin_sequence();
  EXPECT_DEATH(pass.add_row(1, 0, self, Keep::page), "next_pages_.empty");
  pass.begin_sequence(cache);
  for (int i = 0; i < kPageSlots; ++i) pass.add_row(1, i, self, Keep::page);
  EXPECT_DEATH(pass.add_row(1, 0, self, Keep::page), "next_pages_.empty");
  pass.add_row(1, 0, self, Keep::scratch);
  EXPECT_DEATH(pass.add_row(1, 0, self, Keep::page), "sequence.stored == sequence.rows");
}

// Each entry breaks one thing of a pass that is right otherwise.
TEST(PassDeathTest, CheckFindsWhatIsBroken) {
  PagePool pool(1);
  SequenceCache cache(pool);
  ASSERT_TRUE(cache.reserve(3));
  Pass right;
  right.begin_sequence(cache);
  std::array<MaskGroup, 1> groups{{{.accepted = 1, .masks = 2}}};
  add_tidar_step(right, std::array{1, 2}, kAnyMask, groups);
  right.begin_sequence();
  add_bidirectional(right, std::array{3, 4});
  right.asks.add({.row = 5});
  right.check();

  const auto broken = [](Pass pass, auto&& change) {
    change(pass);
    pass.check();
  };
  using P = Pass&;
  EXPECT_DEATH(broken(right, [](P p) { p.tokens.pop_back(); }), "positions.size");
  EXPECT_DEATH(broken(right, [](P p) { p.sights.pop_back(); }), "sights.size");
  EXPECT_DEATH(broken(right, [](P p) { p.keeps.pop_back(); }), "keeps.size");
  EXPECT_DEATH(broken(right, [](P p) { p.tokens[1] = -1; }), "tokens");
  EXPECT_DEATH(broken(right, [](P p) { p.positions[1] = -1; }), "positions");
  EXPECT_DEATH(broken(right, [](P p) { p.sights[0].prefix.to = 5; }), "prefix.to <= keys");
  EXPECT_DEATH(broken(right, [](P p) { p.sights[0].prefix.from = -1; }), "prefix.from >= 0");
  EXPECT_DEATH(broken(right, [](P p) { p.sights[0].prefix.from = 2; }), "prefix.from <= prefix.to");
  EXPECT_DEATH(broken(right, [](P p) { p.sights[2].block.to = 5; }), "block.to <= keys");
  EXPECT_DEATH(broken(right, [](P p) { p.sights[2].block.from = -1; }), "block.from >= 0");
  EXPECT_DEATH(broken(right, [](P p) { p.sights[2].prefix.to = 3; }), "prefix.to <= block.from");
  EXPECT_DEATH(broken(right, [](P p) { p.sights[0] = {}; }), "prefix.size");
  EXPECT_DEATH(broken(right, [](P p) { p.keeps[2] = Keep::page; }), "stored");
  EXPECT_DEATH(broken(right, [](P p) { p.sequences[0].pages.clear(); }), "pages");
  EXPECT_DEATH(broken(right, [](P p) { p.sequences[1].first_row = 3; }), "first_row");
  EXPECT_DEATH(broken(right, [](P p) { p.sequences[1].rows = 3; }), "next_row <= rows");
  EXPECT_DEATH(broken(right, [](P p) { p.sequences.pop_back(); }), "next_row == rows");
  EXPECT_DEATH(broken(right, [](P p) { p.asks[0].row = 6; }), "row < rows");
  EXPECT_DEATH(broken(right, [](P p) { p.asks[0].other_row = 6; }), "other_row < rows");
  const Ask mixed = {.kind = AskKind::logits, .row = 1, .other_row = 2};
  EXPECT_DEATH(broken(right, [&](P p) { p.asks[0] = mixed; }), "AskKind::logits");
  EXPECT_DEATH(broken(right, [](P p) { p.asks[0].kind = AskKind::score; }), "token >= 0");
}

TEST(Picture, ShowsAStepOfTidar) {
  PagePool pool(1);
  SequenceCache cache(pool);
  ASSERT_TRUE(cache.reserve(8));
  cache.commit(4);
  Pass pass;
  pass.begin_sequence(cache);
  std::array<MaskGroup, 2> groups{{{.accepted = 1, .masks = 2}, {.accepted = 2, .masks = 2}}};
  add_tidar_step(pass, std::array{17, 3}, kAnyMask, groups);
  pass.asks.add({.row = 0, .other_row = 2});
  pass.asks.add({.row = 1});
  EXPECT_EQ(pass.picture(),
            "sequence 0: 4 cached keys, 6 rows, 2 kept in pages\n"
            "row  token   pos  kept     sees\n"
            "  0     17?    4  page     ████│█·····\n"
            "  1      3?    5  page     ████│██····\n"
            "  2     99?    5  scratch  ████│█·██··\n"
            "  3     99     6  scratch  ████│█·██··\n"
            "  4     99     6  scratch  ████│██··██\n"
            "  5     99     7  scratch  ████│██··██\n");
}

TEST(Picture, SummarisesManyKeysAndCutsWideLines) {
  PagePool pool(2);
  SequenceCache cache(pool);
  ASSERT_TRUE(cache.reserve(100));
  cache.commit(90);
  Pass pass;
  pass.begin_sequence(cache);
  pass.add_row(1, 90, {{8, 91}, {}}, Keep::page);
  pass.add_row(2, 91, {{0, 86}, {90, 92}}, Keep::page);
  pass.begin_sequence();
  add_bidirectional(pass, std::vector<int32_t>(9, 1234567));
  std::string expected =
      "sequence 0: 90 cached keys, 2 rows, 2 kept in pages\n"
      "left of the bar, a cell is 6 keys\n"
      "row    token   pos  kept     sees\n"
      "  0        1    90  page     ·▒███████████…\n"
      "  1        2    91  page     █████████████…\n"
      "sequence 1: 0 cached keys, 9 rows, 0 kept in pages\n"
      "row    token   pos  kept     sees\n";
  for (int i = 0; i < 9; ++i)
    expected += fmt::format("{:>3}  1234567   {:>3}  scratch  █████████\n", i + 2, i);
  EXPECT_EQ(pass.picture(43), expected);
  EXPECT_NE(pass.picture().find("·▒█████████████│█·\n"), std::string::npos);
  EXPECT_NE(pass.picture().find("██████████████▒│██\n"), std::string::npos);
}

}  // namespace
}  // namespace tidar
