#include "plan/layouts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/rng.h"

namespace tidar {
namespace {

constexpr int32_t kMask = 511;

using Tokens = std::vector<int32_t>;

// The whole of one sequence's keys as somebody sees it who knows nothing of sights.
struct Picture {
  Tokens tokens;
  std::vector<int32_t> positions;
  std::vector<std::string> allowed;  // '1' where row may look at key
};

// A sequence of a pass as a Picture: its rows only, over all of its keys.
Picture picture_of(const Pass& pass, const PassSequence& sequence) {
  Picture picture;
  for (int32_t row = sequence.first_row; row < sequence.first_row + sequence.rows; ++row) {
    const auto i = static_cast<size_t>(row);
    picture.tokens.push_back(pass.tokens[i]);
    picture.positions.push_back(pass.positions[i]);
    std::string& line = picture.allowed.emplace_back();
    for (int32_t key = 0; key < sequence.keys(); ++key)
      line += pass.sights[i].sees(key) ? '1' : '0';
  }
  return picture;
}

void expect_same(const Picture& found, const Picture& expected) {
  EXPECT_EQ(found.tokens, expected.tokens);
  EXPECT_EQ(found.positions, expected.positions);
  EXPECT_EQ(found.allowed, expected.allowed);
}

Tokens random_tokens(Rng& rng, int count) {
  Tokens tokens;
  for (int i = 0; i < count; ++i) tokens.push_back(rng.below(500));
  return tokens;
}

// ---- against passes that other programs computed logits for ----

class MaskedFixtures : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    std::ifstream file(std::string(TIDAR_FIXTURES) + "/" + GetParam() + "/masked/masked.json");
    const auto all = nlohmann::json::parse(file, nullptr, false);
    ASSERT_TRUE(all.is_object());
    ASSERT_EQ(all["mask_token_id"].get<int32_t>(), kMask);
    for (const auto& pass : all["passes"]) passes_[pass["name"]] = pass;
    ASSERT_EQ(passes_.size(), 6u);
  }

  Picture expected(const std::string& name) const {
    const auto& pass = passes_.at(name);
    return {pass["tokens"], pass["positions"], pass["allowed"]};
  }
  int number(const std::string& name, const std::string& field) const {
    return passes_.at(name)[field].get<int>();
  }

  std::map<std::string, nlohmann::json> passes_;
};

Tokens slice(const Tokens& tokens, int from, int to) {
  return Tokens(tokens.begin() + from, tokens.begin() + to);
}

TEST_P(MaskedFixtures, TidarTraining) {
  const Picture truth = expected("tidar_train");
  Pass pass;
  pass.begin_sequence();
  add_tidar_training(pass, slice(truth.tokens, 0, number("tidar_train", "S")),
                     number("tidar_train", "K"), kMask);
  pass.check();
  expect_same(picture_of(pass, pass.sequences[0]), truth);
}

// The step behind a prefix in the same pass, and behind a prefix that is cached.
TEST_P(MaskedFixtures, TidarStep) {
  const Picture truth = expected("tidar_decode");
  const int length = number("tidar_decode", "prefix_length");
  const int block = number("tidar_decode", "K");
  const Tokens prefix = slice(truth.tokens, 0, length);
  const Tokens drafts = slice(truth.tokens, length, length + block);
  std::vector<MaskGroup> groups;
  for (int j = 1; j <= block; ++j) groups.push_back({.accepted = j, .masks = block});
  PagePool pool(1);
  SequenceCache cache(pool);
  ASSERT_TRUE(cache.reserve(length + block));

  Pass pass;
  pass.begin_sequence(cache);
  add_causal(pass, prefix, Keep::page);
  EXPECT_EQ(add_tidar_step(pass, drafts, kMask, groups), length);
  pass.check();
  expect_same(picture_of(pass, pass.sequences[0]), truth);
  for (int j = 1; j <= block; ++j)
    EXPECT_EQ(groups[static_cast<size_t>(j - 1)].first_row, length + j * block);

  cache.commit(length);
  pass.clear();
  pass.begin_sequence(cache);
  EXPECT_EQ(add_tidar_step(pass, drafts, kMask, groups), 0);
  pass.check();
  Picture step = truth;
  step.tokens.erase(step.tokens.begin(), step.tokens.begin() + length);
  step.positions.erase(step.positions.begin(), step.positions.begin() + length);
  step.allowed.erase(step.allowed.begin(), step.allowed.begin() + length);
  expect_same(picture_of(pass, pass.sequences[0]), step);
}

TEST_P(MaskedFixtures, BlockCausal) {
  for (const char* name : {"block_0", "block_1"}) {
    const Picture truth = expected(name);
    const int block = number(name, "block_size");
    Pass pass;
    pass.begin_sequence();
    add_block_causal(pass, truth.tokens, block);
    pass.check();
    expect_same(picture_of(pass, pass.sequences[0]), truth);

    // The same block by block, as decoding does it.
    PagePool pool(1);
    SequenceCache cache(pool);
    ASSERT_TRUE(cache.reserve(static_cast<int>(truth.tokens.size())));
    pass.clear();
    pass.begin_sequence(cache);
    for (int i = 0; i < static_cast<int>(truth.tokens.size()); i += block) {
      const int end = std::min(i + block, static_cast<int>(truth.tokens.size()));
      EXPECT_EQ(add_block(pass, slice(truth.tokens, i, end), Keep::page), i);
    }
    pass.check();
    expect_same(picture_of(pass, pass.sequences[0]), truth);
  }
}

TEST_P(MaskedFixtures, BlockDiffusionTraining) {
  const Picture truth = expected("block_dual");
  const int size = number("block_dual", "S");
  Pass pass;
  pass.begin_sequence();
  add_block_diffusion_training(pass, slice(truth.tokens, 0, size),
                               slice(truth.tokens, size, 2 * size),
                               number("block_dual", "block_size"));
  pass.check();
  expect_same(picture_of(pass, pass.sequences[0]), truth);
}

TEST_P(MaskedFixtures, Bidirectional) {
  const Picture truth = expected("full");
  Pass pass;
  pass.begin_sequence();
  add_bidirectional(pass, truth.tokens);
  pass.check();
  expect_same(picture_of(pass, pass.sequences[0]), truth);
}

INSTANTIATE_TEST_SUITE_P(Models, MaskedFixtures, testing::Values("qwen2", "qwen3"));

// ---- against boolean definitions, on random sizes ----

// A row or key as the definitions below speak of it: which part of the layout it belongs to (0:
// text, j >= 1: group or half j) and its place i there.
struct Place {
  int part = 0;
  int i = 0;
};

using Visible = std::function<bool(Place query, Place key)>;

// The picture of the rows from `cached` on, by asking `visible` of every pair.
Picture define(const std::vector<Place>& keys, int cached, const Tokens& tokens,
               const std::function<int(Place)>& position, const Visible& visible) {
  Picture picture;
  for (size_t row = static_cast<size_t>(cached); row < keys.size(); ++row) {
    picture.tokens.push_back(tokens[row]);
    picture.positions.push_back(position(keys[row]));
    std::string& line = picture.allowed.emplace_back();
    for (const Place& key : keys) line += visible(keys[row], key) ? '1' : '0';
  }
  return picture;
}

void append(std::vector<Place>& places, int part, int count) {
  for (int i = 0; i < count; ++i) places.push_back({part, i});
}

int place_of(Place place) { return place.i; }

class RandomSizes : public testing::TestWithParam<uint64_t> {
 protected:
  // Size of the text; half of the time no multiple of the block size.
  int any_size() { return 1 + rng.below(40); }

  // A cache with `length` keys and room for `more`.
  SequenceCache cache_of(int length, int more) {
    SequenceCache cache(pool);
    EXPECT_TRUE(cache.reserve(length + more));
    cache.commit(length);
    return cache;
  }

  Rng rng{GetParam()};
  PagePool pool{64};
  Pass pass;
};

TEST_P(RandomSizes, Causal) {
  const int length = rng.below(2) * rng.below(150);
  const Tokens tokens = random_tokens(rng, length + any_size());
  const auto rows = static_cast<int>(tokens.size()) - length;
  const SequenceCache cache = cache_of(length, rows);
  pass.begin_sequence(cache);
  add_causal(pass, std::span(tokens).subspan(static_cast<size_t>(length)), Keep::page);
  pass.check();
  std::vector<Place> keys;
  append(keys, 0, length + rows);
  expect_same(picture_of(pass, pass.sequences[0]),
              define(keys, length, tokens, place_of, [](Place q, Place k) { return k.i <= q.i; }));
}

// The first pass of TiDAR: [prompt | masks].
TEST_P(RandomSizes, CausalThenMasks) {
  const int length = any_size(), masks = 1 + rng.below(16);
  Tokens tokens = random_tokens(rng, length);
  pass.begin_sequence();
  add_causal(pass, tokens, Keep::scratch);
  EXPECT_EQ(add_block(pass, Tokens(static_cast<size_t>(masks), kMask), Keep::scratch), length);
  pass.check();
  tokens.resize(static_cast<size_t>(length + masks), kMask);
  std::vector<Place> keys;
  append(keys, 0, length);
  append(keys, 1, masks);
  expect_same(picture_of(pass, pass.sequences[0]),
              define(
                  keys, 0, tokens, [&](Place p) { return p.part == 0 ? p.i : length + p.i; },
                  [](Place q, Place k) {
                    if (q.part == 1) return true;
                    return k.part == 0 && k.i <= q.i;
                  }));
}

TEST_P(RandomSizes, TidarTraining) {
  const int size = any_size(), block = 1 + rng.below(10);
  const int cut = rng.below(2) * rng.below(block);  // tokens that the first block lacks
  const Tokens clean = random_tokens(rng, size);
  Tokens second(clean.size(), kMask);
  const bool random_masking = rng.below(2) == 1;
  if (random_masking)
    for (size_t i = 0; i < second.size(); ++i) second[i] = rng.below(2) == 0 ? clean[i] : kMask;

  pass.begin_sequence();
  add_tidar_training(pass, clean, {block, block - cut}, kMask, random_masking ? second : Tokens{});
  pass.check();
  Tokens tokens = clean;
  tokens.insert(tokens.end(), second.begin(), second.end());
  std::vector<Place> keys;
  append(keys, 0, size);
  append(keys, 1, size);
  expect_same(picture_of(pass, pass.sequences[0]),
              define(keys, 0, tokens, place_of, [&](Place q, Place k) {
                if (q.part == 0) return k.part == 0 && k.i <= q.i;
                const int query_block = (q.i + cut) / block, key_block = (k.i + cut) / block;
                return k.part == 0 ? key_block < query_block : key_block == query_block;
              }));
}

TEST_P(RandomSizes, TidarStep) {
  const int length = rng.below(3) * rng.below(100), drafts = 1 + rng.below(8);
  std::vector<MaskGroup> groups;
  for (int j = 1; j <= drafts; ++j)
    if (rng.below(3) > 0) groups.push_back({.accepted = j, .masks = 1 + rng.below(8)});
  if (rng.below(2) == 0) std::reverse(groups.begin(), groups.end());
  std::vector<GuessedGroup> guessed;
  if (drafts > 1)
    for (int i = rng.below(4); i > 0; --i)
      guessed.push_back(
          {.accepted = 1 + rng.below(drafts - 1), .token = 7 + i, .masks = rng.below(5)});
  Tokens tokens = random_tokens(rng, length + drafts);
  const SequenceCache cache = cache_of(length, drafts + 3 * 5);
  pass.begin_sequence(cache);
  add_tidar_step(pass, std::span(tokens).subspan(static_cast<size_t>(length)), kMask, groups,
                 guessed);
  pass.check();

  // Parts: the text and its drafts, then a guessed group each, then the groups by their number.
  constexpr int kGuessed = 100;
  const auto accepted = [&](int part) {
    return part < kGuessed ? part : guessed[static_cast<size_t>(part - kGuessed)].accepted;
  };
  std::vector<Place> keys;
  append(keys, 0, length + drafts);
  for (const GuessedGroup& group : guessed) {
    EXPECT_EQ(group.token_row, static_cast<int>(keys.size()) - length);
    append(keys, kGuessed + static_cast<int>(&group - guessed.data()), group.rows());
    tokens.push_back(group.token);
    tokens.resize(keys.size(), kMask);
  }
  EXPECT_EQ(pass.sequences[0].stored, static_cast<int>(keys.size()) - length);
  for (const MaskGroup& group : groups) {
    EXPECT_EQ(group.first_row, static_cast<int>(keys.size()) - length);
    append(keys, group.accepted, group.masks);
  }
  tokens.resize(keys.size(), kMask);
  expect_same(picture_of(pass, pass.sequences[0]),
              define(
                  keys, length, tokens,
                  [&](Place p) { return p.part == 0 ? p.i : length + accepted(p.part) + p.i; },
                  [&](Place q, Place k) {
                    if (q.part == 0) return k.part == 0 && k.i <= q.i;
                    if (k.part == 0) return k.i < length + accepted(q.part);
                    const bool is_token = q.part >= kGuessed && q.i == 0;
                    return k.part == q.part && (!is_token || k.i == 0);
                  }));
  for (int row = 0; row < drafts; ++row) EXPECT_EQ(mask_place(pass, row).masks, 0);
  const auto expect_place = [&](int32_t row, int group, int masks, int mask) {
    const MaskPlace place = mask_place(pass, row);
    EXPECT_EQ(place.begin, length + group);
    EXPECT_EQ(place.masks, masks);
    EXPECT_EQ(place.mask, mask);
  };
  for (const MaskGroup& group : groups)
    for (int m = 0; m < group.masks; ++m)
      expect_place(group.first_row + m, group.accepted, group.masks, m);
  for (const GuessedGroup& group : guessed) {
    EXPECT_EQ(mask_place(pass, group.token_row).masks, 0);
    for (int m = 0; m < group.masks; ++m)
      expect_place(group.token_row + 1 + m, group.accepted + 1, group.masks, m);
  }
}

TEST_P(RandomSizes, BlockLayouts) {
  const int size = any_size(), block = 1 + rng.below(10);
  const int cut = rng.below(2) * rng.below(block);
  const Tokens clean = random_tokens(rng, size), noised = random_tokens(rng, size);
  pass.begin_sequence();
  add_block_diffusion_training(pass, clean, noised, {block, block - cut});
  pass.begin_sequence();
  add_block_causal(pass, clean, {block, block - cut});
  pass.check();

  Tokens tokens = clean;
  tokens.insert(tokens.end(), noised.begin(), noised.end());
  std::vector<Place> keys;
  append(keys, 0, size);
  const Visible visible = [&](Place q, Place k) {
    const int query_block = (q.i + cut) / block, key_block = (k.i + cut) / block;
    if (q.part == 0) return k.part == 0 && key_block <= query_block;
    return k.part == 0 ? key_block < query_block : key_block == query_block;
  };
  expect_same(picture_of(pass, pass.sequences[1]), define(keys, 0, clean, place_of, visible));
  append(keys, 1, size);
  expect_same(picture_of(pass, pass.sequences[0]), define(keys, 0, tokens, place_of, visible));
}

TEST_P(RandomSizes, BlockBehindACache) {
  const int length = rng.below(2) * rng.below(150), block = 1 + rng.below(10);
  const Tokens tokens = random_tokens(rng, length + block);
  const SequenceCache cache = cache_of(length, block);
  pass.begin_sequence(cache);
  add_block(pass, std::span(tokens).subspan(static_cast<size_t>(length)), Keep::page);
  pass.check();
  std::vector<Place> keys;
  append(keys, 0, length + block);
  expect_same(picture_of(pass, pass.sequences[0]),
              define(keys, length, tokens, place_of, [](Place, Place) { return true; }));
}

// Documents start over: each is what it would be alone, wherever it stands in the pass.
TEST_P(RandomSizes, PackedDocuments) {
  const int block = 1 + rng.below(10);
  std::vector<Tokens> texts;
  for (int i = 0; i < 4; ++i) texts.push_back(random_tokens(rng, any_size()));
  const auto add_document = [&](Pass& to, const Tokens& text) {
    to.begin_sequence();
    add_tidar_training(to, text, block, kMask);
  };
  for (const Tokens& text : texts) add_document(pass, text);
  pass.check();
  ASSERT_EQ(pass.sequences.size(), texts.size());
  int32_t first_row = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    Pass alone;
    add_document(alone, texts[i]);
    EXPECT_EQ(pass.sequences[i].first_row, first_row);
    first_row += 2 * static_cast<int32_t>(texts[i].size());
    expect_same(picture_of(pass, pass.sequences[i]), picture_of(alone, alone.sequences[0]));
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomSizes, testing::Range<uint64_t>(0, 40));

TEST(LayoutsDeathTest, StopAtImpossibleRequests) {
  PagePool pool(1);
  SequenceCache cache(pool);
  ASSERT_TRUE(cache.reserve(4));
  Pass pass;
  pass.begin_sequence(cache);
  const Tokens tokens{1, 2};
  std::vector<MaskGroup> groups{{.accepted = 3, .masks = 1}};
  EXPECT_DEATH(add_tidar_step(pass, tokens, kMask, groups), "group.accepted <=");
  groups[0].accepted = 0;
  EXPECT_DEATH(add_tidar_step(pass, tokens, kMask, groups), "group.accepted >= 1");
  groups.clear();
  std::vector<GuessedGroup> guessed{{.accepted = 2}};
  EXPECT_DEATH(add_tidar_step(pass, tokens, kMask, groups, guessed), "group.accepted <");
  guessed[0].accepted = 0;
  EXPECT_DEATH(add_tidar_step(pass, tokens, kMask, groups, guessed), "group.accepted >= 1");
  EXPECT_DEATH(add_block_diffusion_training(pass, tokens, Tokens{1}, 2), "size >= clean");
  add_causal(pass, tokens, Keep::page);
  EXPECT_DEATH(add_bidirectional(pass, tokens), "next_key");
}

}  // namespace
}  // namespace tidar
