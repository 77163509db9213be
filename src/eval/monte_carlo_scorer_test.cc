#include "eval/monte_carlo_scorer.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <string>

#include "decode/mock_evaluator_testing.h"
#include "decode/text_testing.h"
#include "format/files_testing.h"

namespace tidar {
namespace {

constexpr MockModel kEstimatedModel{.seed = 9, .agreement = 0.2};
constexpr int32_t kMask = 10;

const ScoredText kText{{3, 1, 4, 1, 5, 9, 2, 6}, 4};

/// What a row sees, in an order of keys that is the text itself, followed by `noised` where it is
/// not empty.
using Matrix = std::vector<std::string>;

/// Log-probability of `token` in row `row` of rows without a cache.
double logprob(const std::vector<int32_t>& tokens, const std::vector<int32_t>& positions,
               const Matrix& allowed, int32_t row, int32_t token) {
  Ask ask;
  ask.kind = AskKind::score;
  ask.token = token;
  const auto logits = dense_logits(kEstimatedModel, tokens, positions, allowed);
  return double{mock_answer(ask, logits[static_cast<size_t>(row)], nullptr).logprob};
}

/// The sum over the masked places of a block, by a reading of the text of its own.
using MaskedSum = std::function<double(int32_t begin, int32_t end, unsigned masked)>;

/// The exact expectation, over all maskings of the block [begin, end).
double expectation(int32_t begin, int32_t end, const MaskedSum& sum) {
  const int n = end - begin;
  std::vector<double> of_size(static_cast<size_t>(n) + 1, 0), subsets(of_size);
  for (unsigned masked = 1; masked < 1u << n; ++masked) {
    const auto size = static_cast<size_t>(std::popcount(masked));
    of_size[size] += sum(begin, end, masked);
    subsets[size] += 1;
  }
  double mean = 0;
  for (int l = 1; l <= n; ++l) {
    const auto size = static_cast<size_t>(l);
    mean += of_size[size] / subsets[size] * n / l / n;
  }
  return mean;
}

bool is_masked(int32_t position, int32_t begin, int32_t end, unsigned masked) {
  return begin <= position && position < end && (masked >> (position - begin) & 1u) != 0;
}

/// Masked diffusion: every row sees every row.
double whole_text_sum(int32_t begin, int32_t end, unsigned masked, int back) {
  std::vector<int32_t> tokens = kText.tokens, positions;
  for (int32_t i = 0; i < 8; ++i) {
    positions.push_back(i);
    if (is_masked(i, begin, end, masked)) tokens[static_cast<size_t>(i)] = kMask;
  }
  const Matrix allowed(8, std::string(8, '1'));
  double sum = 0;
  for (int32_t i = begin; i < end; ++i) {
    if (!is_masked(i, begin, end, masked)) continue;
    sum += logprob(tokens, positions, allowed, i - back, kText.tokens[static_cast<size_t>(i)]);
  }
  return sum;
}

/// Block diffusion, one block at a time: the finished text before it, then the block. `border` is
/// the start of the block's rows, at or before `begin`; `clean(row, key)` says who sees whom
/// before.
template <class Clean>
double block_sum(int32_t border, int32_t begin, int32_t end, unsigned masked, Clean&& clean) {
  std::vector<int32_t> tokens(kText.tokens.begin(), kText.tokens.begin() + end), positions;
  Matrix allowed(static_cast<size_t>(end), std::string(static_cast<size_t>(end), '0'));
  for (int32_t row = 0; row < end; ++row) {
    positions.push_back(row);
    if (is_masked(row, begin, end, masked)) tokens[static_cast<size_t>(row)] = kMask;
    for (int32_t key = 0; key < end; ++key) {
      const bool sees = row >= border || clean(row, key);
      if (sees && (row >= border || key < border)) {
        allowed[static_cast<size_t>(row)][static_cast<size_t>(key)] = '1';
      }
    }
  }
  double sum = 0;
  for (int32_t i = begin; i < end; ++i) {
    if (!is_masked(i, begin, end, masked)) continue;
    sum += logprob(tokens, positions, allowed, i, kText.tokens[static_cast<size_t>(i)]);
  }
  return sum;
}

MonteCarloOptions options_of(int samples) { return {.samples = samples, .mask_token = kMask}; }

TextScore estimate(const MonteCarloOptions& options, int64_t id = 0, int rows = 64) {
  MockEvaluator evaluator(kEstimatedModel,
                          {.max_rows = rows, .pages = 1, .max_position = 100, .vocabulary = 11});
  const auto scorer = make_monte_carlo_scorer(evaluator, options);
  bool given = false;
  TextScore score;
  const auto done = scorer->score(
      [&]() -> std::optional<TextGroup> {
        if (std::exchange(given, true)) return std::nullopt;
        return TextGroup{id, {kText}};
      },
      [&](int64_t, const auto& scores) {
        score = scores.at(0);
        return Result<bool>(true);
      });
  EXPECT_TRUE(done.ok()) << done.error().message;
  return score;
}

void expect_unbiased(const MonteCarloOptions& options, double exact) {
  const TextScore score = estimate(options);
  EXPECT_GT(score.standard_error, 0);
  EXPECT_LT(score.standard_error, 0.15);
  EXPECT_LT(std::abs(score.logprob - exact), 4 * score.standard_error)
      << score.logprob << " against " << exact;
}

TEST(MonteCarlo, MaskedDiffusionAgainstEnumeration) {
  expect_unbiased(options_of(4000), expectation(4, 8, [](auto begin, auto end, auto masked) {
                    return whole_text_sum(begin, end, masked, 0);
                  }));
}

TEST(MonteCarlo, LogitsShiftedByOneAgainstEnumeration) {
  MonteCarloOptions options = options_of(4000);
  options.shift = LogitShift::one;
  expect_unbiased(options, expectation(4, 8, [](auto begin, auto end, auto masked) {
                    return whole_text_sum(begin, end, masked, 1);
                  }));
}

TEST(MonteCarlo, BlocksFromTheOutputOnAgainstEnumeration) {
  MonteCarloOptions options = options_of(4000);
  options.block_size = 3;  // 4 … 6 and 7
  const auto causal = [](int32_t row, int32_t key) { return key <= row; };
  const auto sum = [&](int32_t begin, int32_t end, unsigned masked) {
    return block_sum(begin, begin, end, masked, causal);
  };
  expect_unbiased(options, expectation(4, 7, sum) + expectation(7, 8, sum));
}

TEST(MonteCarlo, BlocksAtMultiplesAgainstEnumeration) {
  MonteCarloOptions options = options_of(4000);
  options.block_size = 3;  // 3 … 5, of which 3 belongs to the context, and 6 … 7
  options.borders = BlockBorders::multiples;
  options.keys = BlockKeys::block;
  const auto blocks = [](int32_t row, int32_t key) { return key / 3 <= row / 3; };
  const auto sum = [&](int32_t begin, int32_t end, unsigned masked) {
    return block_sum(begin / 3 * 3, begin, end, masked, blocks);
  };
  expect_unbiased(options, expectation(4, 6, sum) + expectation(6, 8, sum));
}

TEST(MonteCarlo, TheErrorFallsWithTheRootOfTheSamples) {
  const double exact = expectation(4, 8, [](auto begin, auto end, auto masked) {
    return whole_text_sum(begin, end, masked, 0);
  });
  constexpr int kRuns = 400;
  std::vector<double> errors;
  for (const int samples : {8, 32, 128}) {
    double squares = 0, told = 0;
    for (int run = 0; run < kRuns; ++run) {
      MonteCarloOptions options = options_of(samples);
      options.seed = static_cast<uint64_t>(run);
      const TextScore score = estimate(options, samples);
      squares += (score.logprob - exact) * (score.logprob - exact) / kRuns;
      told += score.standard_error * score.standard_error / kRuns;
    }
    errors.push_back(std::sqrt(squares));
    // Its own word about its error is right: of a mean of 400 squares the error is some 7 %.
    EXPECT_NEAR(std::sqrt(told / squares), 1, 0.15) << samples;
  }
  EXPECT_NEAR(errors[0] / errors[1], 2, 0.3);
  EXPECT_NEAR(errors[1] / errors[2], 2, 0.3);
}

TEST(MonteCarlo, DoesNotDependOnTheRowsOfAPass) {
  for (const int block_size : {0, 3}) {
    MonteCarloOptions options = options_of(50);
    options.block_size = block_size;
    const TextScore wide = estimate(options, 7, 64), narrow = estimate(options, 7, 17);
    EXPECT_EQ(wide.logprob, narrow.logprob);
    EXPECT_NE(wide.logprob, estimate(options, 8).logprob);
    options.seed = 1;
    EXPECT_NE(wide.logprob, estimate(options, 7).logprob);
  }
}

}  // namespace
}  // namespace tidar
