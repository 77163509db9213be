// Blocks that start at anchors: every mask of every block against the definition.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

#include "train/objective_testing.h"

namespace tidar {
namespace {

template <class Body>
void for_anchored_cases(Body&& body) {
  for (uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng(seed);
    ObjectiveCase one = random_case(rng, ObjectiveKind::tidar);
    one.options.masking = Masking::full;
    one.options.block_start = BlockStart::anchors;
    one.options.block_end = rng.below(2) == 0 ? BlockEnd::cut : BlockEnd::whole;
    if (rng.below(2) == 0) one.options.block_sizes = {1, one.options.block_size};
    body(one);
    if (testing::Test::HasFailure()) return;
  }
}

// The text, with what follows it; -1: nothing that may be learnt.
Ids learnt_tokens(const ObjectiveCase& one, const Document& document) {
  Ids learnt(document.tokens.begin(), document.tokens.end());
  learnt.push_back(document.next);
  for (int32_t i = 0; i < static_cast<int32_t>(learnt.size()); ++i) {
    int32_t& token = learnt[static_cast<size_t>(i)];
    if (is_given(one, document, i) || token == kMask) token = -1;
  }
  return learnt;
}

// What stands behind the clean tokens of one document.
struct Anchored {
  Ids anchors;
  Ids sizes;
};

// Reads the blocks of a sequence and holds each row against its block.
Anchored read_blocks(const Pass& pass, const PassSequence& sequence, int32_t clean) {
  Anchored found;
  for (int32_t key = clean; key < sequence.rows;) {
    const auto first = static_cast<size_t>(sequence.first_row + key);
    const Sight sight = pass.sights[first];
    const int32_t anchor = sight.prefix.to, masks = sight.block.size();
    EXPECT_EQ(sight, (Sight{{0, anchor}, {key, key + masks}}));
    if (masks < 1 || key + masks > sequence.rows) {
      ADD_FAILURE() << "no whole block at key " << key << "\n" << pass.picture();
      return found;
    }
    for (int32_t m = 0; m < masks; ++m) {
      const size_t row = first + static_cast<size_t>(m);
      EXPECT_EQ(pass.sights[row], sight);
      EXPECT_EQ(pass.tokens[row], kMask);
      EXPECT_EQ(pass.positions[row], anchor + m);
      EXPECT_EQ(pass.keeps[row], Keep::scratch);
    }
    found.anchors.push_back(anchor);
    found.sizes.push_back(masks);
    key += masks;
  }
  return found;
}

TEST(Anchors, BlocksSeeTheTextBeforeThemAndThemselves) {
  for_anchored_cases([](const ObjectiveCase& one) {
    const auto passes = one.passes();
    for (size_t p = 0; p < passes.size(); ++p) {
      const Pass& pass = passes[p].pass;
      pass.check();
      int tokens = 0;
      for (size_t d = 0; d < one.packs[p].size(); ++d) {
        const Document& document = one.packs[p][d];
        const PassSequence& sequence = pass.sequences[d];
        const auto size = static_cast<int32_t>(document.tokens.size());
        tokens += size;
        for (int32_t i = 0; i < size; ++i) {
          const auto row = static_cast<size_t>(sequence.first_row + i);
          EXPECT_EQ(pass.sights[row], (Sight{{0, i + 1}, {}}));
          EXPECT_EQ(pass.tokens[row], document.tokens[static_cast<size_t>(i)]);
          EXPECT_EQ(pass.positions[row], i);
        }
        const Anchored blocks = read_blocks(pass, sequence, size);
        Ids learnt = learnt_tokens(one, document);
        learnt.pop_back();
        const auto begin =
            std::find_if(learnt.begin(), learnt.end(), [](int32_t token) { return token >= 0; });
        if (begin == learnt.end()) {
          EXPECT_TRUE(blocks.anchors.empty());
          continue;
        }
        // The first one begins with what is learnt; none is there twice, or in a prompt.
        ASSERT_FALSE(blocks.anchors.empty());
        EXPECT_EQ(blocks.anchors[0], begin - learnt.begin());
        EXPECT_TRUE(std::is_sorted(blocks.anchors.begin(), blocks.anchors.end()));
        EXPECT_EQ(std::adjacent_find(blocks.anchors.begin(), blocks.anchors.end()),
                  blocks.anchors.end());
        for (const int32_t anchor : blocks.anchors) {
          EXPECT_GE(learnt[static_cast<size_t>(anchor)], 0);
        }
        // As large and as many as there may be.
        const auto most = std::count_if(begin, learnt.end(), [](int32_t id) { return id >= 0; });
        bool fits = false;
        const std::vector<int>& sizes = one.options.block_sizes;
        for (const int of_size : sizes.empty() ? std::vector{one.options.block_size} : sizes) {
          const int32_t whole = std::min(of_size, size);
          bool all = std::ssize(blocks.anchors) == std::min<int64_t>(most, size / whole);
          for (size_t b = 0; b < blocks.sizes.size(); ++b) {
            const int32_t left = size - blocks.anchors[b];
            const bool is_cut = one.options.block_end == BlockEnd::cut;
            all = all && blocks.sizes[b] == (is_cut ? std::min(whole, left) : whole);
          }
          fits = fits || all;
        }
        EXPECT_TRUE(fits) << pass.picture();
      }
      const PassExtent largest = one.objective()->largest_pass(tokens);
      EXPECT_LE(pass.rows(), largest.rows);
      for (const int32_t position : pass.positions) EXPECT_LT(position, largest.positions);
    }
  });
}

TEST(Anchors, MasksAreHeldAgainstTheTokensOfTheirPlaces) {
  for_anchored_cases([](const ObjectiveCase& one) {
    const auto passes = one.passes();
    double total = 0;
    for (const TrainingPass& pass : passes) {
      for (const LabelShare& share : pass.shares) {
        if (share.term == 1) total += place_weight(one.options, share.place);
      }
    }
    for (size_t p = 0; p < passes.size(); ++p) {
      const Pass& pass = passes[p].pass;
      std::vector<int> label_of(static_cast<size_t>(pass.rows()), -1);
      for (size_t i = 0; i < passes[p].labels.size(); ++i) {
        int& at = label_of[static_cast<size_t>(passes[p].labels[i].row)];
        EXPECT_EQ(at, -1) << "two labels of one row";
        at = static_cast<int>(i);
      }
      for (size_t d = 0; d < one.packs[p].size(); ++d) {
        const PassSequence& sequence = pass.sequences[d];
        const Document& document = one.packs[p][d];
        const Ids learnt = learnt_tokens(one, document);
        for (int32_t key = 0; key < sequence.rows; ++key) {
          const auto row = static_cast<size_t>(sequence.first_row + key);
          const bool is_mask = key >= std::ssize(document.tokens);
          const auto place = static_cast<size_t>(pass.positions[row] + (is_mask ? 0 : 1));
          const int32_t token = place < learnt.size() ? learnt[place] : -1;
          ASSERT_EQ(label_of[row] >= 0, token >= 0) << "key " << key << "\n" << pass.picture();
          if (token < 0) continue;
          const auto i = static_cast<size_t>(label_of[row]);
          EXPECT_EQ(passes[p].labels[i].token, token);
          const LabelShare& share = passes[p].shares[i];
          EXPECT_EQ(share.term, is_mask ? 1 : 0);
          const int32_t m = key - pass.sights[row].block.from;
          EXPECT_EQ(share.place, is_mask ? m : -1);
          if (is_mask) {
            EXPECT_NEAR(double{share.share}, place_weight(one.options, m) / total, 1e-6);
          }
        }
      }
    }
  });
}

// Of 40 tokens, 7 of 39 besides the first: deviations of a count of 2000 are 17.
TEST(Anchors, AllChoicesAreEquallyLikely) {
  const Ids text(kLongest, 3);
  ObjectiveCase one;
  one.options = {.kind = ObjectiveKind::tidar, .mask_token = kMask, .block_size = 5};
  one.options.block_start = BlockStart::anchors;
  one.packs = {{{text}}};
  std::vector<int> seen(kLongest, 0);
  for (one.seed.step = 0; one.seed.step < 2000; ++one.seed.step) {
    const TrainingPass pass = std::move(one.passes()[0]);
    const Anchored blocks = read_blocks(pass.pass, pass.pass.sequences[0], kLongest);
    for (const int32_t anchor : blocks.anchors) ++seen[static_cast<size_t>(anchor)];
  }
  EXPECT_EQ(seen[0], 2000);
  for (size_t i = 1; i < seen.size(); ++i) EXPECT_NEAR(seen[i], 2000.0 * 7 / 39, 5 * 17) << i;
}

// Questions of 50 to 200 tokens whose answers have 20 to 150, in blocks of 4, 8 and 16.
double share_of_masks_with_labels(BlockStart start) {
  ObjectiveOptions options = {.kind = ObjectiveKind::tidar, .mask_token = kMask};
  options.block_sizes = {4, 8, 16};
  options.block_start = start;
  options.block_end = BlockEnd::whole;
  options.prompts = Prompts::given;
  const auto objective = std::move(make_objective(options, {350, kVocabulary}).value());
  Rng rng(1);
  std::vector<Ids> texts;
  std::vector<Document> documents;
  for (int i = 0; i < 300; ++i) {
    const int32_t prompt = 50 + rng.below(151);
    texts.emplace_back(static_cast<size_t>(prompt + 20 + rng.below(131)), 3);
    documents.push_back({texts.back(), -1, prompt});
  }
  const std::vector<std::vector<Document>> packs = {documents};
  const TrainingPass pass = std::move(lay_out_step(*objective, packs, {1, 2})[0]);
  const auto masks = std::count(pass.pass.tokens.begin(), pass.pass.tokens.end(), kMask);
  const auto labels = std::count_if(pass.shares.begin(), pass.shares.end(),
                                    [](const LabelShare& share) { return share.term == 1; });
  return static_cast<double>(labels) / static_cast<double>(masks);
}

TEST(Anchors, FewMasksAreWithoutLabelBehindPrompts) {
  const double before = share_of_masks_with_labels(BlockStart::random);
  const double after = share_of_masks_with_labels(BlockStart::anchors);
  std::printf("    masks with a label: %.0f %% in blocks one after another, %.0f %% at anchors\n",
              100 * before, 100 * after);
  EXPECT_LT(before, 0.5);
  EXPECT_GT(after, 0.9);
}

TEST(Anchors, OnlyBlocksThatAreAllMasksHaveThem) {
  ObjectiveOptions options = parse_objective("block:4").value();
  options.mask_token = kMask;
  options.block_start = BlockStart::anchors;
  const auto refused = [&] {
    const auto made = make_objective(options, {kLongest, kVocabulary});
    return made.ok() ? "" : made.error().message;
  };
  EXPECT_NE(refused().find("block: only blocks of tidar"), std::string::npos) << refused();
  options.kind = ObjectiveKind::tidar;
  EXPECT_EQ(refused(), "");
  options.masking = Masking::random;
  EXPECT_NE(refused().find("all masks"), std::string::npos) << refused();
}

}  // namespace
}  // namespace tidar
