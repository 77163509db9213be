// Masked diffusion against the same written down plainly, pass by pass, and its samples against
// exact enumeration.

#include "decode/masked_diffusion.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <string>

#include "decode/canvas_testing.h"
#include "decode/chi_square_testing.h"
#include "decode/constraint_testing.h"
#include "decode/drive_testing.h"

namespace tidar {
namespace {

using Tokens = std::vector<int32_t>;

const EvaluatorLimits kMaskedLimits{
    .max_rows = 200, .pages = 1, .max_position = 150, .vocabulary = 11};

constexpr std::array kOrders = {RevealOrder::confidence, RevealOrder::margin, RevealOrder::entropy,
                                RevealOrder::random, RevealOrder::left_to_right};

// The logits of a text all of which sees all of itself.
std::vector<std::vector<float>> full_logits(const MockModel& model, const Tokens& text) {
  std::vector<int32_t> positions;
  for (size_t i = 0; i < text.size(); ++i) positions.push_back(static_cast<int32_t>(i));
  const std::vector<std::string> allowed(text.size(), std::string(text.size(), '1'));
  return dense_logits(model, text, positions, allowed);
}

// Tokens that step `step` of `steps` reveals of a block that had `masks`, as LLaDA's program says.
int due(int masks, int steps, int step) { return masks / steps + (step < masks % steps ? 1 : 0); }

// Steps of the block of output tokens [begin, end): step i is where tokens i length / steps end.
int steps_of(const MaskedDiffusionOptions& options, int begin, int end) {
  int count = 0;
  for (int i = 1; i <= options.steps; ++i)
    if (begin * options.steps < i * options.length && i * options.length <= end * options.steps)
      ++count;
  return count;
}

struct MaskedOutcome {
  Tokens output;
  int64_t passes = 0;
};

// Without thresholds or bounds: those are tested with block diffusion and below.
MaskedOutcome decode_plainly(const MockModel& model, const SequenceSpec& spec,
                             const MaskedDiffusionOptions& options) {
  const auto prompt = static_cast<int>(spec.prompt.size());
  Tokens text = spec.prompt;
  text.resize(text.size() + static_cast<size_t>(options.length), spec.mask_token);
  std::vector<bool> masked(text.size(), true);
  std::fill(masked.begin(), masked.begin() + prompt, false);
  const auto changes = plain_changes(spec, {}, model.vocabulary);
  MaskedOutcome outcome;
  const int size = options.block_size, blocks = (options.length + size - 1) / size;
  for (int block = 0; block < blocks; ++block) {
    const int begin = prompt + block * size, end = std::min(begin + size, prompt + options.length);
    const int steps = steps_of(options, begin - prompt, end - prompt);
    for (int step = 0; step < steps; ++step) {
      const auto logits = full_logits(model, text);
      std::vector<MaskGuess> guesses;
      Tokens choices;
      for (int at = begin; at < end; ++at) {
        if (!masked[static_cast<size_t>(at)]) continue;
        const auto& row =
            logits[static_cast<size_t>(options.shift == LogitShift::one ? at - 1 : at)];
        const Ask ask{
            .sampling = spec.sampling,
            .changes = all_of(changes),
            .draw = static_cast<uint64_t>(outcome.passes) << 32 | static_cast<uint64_t>(at)};
        const Answer answer = mock_answer(ask, row, nullptr, changes);
        guesses.push_back(plain_guess(at, answer, row, spec.mask_token));
        choices.push_back(answer.token);
      }
      const RevealRule rule{.order = options.reveal.order, .count = due(end - begin, steps, step)};
      for (const size_t index : revealed(guesses, rule, spec.sampling.seed)) {
        text[static_cast<size_t>(guesses[index].position)] = choices[index];
        masked[static_cast<size_t>(guesses[index].position)] = false;
      }
      ++outcome.passes;
    }
  }
  outcome.output.assign(text.begin() + prompt, text.end());
  return outcome;
}

Driven make_driven(const MockEvaluator& evaluator, PagePool& pool, const SequenceSpec& spec,
                   const MaskedDiffusionOptions& options) {
  return {.decoder = make_decoder(options, spec, SequenceCache(pool), evaluator.limits()).value(),
          .wanted = options.length};
}

class MaskedDiffusion : public testing::TestWithParam<uint64_t> {
 protected:
  Rng rng{GetParam()};
};

TEST_P(MaskedDiffusion, DecodesAsWrittenDown) {
  for (const RevealOrder order : kOrders) {
    const MockModel model{.seed = rng.bits(), .agreement = 0.4};
    const SequenceSpec spec = random_canvas_spec(rng);
    const int length = 1 + rng.below(20), size = 1 + rng.below(length);
    const int blocks = (length + size - 1) / size;
    const MaskedDiffusionOptions options{.length = length,
                                         .steps = blocks + rng.below(length - blocks + 1),
                                         .block_size = size,
                                         .reveal = {.order = order},
                                         .shift = static_cast<LogitShift>(rng.below(2))};
    SCOPED_TRACE(testing::Message() << "order " << static_cast<int>(order) << ", length " << length
                                    << ", blocks of " << size << ", steps " << options.steps);
    const MaskedOutcome truth = decode_plainly(model, spec, options);
    MockEvaluator evaluator(model, kMaskedLimits);
    PagePool pool(kMaskedLimits.pages);
    Driven driven = make_driven(evaluator, pool, spec, options);
    drive(evaluator, driven);
    EXPECT_EQ(driven.tokens(), truth.output);
    EXPECT_EQ(driven.decoder->phase(), Phase::full);
    EXPECT_EQ(driven.totals.passes, truth.passes);
    EXPECT_EQ(driven.totals.passes, options.steps);
    EXPECT_EQ(driven.totals.committed, length);
    EXPECT_EQ(pool.available(), kMaskedLimits.pages);
  }
}

// Zeros stand for one block, and for one token a pass.
TEST_P(MaskedDiffusion, DefaultsAreOneBlockAndOneTokenAPass) {
  const MockModel model{.seed = rng.bits()};
  const SequenceSpec spec = random_canvas_spec(rng);
  const int length = 1 + rng.below(12);
  MockEvaluator evaluator(model, kMaskedLimits);
  PagePool pool(kMaskedLimits.pages);
  Driven by_default = make_driven(evaluator, pool, spec, {.length = length});
  Driven in_words = make_driven(evaluator, pool, spec,
                                {.length = length,
                                 .steps = length + rng.below(2),  // no more than one a token
                                 .block_size = length});
  drive(evaluator, by_default);
  drive(evaluator, in_words);
  EXPECT_EQ(by_default.tokens(), in_words.tokens());
  EXPECT_EQ(by_default.totals.passes, length);
}

// A threshold that everything exceeds takes one pass a block.
TEST_P(MaskedDiffusion, AThresholdSavesPasses) {
  const MockModel model{.seed = rng.bits()};
  const SequenceSpec spec = random_canvas_spec(rng);
  MockEvaluator evaluator(model, kMaskedLimits);
  PagePool pool(kMaskedLimits.pages);
  Driven driven =
      make_driven(evaluator, pool, spec,
                  {.length = 10, .steps = 10, .block_size = 4, .reveal = {.threshold = 0.0f}});
  drive(evaluator, driven);
  EXPECT_EQ(driven.totals.passes, 3);
  EXPECT_EQ(driven.totals.accepted, (std::vector<int64_t>{0, 0, 1, 0, 2}));
}

INSTANTIATE_TEST_SUITE_P(Seeds, MaskedDiffusion, testing::Range<uint64_t>(0, 20));

// ---- sampling ----

constexpr int kFewTokens = 4;
constexpr int32_t kMask = 3;
constexpr int kLength = 3;

SequenceSpec tiny_spec() {
  SequenceSpec spec;
  spec.prompt = {1, 0};
  spec.mask_token = kMask;
  spec.sampling.temperature = 1.3f;
  return spec;
}

class SamplesOfMaskedDiffusion : public testing::TestWithParam<RevealOrder> {
 protected:
  MaskedDiffusionOptions options() const {
    return {.length = kLength, .steps = 2, .reveal = {.order = GetParam()}};
  }

  // Adds to `cells` the probability of every output that `output` (with masks) can become.
  void enumerate(const Tokens& output, int step, double probability,
                 std::map<Tokens, double>& cells) const {
    if (std::count(output.begin(), output.end(), kMask) == 0) {
      cells[output] += probability;
      return;
    }
    Tokens text = tiny_spec().prompt;
    const auto prompt = static_cast<int32_t>(text.size());
    text.insert(text.end(), output.begin(), output.end());
    const auto logits = full_logits(model_, text);
    Draws draws;
    for (int32_t at = prompt; at < static_cast<int32_t>(text.size()); ++at)
      if (text[static_cast<size_t>(at)] == kMask) draws.places.push_back(at);
    each_draw(logits, draws, [&](double share) {
      each_choice_of_places(
          draws, due(kLength, options().steps, step), [&](const auto& places, double chance) {
            Tokens next = output;
            for (const size_t i : places)
              next[static_cast<size_t>(draws.places[i] - prompt)] = draws.guesses[i].second;
            enumerate(next, step + 1, probability * share * chance, cells);
          });
    });
  }

  MockModel model_{.seed = 11, .vocabulary = kFewTokens, .mask_token = kMask, .agreement = 0.3};

 private:
  struct Draws {
    std::vector<int32_t> places;
    std::vector<std::pair<MaskGuess, int32_t>> guesses;  // with tokens
  };

  // Calls use(probability) for every way to draw a token at each place.
  void each_draw(const std::vector<std::vector<float>>& logits, Draws& draws,
                 const std::function<void(double)>& use, double probability = 1) const {
    if (draws.guesses.size() == draws.places.size()) return use(probability);
    const int32_t place = draws.places[draws.guesses.size()];
    const auto& row = logits[static_cast<size_t>(place)];
    const auto changes = plain_changes(tiny_spec(), {}, kFewTokens);
    const Ask ask{.sampling = tiny_spec().sampling, .changes = all_of(changes)};
    const auto p = mock_distribution({row.begin(), row.end()}, ask, changes);
    for (int32_t token = 0; token < kMask; ++token) {
      const Ask score{.kind = AskKind::score, .token = token};
      const Answer answer = mock_answer(score, row, nullptr);
      draws.guesses.emplace_back(plain_guess(place, answer, row, kMask), token);
      each_draw(logits, draws, use, probability * p[static_cast<size_t>(token)]);
      draws.guesses.pop_back();
    }
  }

  // Calls use(places, chance) for every set of `count` places that may be revealed.
  template <class Use>
  void each_choice_of_places(const Draws& draws, int count, const Use& use) const {
    std::vector<MaskGuess> guesses;
    for (const auto& [guess, token] : draws.guesses) guesses.push_back(guess);
    if (GetParam() != RevealOrder::random) {
      use(revealed(guesses, {.order = GetParam(), .count = count}, 0), 1.0);
      return;
    }
    std::vector<std::vector<size_t>> sets;
    for (size_t bits = 0; bits < size_t{1} << guesses.size(); ++bits) {
      std::vector<size_t> set;
      for (size_t i = 0; i < guesses.size(); ++i)
        if ((bits >> i & 1) != 0) set.push_back(i);
      if (set.size() == std::min(guesses.size(), static_cast<size_t>(count))) sets.push_back(set);
    }
    for (const auto& set : sets) use(set, 1.0 / static_cast<double>(sets.size()));
  }
};

TEST_P(SamplesOfMaskedDiffusion, AreThoseOfExactEnumeration) {
  std::map<Tokens, double> cells;
  enumerate(Tokens(kLength, kMask), 0, 1, cells);
  EXPECT_EQ(cells.size(), 27u);

  EvaluatorLimits limits = kMaskedLimits;
  limits.vocabulary = kFewTokens;
  MockEvaluator evaluator(model_, limits);
  PagePool pool(limits.pages);
  std::map<Tokens, int> counted;
  for (uint64_t run = 0; run < 10000; ++run) {
    SequenceSpec spec = tiny_spec();
    spec.sampling.seed = run * 0x9e3779b97f4a7c15u;
    Driven driven = make_driven(evaluator, pool, spec, options());
    drive(evaluator, driven);
    ++counted[driven.tokens()];
  }
  std::vector<int> counts;
  std::vector<double> p, uniform;
  for (const auto& [output, probability] : cells) {
    counts.push_back(counted[output]);
    p.push_back(probability);
    uniform.push_back(1.0 / static_cast<double>(cells.size()));
  }
  EXPECT_EQ(counted.size(), 27u);
  EXPECT_LT(chi_square_score(counts, p), kFarOff);
  EXPECT_GT(chi_square_score(counts, uniform), kFarOff) << "the test could not tell";
}

INSTANTIATE_TEST_SUITE_P(Orders, SamplesOfMaskedDiffusion, testing::ValuesIn(kOrders));

TEST(MakeMaskedDiffusion, RefusesWhatItCannotFollow) {
  PagePool pool(1);
  SequenceSpec spec;
  spec.prompt = {1, 2, 3};
  spec.mask_token = 10;
  const auto complaint = [&](const MaskedDiffusionOptions& options, const SequenceSpec& asked) {
    const auto made = make_decoder(options, asked, SequenceCache(pool), kMaskedLimits);
    return made.ok() ? "" : made.error().message;
  };
  const auto has = [](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << "'" << text << "' lacks '" << part << "'";
  };
  EXPECT_EQ(complaint({}, spec), "");
  EXPECT_EQ(complaint({.length = 147}, spec), "");
  has(complaint({.length = 148}, spec), "3 tokens of prompt and 148 of output");
  has(complaint({.length = 0}, spec), "output length");
  has(complaint({.block_size = -1}, spec), "block size");
  EXPECT_EQ(complaint({.length = 10, .steps = 3, .block_size = 4}, spec), "");
  has(complaint({.length = 10, .steps = 2, .block_size = 4}, spec), "each of 3 blocks, found 2");
  has(complaint({.reveal = {.threshold = -1.0f}}, spec), "threshold");
  SequenceSpec wrong = spec;
  wrong.mask_token = -1;
  has(complaint({}, wrong), "mask token: masked diffusion needs one");
  wrong = spec;
  wrong.penalties.repetition = 1.1f;
  has(complaint({}, wrong), "penalties: masked diffusion");
  wrong = spec;
  wrong.constraint = std::make_shared<MockConstraint>(MockLanguage());
  has(complaint({}, wrong), "masked diffusion cannot keep to a given form of output");
}

}  // namespace
}  // namespace tidar
