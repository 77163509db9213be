#include "train/objective.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "train/objective_testing.h"

namespace tidar {
namespace {

// Some cross-entropy of every row and token.
double cross_entropy(size_t pass, int32_t row, int32_t token) {
  const auto counter = static_cast<uint64_t>(row) << 32 | static_cast<uint32_t>(token);
  return 10 * double{open_unit(philox(7, pass, counter)[0])};
}

std::vector<double> losses_of(const TrainingPass& pass, size_t index) {
  std::vector<double> losses;
  for (const Label& label : pass.labels) {
    losses.push_back(cross_entropy(index, label.row, label.token));
  }
  return losses;
}

// A mean that is still being summed up.
struct Mean {
  double sum = 0;
  double count = 0;
  void add(double value, double weight = 1) { sum += weight * value, count += weight; }
  double value() const { return count == 0 ? 0 : sum / count; }
};

// The terms of TiDAR's and AR's losses, word by word from their definition.
struct Terms {
  Mean ar, diffusion;
};

Terms define_terms(const ObjectiveCase& one, const std::vector<TrainingPass>& passes) {
  Terms terms;
  const ObjectiveOptions& options = one.options;
  for (size_t p = 0; p < one.packs.size(); ++p) {
    int32_t row = 0;
    for (size_t d = 0; d < one.packs[p].size(); ++d) {
      const Document& document = one.packs[p][d];
      const auto size = static_cast<int32_t>(document.tokens.size());
      Ids text(document.tokens.begin(), document.tokens.end());
      if (document.next >= 0) text.push_back(document.next);
      for (int32_t i = 1; i < static_cast<int32_t>(text.size()); ++i) {
        const int32_t token = text[static_cast<size_t>(i)];
        if (is_given(one, document, i) || token == options.mask_token) continue;
        terms.ar.add(cross_entropy(p, row + i - 1, token));
      }
      row += size;
      if (options.kind == ObjectiveKind::ar) continue;
      for (int32_t i = 0; i < size; ++i) {
        if (is_given(one, document, i)) continue;
        const int32_t token = text[static_cast<size_t>(i)];
        const int32_t read = passes[p].pass.tokens[static_cast<size_t>(row + i)];
        if (token == kMask || read != kMask) continue;
        const PassSequence& sequence = passes[p].pass.sequences[d];
        const Sight& sight = passes[p].pass.sights[static_cast<size_t>(row + i)];
        const int32_t place = sequence.key_of_row(row + i) - sight.block.from;
        terms.diffusion.add(cross_entropy(p, row + i, token), place_weight(options, place));
      }
      row += size;
    }
  }
  return terms;
}

TEST(Objective, ArAndTidarAreTheMeansOfTheirDefinition) {
  for_random_cases([](const ObjectiveCase& one) {
    const ObjectiveOptions& options = one.options;
    const bool is_ar = options.kind == ObjectiveKind::ar;
    if (!is_ar && options.kind != ObjectiveKind::tidar) return;
    const auto objective = one.objective();
    const auto passes = one.passes();
    std::vector<double> means(objective->terms().size(), 0.0);
    double weighted = 0;
    for (size_t p = 0; p < passes.size(); ++p) {
      const auto losses = losses_of(passes[p], p);
      add_term_means(passes[p], losses, means);
      for (size_t i = 0; i < losses.size(); ++i) {
        weighted += double{passes[p].labels[i].weight} * losses[i];
      }
    }
    const Terms terms = define_terms(one, passes);
    const double alpha = options.alpha;
    const double expected =
        is_ar ? terms.ar.value()
              : (alpha * terms.ar.value() + terms.diffusion.value()) / (1 + alpha);
    const double tolerance = 1e-6;  // weights are floats: 2^-24 of a loss of at most 10
    EXPECT_NEAR(weighted, expected, tolerance);
    EXPECT_NEAR(total_loss(objective->terms(), means), expected, tolerance);
    EXPECT_NEAR(means[0], terms.ar.value(), tolerance);
    if (!is_ar) {
      EXPECT_NEAR(means[1], terms.diffusion.value(), tolerance);
    }
  });
}

// The factor of a loss that all masks share does not depend on how the places of blocks are
// weighed.
TEST(Objective, PlacesThatDecayLeaveAlphaAsItIs) {
  const Ids text(kLongest, 3);
  ObjectiveOptions options = {.kind = ObjectiveKind::tidar, .mask_token = kMask, .block_size = 8};
  options.alpha = 3;
  const std::vector<std::vector<Document>> packs = {{{text, 3}}};
  for (const double decay : {0.0, 0.01, 4.0, 1000.0}) {
    options.place_decay = decay;
    const auto objective = std::move(make_objective(options, {kLongest, kVocabulary}).value());
    const TrainingPass pass = std::move(lay_out_step(*objective, packs, {1, 2})[0]);
    double ar = 0, diffusion = 0;
    for (size_t i = 0; i < pass.labels.size(); ++i) {
      (pass.shares[i].term == 0 ? ar : diffusion) += double{pass.labels[i].weight};
    }
    EXPECT_NEAR(ar, 0.75, 1e-6) << decay;
    EXPECT_NEAR(diffusion, 0.25, 1e-6) << decay;
  }
  EXPECT_EQ(measured(options).place_decay, 0);
}

// Places whose weights vanish are no label at all, rather than a loss that is no number.
TEST(Objective, WeightsThatVanishAreNone) {
  const Ids text(8, 3);
  ObjectiveOptions options = {.kind = ObjectiveKind::tidar, .mask_token = kMask, .block_size = 8};
  options.place_decay = 1e-3;
  options.prompts = Prompts::given;
  const auto objective = std::move(make_objective(options, {8, kVocabulary}).value());
  const TrainingPass pass = std::move(lay_out_step(*objective, {{{{text, -1, 2}}}}, {1, 2})[0]);
  for (size_t i = 0; i < pass.labels.size(); ++i) {
    EXPECT_EQ(pass.labels[i].weight, pass.shares[i].term == 0 ? pass.labels[0].weight : 0);
  }
}

// Which tokens a row of the document reads, and whether it may see another, by the table of the
// paper; `first` tokens are in block 0.
struct Definition {
  const ObjectiveCase& one;
  int32_t size;
  int32_t first;

  int32_t block(int32_t i) const {
    return (i + one.options.block_size - first) / one.options.block_size;
  }
  bool sees(int32_t row, int32_t key) const {
    const bool second_row = row >= size, second_key = key >= size;
    const int32_t p = row % size, k = key % size;
    switch (one.options.kind) {
      case ObjectiveKind::ar:
        return k <= p;
      case ObjectiveKind::tidar:
        if (!second_row) return !second_key && k <= p;
        break;
      case ObjectiveKind::block_diffusion:
        if (!second_row) return !second_key && block(k) <= block(p);
        break;
      case ObjectiveKind::masked_diffusion:
        return true;
    }
    return second_key ? block(k) == block(p) : block(k) < block(p);
  }
};

bool sights_fit(const TrainingPass& pass, const PassSequence& sequence,
                const Definition& definition) {
  for (int32_t row = 0; row < sequence.rows; ++row) {
    const Sight& sight = pass.pass.sights[static_cast<size_t>(sequence.first_row + row)];
    for (int32_t key = 0; key < sequence.rows; ++key) {
      if (sight.sees(key) != definition.sees(row, key)) return false;
    }
  }
  return true;
}

TEST(Objective, RowsSeeWhatTheirMethodShows) {
  for_random_cases([](const ObjectiveCase& one) {
    const auto passes = one.passes();
    const auto objective = one.objective();
    const bool any_start = one.options.block_start == BlockStart::random;
    for (size_t p = 0; p < passes.size(); ++p) {
      const Pass& pass = passes[p].pass;
      pass.check();
      ASSERT_EQ(pass.sequences.size(), one.packs[p].size());
      for (size_t d = 0; d < one.packs[p].size(); ++d) {
        const PassSequence& sequence = pass.sequences[d];
        const auto size = static_cast<int32_t>(one.packs[p][d].tokens.size());
        ASSERT_EQ(sequence.rows, objective->largest_pass(size).rows);
        bool fits = false;
        const int32_t block = one.options.block_size;
        for (int32_t first = any_start ? 1 : block; first <= block; ++first) {
          fits = fits || sights_fit(passes[p], sequence, {one, size, first});
        }
        EXPECT_TRUE(fits) << pass.picture();
        for (int32_t row = 0; row < sequence.rows; ++row) {
          const auto r = static_cast<size_t>(sequence.first_row + row);
          EXPECT_EQ(pass.positions[r], row % size);
          EXPECT_EQ(pass.keeps[r], Keep::scratch);
        }
      }
    }
  });
}

// The row that holds token i of a document for the diffusion term, or reads it clean.
TEST(Objective, RowsReadTheTextOrMasks) {
  for_random_cases([](const ObjectiveCase& one) {
    const ObjectiveOptions& options = one.options;
    const auto passes = one.passes();
    for (size_t p = 0; p < passes.size(); ++p) {
      std::vector<const Label*> label_of(static_cast<size_t>(passes[p].pass.rows()));
      for (const Label& label : passes[p].labels) {
        EXPECT_EQ(label_of[static_cast<size_t>(label.row)], nullptr) << "two labels of one row";
        label_of[static_cast<size_t>(label.row)] = &label;
        EXPECT_NE(label.token, options.mask_token);
        EXPECT_GE(label.token, 0);
      }
      for (size_t d = 0; d < one.packs[p].size(); ++d) {
        const Document& document = one.packs[p][d];
        const PassSequence& sequence = passes[p].pass.sequences[d];
        const auto size = static_cast<int32_t>(document.tokens.size());
        for (int32_t row = 0; row < sequence.rows; ++row) {
          const auto r = static_cast<size_t>(sequence.first_row + row);
          const int32_t i = row % size, token = document.tokens[static_cast<size_t>(i)];
          const int32_t read = passes[p].pass.tokens[r];
          const bool denoises = options.kind == ObjectiveKind::masked_diffusion || row >= size;
          const bool learnt = token != kMask && !is_given(one, document, i);
          if (!denoises) {
            EXPECT_EQ(read, token);
            continue;
          }
          const bool all_masks =
              options.kind == ObjectiveKind::tidar && options.masking == Masking::full;
          if (all_masks) {
            EXPECT_EQ(read, kMask);
          } else {
            EXPECT_TRUE(read == token || (learnt && read == kMask));
          }
          const bool has_label = learnt && read == kMask;
          ASSERT_EQ(label_of[r] != nullptr, has_label) << "row " << row << " of document " << d;
          if (has_label) {
            EXPECT_EQ(label_of[r]->token, token);
          }
        }
      }
    }
  });
}

// ---- noise ----

// Sums over many steps of one long document, by moments of the noise level t: every mask counts
// 1 / t, so the sum of share * t^n over labels has the mean of t^n.
struct NoiseMoments {
  double zeroth = 0, first = 0, second = 0;
};

// `prompt` tokens are given, and take no part in the mean.
NoiseMoments noise_moments_of(ObjectiveKind kind, int block_size, int prompt, int steps) {
  Ids text(kLongest, 3);
  ObjectiveOptions options;
  options.kind = kind;
  options.prompts = Prompts::given;
  options.mask_token = kMask;
  options.block_size = block_size;
  const auto objective = std::move(make_objective(options, {kLongest, kVocabulary}).value());
  const std::vector<std::vector<Document>> packs = {{{text, -1, prompt}}};
  NoiseMoments moments;
  for (int step = 0; step < steps; ++step) {
    const auto passes = lay_out_step(*objective, packs, {5, static_cast<uint64_t>(step)});
    for (const LabelShare& share : passes[0].shares) {
      const double t = 1 / (double{share.share} * (kLongest - prompt));
      EXPECT_GE(t, 0.00099);
      EXPECT_LE(t, 1.00001);
      moments.zeroth += double{share.share} / steps;
      moments.first += double{share.share} * t / steps;
      moments.second += double{share.share} * t * t / steps;
    }
  }
  return moments;
}

// Deviations of a mean over 4000 steps, of which five are allowed. In the worst case, one block,
// the first and second moments of a step deviate by 0.3 (as t and t^2 do), so their means by 0.005.
// The variance of the zeroth is E[(1 - t) / t] / 40 = (log 1000 - 1) / 40: its mean deviates by
// 0.006.
TEST(Objective, NoiseLevelsAreUniformAndWeighedByTheirInverse) {
  using enum ObjectiveKind;
  for (const auto& [kind, block, prompt] : {std::tuple{masked_diffusion, 1, 0},
                                            {masked_diffusion, 1, 15},
                                            {block_diffusion, 1, 0},
                                            {block_diffusion, 7, 0},
                                            {block_diffusion, 7, 10},
                                            {block_diffusion, kLongest, 0}}) {
    SCOPED_TRACE(testing::Message()
                 << "kind " << static_cast<int>(kind) << ", K " << block << ", prompt " << prompt);
    const NoiseMoments moments = noise_moments_of(kind, block, prompt, 4000);
    EXPECT_NEAR(moments.zeroth, 1, 0.03);
    EXPECT_NEAR(moments.first, 1.0 / 2, 0.025);
    EXPECT_NEAR(moments.second, 1.0 / 3, 0.025);
  }
}

// Labels of one block share their level; blocks have levels of their own.
TEST(Objective, EveryBlockHasOneLevel) {
  Ids text(kLongest, 3);
  ObjectiveOptions options = parse_objective("block:8").value();
  options.mask_token = kMask;
  const auto objective = std::move(make_objective(options, {kLongest, kVocabulary}).value());
  const std::vector<std::vector<Document>> packs = {{{text, -1, 0}}};
  int different = 0;
  for (uint64_t step = 0; step < 50; ++step) {
    const auto pass = std::move(lay_out_step(*objective, packs, {1, step})[0]);
    for (size_t i = 1; i < pass.labels.size(); ++i) {
      const bool same_block = pass.labels[i].row / 8 == pass.labels[i - 1].row / 8;
      const bool same_share = pass.shares[i].share == pass.shares[i - 1].share;
      if (same_block) {
        EXPECT_TRUE(same_share);
      }
      different += !same_block && !same_share;
    }
  }
  EXPECT_GT(different, 50);
}

TEST(Objective, StepsRepeatAndDiffer) {
  Rng rng(3);
  ObjectiveCase one = random_case(rng, ObjectiveKind::masked_diffusion);
  one.texts[0].assign(kLongest, 3);
  one.packs = {{{one.texts[0], -1, 0}}};
  const Ids tokens = one.passes()[0].pass.tokens;
  EXPECT_EQ(one.passes()[0].pass.tokens, tokens);
  ObjectiveCase other = one;
  other.seed.step += 1;
  EXPECT_NE(other.passes()[0].pass.tokens, tokens);
  other = one;
  other.seed.seed += 1;
  EXPECT_NE(other.passes()[0].pass.tokens, tokens);
}

TEST(Objective, DocumentsHaveNoiseOfTheirOwn) {
  Rng rng(4);
  ObjectiveCase one = random_case(rng, ObjectiveKind::masked_diffusion);
  const Ids text(kLongest, 3);
  one.packs = {{{text, -1, 0}, {text, -1, 0}}};
  const TrainingPass pass = std::move(one.passes()[0]);
  const auto second = pass.pass.tokens.begin() + kLongest;
  EXPECT_NE(Ids(pass.pass.tokens.begin(), second), Ids(second, pass.pass.tokens.end()));
}

// How a step is cut into passes changes neither rows nor weights.
TEST(Objective, PacksDoNotMatter) {
  for_random_cases([](const ObjectiveCase& one) {
    ObjectiveCase together = one;
    together.packs = {{}};
    for (const auto& pack : one.packs) {
      together.packs[0].insert(together.packs[0].end(), pack.begin(), pack.end());
    }
    const TrainingPass whole = std::move(together.passes()[0]);
    int32_t row = 0;
    size_t label = 0;
    for (const TrainingPass& part : one.passes()) {
      for (const int32_t token : part.pass.tokens) {
        EXPECT_EQ(token, whole.pass.tokens[static_cast<size_t>(row++)]);
      }
      for (const Label& found : part.labels) {
        ASSERT_LT(label, whole.labels.size());
        const Label& expected = whole.labels[label++];
        EXPECT_EQ(found.row + row - part.pass.rows(), expected.row);
        EXPECT_EQ(found.token, expected.token);
        EXPECT_EQ(found.weight, expected.weight);
      }
    }
    EXPECT_EQ(label, whole.labels.size());
    EXPECT_EQ(row, whole.pass.rows());
  });
}

TEST(Objective, FirstBlocksAreOfEveryLength) {
  Ids text(kLongest, 3);
  ObjectiveOptions options = parse_objective("tidar:5").value();
  options.mask_token = kMask;
  options.block_start = BlockStart::random;
  const auto objective = std::move(make_objective(options, {kLongest, kVocabulary}).value());
  const std::vector<std::vector<Document>> packs = {{{text, -1, 0}}};
  std::vector<int> seen(6, 0);
  for (uint64_t step = 0; step < 1000; ++step) {
    const auto passes = lay_out_step(*objective, packs, {1, step});
    ++seen[static_cast<size_t>(passes[0].pass.sights[kLongest].block.size())];
  }
  EXPECT_EQ(seen[0], 0);
  for (size_t first = 1; first <= 5; ++first) EXPECT_NEAR(seen[first], 200, 5 * 13) << first;
}

TEST(Objective, BlocksAreOfEverySizeAsked) {
  Ids text(kLongest, 3);
  ObjectiveOptions options = parse_objective("tidar:10").value();
  options.mask_token = kMask;
  options.block_sizes = {2, 10, 5};
  const auto objective = std::move(make_objective(options, {kLongest, kVocabulary}).value());
  const std::vector<std::vector<Document>> packs = {{{text, -1, 0}, {text, -1, 0}}};
  std::vector<int> seen(11, 0);
  for (uint64_t step = 0; step < 600; ++step) {
    const auto laid_out = lay_out_step(*objective, packs, {1, step});
    const Pass& pass = laid_out[0].pass;
    for (size_t document = 0; document < 2; ++document) {
      const size_t row = (2 * document + 1) * kLongest;
      const int size = pass.sights[row].block.size();
      EXPECT_EQ(pass.sights[row + kLongest - 1].block.size(), size);
      ++seen[static_cast<size_t>(size)];
    }
  }
  for (const size_t size : {2u, 5u, 10u}) EXPECT_NEAR(seen[size], 400, 5 * 17) << size;
}

// By the number of steps done; validation stays with the first sizes.
TEST(Objective, BlocksGrowInStages) {
  const Ids text(kLongest, 3);
  ObjectiveCase one;
  one.options = {.kind = ObjectiveKind::tidar, .mask_token = kMask, .block_size = 10};
  one.options.block_sizes = {2};
  one.options.block_stages = {{3, {5}}, {7, {5, 10}}};
  one.packs = {{{text}}};
  const auto size_at = [&](uint64_t step) {
    one.seed.step = step;
    return one.passes()[0].pass.sights[kLongest].block.size();
  };
  for (const uint64_t step : {0u, 2u}) EXPECT_EQ(size_at(step), 2);
  for (const uint64_t step : {3u, 6u}) EXPECT_EQ(size_at(step), 5);
  std::vector<int> seen(11, 0);
  for (uint64_t step = 7; step < 407; ++step) ++seen[static_cast<size_t>(size_at(step))];
  EXPECT_NEAR(seen[5], 200, 5 * 10);
  EXPECT_NEAR(seen[10], 200, 5 * 10);
  one.options = measured(one.options);
  EXPECT_EQ(size_at(100), 2);
}

// What is added behind the text is masks without labels that complete the last block, and changes
// nothing else.
TEST(Objective, MasksHaveThePlaceInTheirBlock) {
  const Ids text = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  ObjectiveCase one;
  one.options = {.kind = ObjectiveKind::tidar, .mask_token = kMask, .block_size = 4};
  one.packs = {{{text, -1, 3}}};
  const auto places = [&] {
    std::vector<int32_t> found;
    const TrainingPass pass = one.passes().front();
    for (const LabelShare& share : pass.shares) {
      EXPECT_EQ(share.place < 0, share.term == 0);
      if (share.term == 1) found.push_back(share.place);
    }
    return found;
  };
  EXPECT_EQ(places(), (Ids{0, 1, 2, 3, 0, 1, 2, 3, 0, 1}));
  one.options.prompts = Prompts::given;
  EXPECT_EQ(places(), (Ids{3, 0, 1, 2, 3, 0, 1}));
}

TEST(Objective, LastBlocksCanBeWhole) {
  for_random_cases([](const ObjectiveCase& cut) {
    if (cut.options.kind != ObjectiveKind::tidar &&
        cut.options.kind != ObjectiveKind::block_diffusion) {
      return;
    }
    ObjectiveCase whole = cut;
    whole.options.block_end = BlockEnd::whole;
    const auto objective = whole.objective();
    const auto passes = whole.passes(), cut_passes = cut.passes();
    for (size_t p = 0; p < passes.size(); ++p) {
      const Pass& pass = passes[p].pass;
      pass.check();
      int tokens = 0;
      std::vector<int32_t> added_before = {0};  // a row of the cut pass: rows added before it
      for (size_t d = 0; d < whole.packs[p].size(); ++d) {
        const auto size = static_cast<int32_t>(whole.packs[p][d].tokens.size());
        tokens += size;
        const PassSequence& sequence = pass.sequences[d];
        const int32_t added = sequence.rows - 2 * size;
        const auto last = static_cast<size_t>(sequence.first_row + 2 * size - 1);
        const Sight sight = pass.sights[last];
        EXPECT_EQ(sight.block.to, sequence.rows);
        const bool is_first = sight.prefix.size() == 0;
        const bool is_whole = sight.block.size() == whole.options.block_size ||
                              (is_first && whole.options.block_start == BlockStart::random);
        EXPECT_TRUE(is_whole || added == size / 2) << pass.picture();
        EXPECT_LE(added, size / 2);
        for (size_t row = last + 1; row <= last + static_cast<size_t>(added); ++row) {
          EXPECT_EQ(pass.tokens[row], kMask);
          EXPECT_EQ(pass.sights[row], sight);
          EXPECT_EQ(pass.positions[row], pass.positions[row - 1] + 1);
        }
        added_before.resize(added_before.size() + static_cast<size_t>(2 * size) - 1,
                            added_before.back());
        added_before.push_back(added_before.back() + added);
      }
      const PassExtent largest = objective->largest_pass(tokens);
      EXPECT_LE(pass.rows(), largest.rows);
      for (const int32_t position : pass.positions) EXPECT_LT(position, largest.positions);
      ASSERT_EQ(passes[p].labels.size(), cut_passes[p].labels.size());
      for (size_t i = 0; i < passes[p].labels.size(); ++i) {
        const Label &label = passes[p].labels[i], &cut_label = cut_passes[p].labels[i];
        const auto cut_row = static_cast<size_t>(cut_label.row);
        EXPECT_EQ(label.row, cut_label.row + added_before[cut_row]);
        EXPECT_EQ(label.token, cut_label.token);
        EXPECT_EQ(label.weight, cut_label.weight);
      }
    }
  });
}

// ---- what is refused ----

std::string refusal(const ObjectiveOptions& options,
                    const ObjectiveLimits& limits = {kLongest, kVocabulary}) {
  const auto made = make_objective(options, limits);
  return made.ok() ? "" : made.error().message;
}

void expect_holds(const std::string& message, std::initializer_list<const char*> parts) {
  for (const char* part : parts) EXPECT_NE(message.find(part), std::string::npos) << message;
}

TEST(Objective, OptionsThatMakeNoSenseAreRefused) {
  ObjectiveOptions options = parse_objective("tidar:40").value();
  expect_holds(refusal(options), {"tidar", "mask token"});
  options.mask_token = kVocabulary;
  expect_holds(refusal(options), {"50", "0 to 49"});
  options.mask_token = kMask;
  EXPECT_EQ(refusal(options), "");
  options.block_size = 41;
  expect_holds(refusal(options), {"41", "40 tokens"});
  options.block_size = 8;
  options.block_sizes = {4, 9};
  expect_holds(refusal(options), {"blocks of 9", "1 to 8"});
  options.block_sizes = {};
  options.block_stages = {{5, {4, 9}}};
  expect_holds(refusal(options), {"blocks of 9", "1 to 8"});
  options.block_stages = {{5, {4}}, {5, {8}}};
  expect_holds(refusal(options), {"step 5 behind 5", "later steps"});
  options.block_stages = {{5, {}}};
  expect_holds(refusal(options), {"0 sizes", "at least one"});
  options.kind = ObjectiveKind::masked_diffusion;  // has no blocks
  EXPECT_EQ(refusal(options), "");
  options = parse_objective("tidar:4").value();
  options.mask_token = kMask;
  for (const double alpha : {-1.0, std::nan(""), HUGE_VAL}) {
    options.alpha = alpha;
    expect_holds(refusal(options), {"alpha"});
  }
  options.alpha = 1;
  for (const double decay : {-1.0, std::nan(""), HUGE_VAL}) {
    options.place_decay = decay;
    expect_holds(refusal(options), {"decay", "0 for none"});
  }
  EXPECT_EQ(refusal(parse_objective("ar").value()), "");
}

TEST(Objective, NamesAreParsed) {
  EXPECT_EQ(parse_objective("tidar:12")->block_size, 12);
  EXPECT_EQ(parse_objective("tidar")->block_size, ObjectiveOptions{}.block_size);
  EXPECT_EQ(parse_objective("block:3")->kind, ObjectiveKind::block_diffusion);
  EXPECT_EQ(parse_objective("masked")->kind, ObjectiveKind::masked_diffusion);
  expect_holds(parse_objective("tiadr:4").error().message, {"'tiadr'", "did you mean tidar?"});
  expect_holds(parse_objective("something").error().message, {"ar, tidar, block, masked"});
  expect_holds(parse_objective("ar:4").error().message, {"no block size", "'4'"});
  for (const char* text : {"tidar:", "tidar:0", "tidar:-1", "tidar:4x", "tidar:99999999999"}) {
    expect_holds(parse_objective(text).error().message, {"block size behind the colon"});
  }
}

}  // namespace
}  // namespace tidar
