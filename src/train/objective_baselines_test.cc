// Block and masked diffusion as their authors train them: clipped noise, end tokens behind texts,
// and labels of the row before.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "train/objective_testing.h"

namespace tidar {
namespace {

constexpr int32_t kEnd = 5;

bool ends(const Document& document) { return document.next < 0 && document.tokens.back() == kEnd; }

// A case with documents that end with the end token, and others.
ObjectiveCase ending_case(uint64_t seed, ObjectiveKind kind) {
  Rng rng(seed);
  ObjectiveCase one = random_case(rng, kind);
  one.options.end_token = kEnd;
  one.options.block_end = BlockEnd::whole;
  for (Ids& text : one.texts) {
    if (rng.below(2) == 0) text.back() = kEnd;
  }
  return one;
}

// A label by its row, and its share; the row's position.
struct Found {
  Label label;
  LabelShare share;
};

std::map<int32_t, Found> by_row(const TrainingPass& pass) {
  std::map<int32_t, Found> found;
  for (size_t i = 0; i < pass.labels.size(); ++i) {
    EXPECT_TRUE(found.emplace(pass.labels[i].row, Found{pass.labels[i], pass.shares[i]}).second);
  }
  return found;
}

// ---- noise ----

TEST(Baselines, NoiseStaysWithinItsLevels) {
  const Ids text(kLongest, 3);
  for (const auto kind : {ObjectiveKind::block_diffusion, ObjectiveKind::masked_diffusion}) {
    ObjectiveCase one;
    one.options = {.kind = kind, .mask_token = kMask, .block_size = 8};
    one.options.noise = {0.3, 0.8};
    one.packs = {{{text}}};
    double zeroth = 0, first = 0, second = 0;
    constexpr int kSteps = 2000;
    for (one.seed.step = 0; one.seed.step < kSteps; ++one.seed.step) {
      const TrainingPass pass = std::move(one.passes()[0]);
      for (const LabelShare& share : pass.shares) {
        const double t = 1 / (double{share.share} * kLongest);
        EXPECT_GE(t, 0.3 - 1e-6);
        EXPECT_LE(t, 0.8 + 1e-6);
        zeroth += double{share.share} / kSteps;
        first += double{share.share} * t / kSteps;
        second += double{share.share} * t * t / kSteps;
      }
    }
    // Each mask counts 1 / t: the mean is over tokens, whatever the levels. A step's sum deviates
    // by 0.2, and by 0.15 of its level.
    EXPECT_NEAR(zeroth, 1, 5 * 0.2 / 45);
    EXPECT_NEAR(first, 0.55, 5 * 0.15 / 45);
    EXPECT_NEAR(second, (0.512 - 0.027) / 1.5, 5 * 0.15 / 45);
  }
}

// ---- end tokens behind the text ----

// Noise is a function of the place, so nothing before the end changes but the number that the mean
// divides by.
TEST(Baselines, EndTokensFillTheLastBlock) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    ObjectiveCase one = ending_case(seed, ObjectiveKind::block_diffusion);
    const auto plain = one.passes();
    one.options.block_end = BlockEnd::end_tokens;
    const auto passes = one.passes();
    double plain_count = 0, count = 0;
    for (size_t p = 0; p < passes.size(); ++p) {
      for (size_t d = 0; d < one.packs[p].size(); ++d) {
        const Document& document = one.packs[p][d];
        const auto size = static_cast<int32_t>(document.tokens.size());
        for (int32_t i = 0; i < size; ++i) {
          const bool is_mask = document.tokens[static_cast<size_t>(i)] == kMask;
          plain_count += !is_mask && !is_given(one, document, i);
        }
        if (ends(document)) count += passes[p].pass.sequences[d].rows - 2 * size;
      }
    }
    count += plain_count;
    for (size_t p = 0; p < passes.size(); ++p) {
      const Pass& pass = passes[p].pass;
      ASSERT_EQ(pass.rows(), plain[p].pass.rows());
      const auto found = by_row(passes[p]), before = by_row(plain[p]);
      for (size_t d = 0; d < one.packs[p].size(); ++d) {
        const Document& document = one.packs[p][d];
        const PassSequence& sequence = pass.sequences[d];
        const auto size = static_cast<int32_t>(document.tokens.size());
        std::map<int32_t, double> level_of;  // by the key where the block begins
        for (int32_t key = 0; key < sequence.rows; ++key) {
          const int32_t row = sequence.first_row + key;
          const auto r = static_cast<size_t>(row);
          EXPECT_EQ(pass.sights[r], plain[p].pass.sights[r]);
          const bool has_label = found.contains(row);
          const bool is_behind = key >= 2 * size;
          if (!is_behind) {
            EXPECT_EQ(pass.tokens[r], plain[p].pass.tokens[r]);
            ASSERT_EQ(has_label, before.contains(row));
          } else if (ends(document)) {
            EXPECT_TRUE(pass.tokens[r] == kMask || pass.tokens[r] == kEnd);
            EXPECT_EQ(has_label, pass.tokens[r] == kMask);
          } else {
            EXPECT_EQ(pass.tokens[r], kMask);
            EXPECT_FALSE(has_label);
          }
          if (!has_label) continue;
          const Found& label = found.at(row);
          if (is_behind) {
            EXPECT_EQ(label.label.token, kEnd);
          } else {
            EXPECT_EQ(label.label.token, before.at(row).label.token);
            EXPECT_NEAR(double{label.share.share} * count,
                        double{before.at(row).share.share} * plain_count, 1e-2);
          }
          const double level = 1 / (double{label.share.share} * count);
          const auto [at, is_new] = level_of.emplace(pass.sights[r].block.from, level);
          EXPECT_NEAR(level, at->second, 1e-5) << "one level a block";
        }
      }
    }
  }
}

Ids ar_tokens(const TrainingPass& pass) {
  Ids tokens;
  for (size_t i = 0; i < pass.labels.size(); ++i) {
    if (pass.shares[i].term == 0) tokens.push_back(pass.labels[i].token);
  }
  return tokens;
}

TEST(Baselines, MasksOfTidarBehindTheEndAreEndTokens) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    ObjectiveCase one = ending_case(seed, ObjectiveKind::tidar);
    one.options.target.share = 0.5;
    if (seed % 3 == 0) {
      one.options.masking = Masking::full;
      one.options.block_start = BlockStart::anchors;
    }
    const auto plain = one.passes();
    one.options.block_end = BlockEnd::end_tokens;
    const auto passes = one.passes();
    for (size_t p = 0; p < passes.size(); ++p) {
      const Pass& pass = passes[p].pass;
      const auto found = by_row(passes[p]);
      for (size_t d = 0; d < one.packs[p].size(); ++d) {
        const Document& document = one.packs[p][d];
        const PassSequence& sequence = pass.sequences[d];
        const auto size = static_cast<int32_t>(document.tokens.size());
        for (int32_t key = size; key < sequence.rows; ++key) {
          const int32_t row = sequence.first_row + key;
          const auto r = static_cast<size_t>(row);
          const int32_t behind = pass.positions[r] - size;
          if (behind < 0) continue;
          int32_t token = ends(document) ? kEnd : -1;
          if (behind == 0 && document.next >= 0 && document.next != kMask &&
              one.options.masking == Masking::full && !is_given(one, document, size)) {
            token = document.next;
          }
          if (pass.tokens[r] != kMask) {
            EXPECT_EQ(one.options.masking, Masking::random);
            token = -1;
          }
          ASSERT_EQ(found.contains(row), token >= 0) << pass.picture();
          if (token < 0) continue;
          EXPECT_EQ(found.at(row).label.token, token);
          EXPECT_EQ(found.at(row).label.target.row < 0, token != document.next)
              << "what AR says behind the end is no target";
        }
      }
      // AR learns nothing of what stands there.
      EXPECT_EQ(ar_tokens(passes[p]), ar_tokens(plain[p]));
    }
  }
}

TEST(Baselines, PaddingIsReadAndPredictedAsText) {
  std::vector<int> seen(6, 0);
  for (uint64_t seed = 0; seed < 1200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    ObjectiveCase one = ending_case(seed, ObjectiveKind::masked_diffusion);
    one.options.padding = 5;
    const auto passes = one.passes();
    for (size_t p = 0; p < passes.size(); ++p) {
      const Pass& pass = passes[p].pass;
      pass.check();
      const auto found = by_row(passes[p]);
      int tokens = 0;
      for (size_t d = 0; d < one.packs[p].size(); ++d) {
        const Document& document = one.packs[p][d];
        const PassSequence& sequence = pass.sequences[d];
        const auto size = static_cast<int32_t>(document.tokens.size());
        tokens += size;
        const int32_t added = sequence.rows - size;
        EXPECT_LE(added, ends(document) ? std::min(5, size) : 0);
        if (ends(document) && size >= 5) ++seen[static_cast<size_t>(added)];
        for (int32_t i = 0; i < sequence.rows; ++i) {
          const int32_t row = sequence.first_row + i;
          const auto r = static_cast<size_t>(row);
          EXPECT_EQ(pass.sights[r], (Sight{{}, {0, sequence.rows}}));
          EXPECT_EQ(pass.positions[r], i);
          const int32_t token = i < size ? document.tokens[static_cast<size_t>(i)] : kEnd;
          EXPECT_TRUE(pass.tokens[r] == token || pass.tokens[r] == kMask);
          EXPECT_EQ(found.contains(row), pass.tokens[r] == kMask && token != kMask);
          if (found.contains(row)) {
            EXPECT_EQ(found.at(row).label.token, token);
          }
        }
      }
      const PassExtent largest = one.objective()->largest_pass(tokens);
      EXPECT_LE(pass.rows(), largest.rows);
      for (const int32_t position : pass.positions) EXPECT_LT(position, largest.positions);
    }
  }
  const int all = seen[0] + seen[1] + seen[2] + seen[3] + seen[4] + seen[5];
  EXPECT_GT(all, 500);
  for (const int count : seen) {
    EXPECT_NEAR(count, all / 6.0, 5 * std::sqrt(all * 5.0 / 36)) << "each number as often";
  }
}

// ---- labels of the row before ----

TEST(Baselines, TheRowBeforePredictsATokenThatItDoesNotSee) {
  for (uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const auto kind =
        seed % 2 == 0 ? ObjectiveKind::block_diffusion : ObjectiveKind::masked_diffusion;
    ObjectiveCase one = ending_case(seed, kind);
    one.options.block_end = BlockEnd::end_tokens;
    one.options.padding = 4;
    const auto plain = one.passes();
    one.options.label_shift = LabelShift::one;
    const auto passes = one.passes();
    for (size_t p = 0; p < passes.size(); ++p) {
      const Pass& pass = passes[p].pass;
      ASSERT_EQ(pass.rows(), plain[p].pass.rows());
      // By sequence and place: the labels that there would be without the shift, less the first.
      std::map<std::pair<size_t, int32_t>, int32_t> expected, found;
      for (size_t d = 0; d < pass.sequences.size(); ++d) {
        const PassSequence& sequence = pass.sequences[d];
        const auto is_here = [&](int32_t row) {
          return sequence.first_row <= row && row < sequence.first_row + sequence.rows;
        };
        for (const Label& label : plain[p].labels) {
          const int32_t place = plain[p].pass.positions[static_cast<size_t>(label.row)];
          if (is_here(label.row) && place > 0) expected[{d, place}] = label.token;
        }
        const bool two_halves = kind == ObjectiveKind::block_diffusion;
        const int32_t clean = two_halves ? static_cast<int32_t>(one.packs[p][d].tokens.size()) : 0;
        for (const Label& label : passes[p].labels) {
          if (!is_here(label.row)) continue;
          const auto row = static_cast<size_t>(label.row);
          const int32_t place = pass.positions[row] + 1;
          EXPECT_TRUE(found.emplace(std::pair{d, place}, label.token).second);
          // The token is masked where it is read, and in the clean half it is not seen.
          const auto own = static_cast<size_t>(sequence.first_row + clean + place);
          EXPECT_EQ(pass.tokens[own], kMask);
          if (two_halves) {
            EXPECT_FALSE(pass.sights[row].sees(place) && place < clean);
          }
          const Sight& of_own = pass.sights[own];
          const bool is_first = two_halves && of_own.block.from == clean + place;
          EXPECT_EQ(label.row - sequence.first_row, is_first ? place - 1 : clean + place - 1);
          if (is_first) {
            EXPECT_EQ(pass.sights[row].block.to, place) << "all text before the block";
          }
        }
        EXPECT_NE(pass.tokens[static_cast<size_t>(sequence.first_row + clean)],
                  one.packs[p][d].tokens[0] == kMask ? -1 : kMask);
      }
      EXPECT_EQ(found, expected);
    }
  }
}

// ---- what is refused ----

TEST(Baselines, OptionsThatMakeNoSenseAreRefused) {
  const auto refused = [](auto&& change) {
    ObjectiveOptions options = parse_objective("block:4").value();
    options.mask_token = kMask;
    change(options);
    const auto made = make_objective(options, {kLongest, kVocabulary});
    return made.ok() ? std::string() : made.error().message;
  };
  const auto says = [](const std::string& message, const char* part) {
    return message.find(part) != std::string::npos;
  };
  for (const NoiseRange range : {NoiseRange{0, 1}, {0.5, 0.4}, {0.5, 1.1}}) {
    EXPECT_TRUE(
        says(refused([&](ObjectiveOptions& o) { o.noise = range; }), "above 0 and up to 1"));
  }
  EXPECT_EQ(refused([](ObjectiveOptions& o) { o.noise = {0.5, 0.5}; }), "");
  const auto end_tokens = [](int id) {
    return [=](ObjectiveOptions& o) {
      o.block_end = BlockEnd::end_tokens;
      o.end_token = id;
    };
  };
  EXPECT_TRUE(says(refused(end_tokens(-1)), "none is named"));
  EXPECT_TRUE(says(refused(end_tokens(kVocabulary)), "in the vocabulary (0 to 49)"));
  EXPECT_TRUE(says(refused(end_tokens(kMask)), "not the mask token 49"));
  EXPECT_EQ(refused(end_tokens(kEnd)), "");
  EXPECT_TRUE(says(refused([](ObjectiveOptions& o) { o.padding = -1; }), "padding is -1"));
  EXPECT_TRUE(says(refused([](ObjectiveOptions& o) { o.padding = 3; }), "none is named"));
  EXPECT_TRUE(says(refused([](ObjectiveOptions& o) {
                     o.kind = ObjectiveKind::tidar;
                     o.label_shift = LabelShift::one;
                   }),
                   "block and masked"));
}

TEST(Baselines, ValidationMeasuresTheTextAtEveryLevel) {
  ObjectiveOptions options;
  options.noise = {0.3, 0.8};
  options.padding = 7;
  options.block_end = BlockEnd::end_tokens;
  const ObjectiveOptions found = measured(options);
  EXPECT_EQ(found.noise.low, NoiseRange().low);
  EXPECT_EQ(found.noise.high, 1);
  EXPECT_EQ(found.padding, 0);
  EXPECT_EQ(found.block_end, BlockEnd::whole);
  EXPECT_EQ(measured({}).block_end, BlockEnd::cut);
}

}  // namespace
}  // namespace tidar
