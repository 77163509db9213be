// What must hold of every network on every backend, in every precision, bit by bit: what a row
// gives depends on what it sees, and on nothing else. Random models of all families, contexts
// across the borders of panels, tiles and pages.

#include <algorithm>
#include <cmath>
#include <limits>
#include <list>
#include <numeric>
#include <optional>

#include "net/network_testing.h"

namespace tidar {
namespace {

class NetworkProperties : public NetworkSuite {
 protected:
  // Calls body(rng, network, vocabulary) for a random model of each family.
  template <class Body>
  void for_each_model(uint64_t seed, Body&& body) {
    for (int kind = 0; kind < kModelKinds; ++kind) {
      SCOPED_TRACE(testing::Message() << "seed " << seed << ", model kind " << kind);
      Rng rng(seed * kModelKinds + static_cast<uint64_t>(kind));
      const ModelConfig config = random_model(rng, kind);
      NetworkOnBackend on(config, ModelWeights::random(config, DType::f32, rng.bits()), GetParam());
      body(rng, on, config.vocabulary);
      if (HasFatalFailure()) return;
    }
  }
};

std::span<const int32_t> first(const Tokens& tokens, int count) {
  return std::span(tokens).first(static_cast<size_t>(count));
}

// Property 1 of training, and property 2.
TEST_P(NetworkProperties, TrainingIsAPlainCausalPassAndBlocksAlone) {
  for_each_model(11, [](Rng& rng, NetworkOnBackend& on, int vocabulary) {
    for (const int block : {1, 3, 4, 16}) {
      const int size = 1 + rng.below(100);
      SCOPED_TRACE(testing::Message() << "S " << size << ", K " << block);
      const Tokens tokens = random_tokens(rng, size, vocabulary);
      Pass pass;
      pass.begin_sequence();
      add_tidar_training(pass, tokens, block, kMaskToken);
      const Logits training = on.logits(pass);

      auto cache = on.cache(size);
      expect_equal(rows_of(training, 0, size), on.prefill(cache, tokens));
      const int chosen = rng.below((size + block - 1) / block);
      for (const int b : {0, chosen, (size - 1) / block}) {
        const int masks = std::min(block, size - b * block);
        expect_equal(rows_of(training, size + b * block, masks),
                     masks_behind(on, first(tokens, b * block), masks));
      }
    }
  });
}

// Property 3.
TEST_P(NetworkProperties, GroupsOfAStepAreBlocksBehindTheirDrafts) {
  for_each_model(12, [](Rng& rng, NetworkOnBackend& on, int vocabulary) {
    for (const int size : {1, 2, 4, 8}) {
      const int length = 1 + rng.below(140);
      SCOPED_TRACE(testing::Message() << "L " << length << ", K " << size);
      const Tokens text = random_tokens(rng, length + size, vocabulary);
      auto cache = on.cache(length + size);
      on.prefill(cache, first(text, length));
      std::vector<MaskGroup> groups;
      for (int j = 1; j <= size; ++j) {
        if (j == 1 || rng.below(3) != 0) groups.push_back({j, 1 + rng.below(size), 0});
      }
      Pass pass;
      pass.begin_sequence(cache);
      add_tidar_step(pass, std::span(text).subspan(static_cast<size_t>(length)), kMaskToken,
                     groups);
      const Logits step = on.logits(pass);

      auto plain = on.cache(length + size);
      expect_equal(rows_of(step, 0, size), rows_of(on.prefill(plain, text), length, size));
      for (const MaskGroup& group : groups) {
        SCOPED_TRACE(testing::Message() << "group " << group.accepted);
        expect_equal(rows_of(step, group.first_row, group.masks),
                     masks_behind(on, first(text, length + group.accepted), group.masks));
      }
    }
  });
}

// A model whose token 7 is not a number, and what its weights view.
struct BrokenModel {
  explicit BrokenModel(Rng& rng) : config(random_model(rng, 1)) {  // its head is not the embedding
    const ModelWeights good = ModelWeights::random(config, DType::f32, rng.bits());
    std::vector<StoredTensor> tensors;
    for (const WeightSpec& spec : weight_table(config)) {
      StoredTensor tensor = good.get(spec.role, spec.layer);
      data.emplace_back(tensor.data.begin(), tensor.data.end());
      tensor.data = data.back();
      tensors.push_back(std::move(tensor));
    }
    float* const row = reinterpret_cast<float*>(data.front().data()) + kToken * config.hidden;
    std::fill_n(row, config.hidden, std::numeric_limits<float>::quiet_NaN());
    weights.emplace(ModelWeights::of_memory(config, std::move(tensors)));
  }
  static constexpr int kToken = 7;
  ModelConfig config;
  std::list<std::vector<std::byte>> data;
  std::optional<ModelWeights> weights;
};

// Keys that a row does not see do not count, whatever they hold: those of later rows, of other
// sequences in the pass, and of sequences that had the pages before.
TEST_P(NetworkProperties, WhatIsNotSeenMayBeNoNumber) {
  Rng rng(15);
  const BrokenModel model(rng);
  NetworkOnBackend clean(model.config, *model.weights, GetParam());
  NetworkOnBackend on(model.config, *model.weights, GetParam());
  for (int round = 0; round < 4; ++round) {
    const int size = 1 + rng.below(90), broken_at = rng.below(size);
    SCOPED_TRACE(testing::Message() << size << " tokens, broken at " << broken_at);
    Tokens good = random_tokens(rng, size, model.config.vocabulary);
    std::replace(good.begin(), good.end(), BrokenModel::kToken, BrokenModel::kToken + 1);
    Tokens bad = good;
    bad[static_cast<size_t>(broken_at)] = BrokenModel::kToken;
    auto expected_cache = clean.cache(size);
    const Logits expected = clean.prefill(expected_cache, good);
    {
      auto cache = on.cache(size), beside = on.cache(size);
      Pass pass;
      pass.begin_sequence(cache);
      add_causal(pass, bad, Keep::page);
      add_masks(pass, 3);  // blocks at scratch slots that later passes use
      pass.begin_sequence(beside);
      add_causal(pass, good, Keep::page);
      const Logits rows = on.logits(pass);
      expect_equal(rows_of(rows, 0, broken_at), rows_of(expected, 0, broken_at));
      expect_equal(rows_of(rows, size + 3, size), expected);
      for (int row = broken_at; row < size + 3; ++row) {
        ASSERT_TRUE(std::isnan(rows[static_cast<size_t>(row)][0])) << row;
      }
    }
    auto cache = on.cache(size);  // the same pages again
    expect_equal(on.prefill(cache, good), expected);
    expect_equal(masks_behind(on, good, 5), masks_behind(clean, good, 5));
  }
}

// Each key by itself (a row that sees one key gives its value), then all of them.
Logits probe_keys(NetworkOnBackend& on, const SequenceCache& cache, int32_t token) {
  Pass pass;
  pass.begin_sequence(cache);
  for (int32_t key = 0; key < cache.length(); ++key) {
    pass.add_row(token, 5, {{key, key + 1}, {}}, Keep::scratch);
  }
  pass.add_row(token, cache.length(), {{0, cache.length()}, {}}, Keep::scratch);
  return on.logits(pass);
}

// Property 5, with drafts that are rejected and masks that are dropped on the way.
TEST_P(NetworkProperties, KeysAfterStepsAreThoseOfOnePrefill) {
  for_each_model(13, [](Rng& rng, NetworkOnBackend& on, int vocabulary) {
    constexpr int kRoom = 160;
    auto stepped = on.cache(kRoom);
    Tokens text = random_tokens(rng, 50, vocabulary);
    on.prefill(stepped, text);
    for (int step = 0; step < 12; ++step) {
      const int size = 1 + rng.below(6), accepted = 1 + rng.below(size);
      const Tokens drafts = random_tokens(rng, size, vocabulary);
      std::vector<MaskGroup> groups = {{1, size, 0}, {size, size, 0}};
      Pass pass;
      pass.begin_sequence(stepped);
      add_tidar_step(pass, drafts, kMaskToken, groups);
      on.logits(pass);
      stepped.commit(accepted);
      text.insert(text.end(), drafts.begin(), drafts.begin() + accepted);
    }
    auto plain = on.cache(kRoom);
    on.prefill(plain, text);
    ASSERT_EQ(stepped.length(), plain.length());
    expect_equal(probe_keys(on, stepped, text[0]), probe_keys(on, plain, text[0]));
  });
}

// ---- property 7: company and order ----

// One sequence of a pass in company, with the logits that it gives alone.
struct Member {
  SequenceCache cache;
  Tokens text;
  int kind = 0;
  int size = 0;
  Logits alone;
};

void add_member(Pass& pass, const Member& member) {
  const auto text = std::span(member.text);
  if (member.kind < 3) pass.begin_sequence(member.cache);
  if (member.kind >= 3) pass.begin_sequence();
  std::vector<MaskGroup> groups = {{1, member.size, 0}, {member.size, member.size, 0}};
  switch (member.kind) {
    case 0:
      add_causal(pass, text, Keep::page);
      add_masks(pass, member.size);
      break;
    case 1:
      add_tidar_step(pass, text.first(static_cast<size_t>(member.size)), kMaskToken, groups);
      break;
    case 2:
      add_block(pass, text, Keep::page);
      break;
    case 3:
      add_tidar_training(pass, text, member.size, kMaskToken);
      break;
    default:
      add_block_causal(pass, text, member.size);
      break;
  }
}

TEST_P(NetworkProperties, CompanyAndOrderOfSequencesDoNotMatter) {
  for_each_model(14, [](Rng& rng, NetworkOnBackend& on, int vocabulary) {
    std::vector<Member> members;
    for (int kind = 0; kind < 5; ++kind) {
      Member member{on.cache(180),
                    random_tokens(rng, 8 + rng.below(20), vocabulary),
                    kind,
                    1 + rng.below(7),
                    {}};
      on.prefill(member.cache, random_tokens(rng, 1 + rng.below(130), vocabulary));
      Pass pass;
      add_member(pass, member);
      member.alone = on.logits(pass);
      members.push_back(std::move(member));
    }
    std::vector<size_t> order(members.size());
    std::iota(order.begin(), order.end(), size_t{0});
    for (int round = 0; round < 2; ++round) {
      for (size_t i = order.size() - 1; i > 0; --i) {
        std::swap(order[i], order[static_cast<size_t>(rng.below(static_cast<int>(i) + 1))]);
      }
      Pass pass;
      for (const size_t member : order) add_member(pass, members[member]);
      const Logits together = on.logits(pass);
      for (size_t i = 0; i < order.size(); ++i) {
        SCOPED_TRACE(testing::Message() << "kind " << members[order[i]].kind);
        const PassSequence& sequence = pass.sequences[i];
        expect_equal(rows_of(together, sequence.first_row, sequence.rows), members[order[i]].alone);
      }
    }
  });
}

TEST_P(NetworkProperties, OrderOfGroupsDoesNotMatter) {
  for_each_model(15, [](Rng& rng, NetworkOnBackend& on, int vocabulary) {
    constexpr int kDrafts = 4;
    auto cache = on.cache(120);
    on.prefill(cache, random_tokens(rng, 40 + rng.below(60), vocabulary));
    const Tokens drafts = random_tokens(rng, kDrafts, vocabulary);
    std::vector<MaskGroup> groups = {{1, 3, 0}, {2, 4, 0}, {3, 1, 0}, {4, 4, 0}};
    const auto run = [&](std::vector<MaskGroup>& order) {
      Pass pass;
      pass.begin_sequence(cache);
      add_tidar_step(pass, drafts, kMaskToken, order);
      return on.logits(pass);
    };
    const Logits sorted = run(groups);
    std::vector<MaskGroup> shuffled = {groups[2], groups[0], groups[3], groups[1]};
    const Logits other = run(shuffled);
    for (const MaskGroup& group : groups) {
      const auto same = std::find_if(shuffled.begin(), shuffled.end(), [&](const MaskGroup& g) {
        return g.accepted == group.accepted;
      });
      expect_equal(rows_of(other, same->first_row, group.masks),
                   rows_of(sorted, group.first_row, group.masks));
    }
  });
}

TEST_P(NetworkProperties, ThreadsDoNotMatter) {
  Rng rng(16);
  const ModelConfig config = random_model(rng, 1);
  const ModelWeights weights = ModelWeights::random(config, DType::f32, 5);
  const Tokens tokens = random_tokens(rng, 100, config.vocabulary);
  const auto run = [&](int threads) {
    NetworkOnBackend on(config, weights, GetParam(), threads);
    Pass pass;
    pass.begin_sequence();
    add_tidar_training(pass, tokens, 4, kMaskToken);
    return on.logits(pass);
  };
  expect_equal(run(1), run(3));
}

TIDAR_TEST_BACKENDS(NetworkProperties, all_backends());

}  // namespace
}  // namespace tidar
