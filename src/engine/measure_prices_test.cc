#include "engine/measure_prices.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "decode/mock_evaluator_testing.h"
#include "plan/layouts.h"

namespace tidar {
namespace {

/// An evaluator that only takes its time, by a clock of its own.
class SlowEvaluator final : public Evaluator {
 public:
  explicit SlowEvaluator(double one_row_s, EvaluatorLimits limits = {512, 8, 512, 100})
      : one_row_s_(one_row_s), limits_(limits) {}

  const EvaluatorLimits& limits() const override { return limits_; }
  void evaluate(const Pass& pass, std::span<Answer> answers) override {
    pass.check();
    ASSERT_EQ(answers.size(), pass.asks.size());
    ASSERT_LE(pass.rows(), limits_.max_rows);
    for (const PassSequence& sequence : pass.sequences) {
      EXPECT_EQ(sequence.stored, 0);
      cached_ = sequence.cached;
    }
    for (const int32_t position : pass.positions) ASSERT_LT(position, limits_.max_position);
    for (const int32_t token : pass.tokens) ASSERT_LT(token, limits_.vocabulary);
    const double cold = pass.rows() == rows_ ? 1 : cold_;
    rows_ = pass.rows();
    most_rows_ = std::max(most_rows_, rows_);
    ++passes_;
    const bool late = rows_ == held_up_rows_ || rng_.uniform() < held_up_;
    wait((pass_s(rows_) + key_s_ * rows_ * cached_) * (late ? 3 : cold));
    if (passes_ == 1) wait(begin_s_);
    if (!answers.empty()) answer(pass.asks, answers);
  }
  void answer(const Asks& asks, std::span<Answer> answers) override {
    asks.check(rows_);
    ASSERT_EQ(answers.size(), asks.size());
    wait(answers_s(static_cast<int>(asks.size())));
  }

  /// Reads weights and multiplies with them, more and more of it at the same time.
  double pass_s(double rows) const { return 0.6 * one_row_s_ * std::hypot(1, 0.1 * rows); }
  double answers_s(double asked) const { return 0.4 * one_row_s_ * std::hypot(1, 0.1 * asked); }
  double seconds(const PassSize& size) const { return pass_s(size.rows) + answers_s(size.asked); }

  PriceMeasuring by_its_clock() {
    return {.now = [this] { return now_; }};
  }
  /// So long each row takes for each cached key.
  void charge_for_keys(double seconds) { key_s_ = seconds; }
  double seconds_behind(const PassSize& size, int keys) const {
    return seconds(size) + key_s_ * size.rows * keys;
  }
  /// The first pass takes so much longer.
  void begin_slowly(double seconds) { begin_s_ = seconds; }
  /// A pass takes so many times as long after one of another size.
  void forget_other_sizes(double factor) { cold_ = factor; }
  void hold_up(double share) { held_up_ = share; }
  void hold_up_passes_of(int rows) { held_up_rows_ = rows; }
  double now() const { return now_; }
  int passes() const { return passes_; }
  int most_rows() const { return most_rows_; }
  /// Keys before the rows of the last pass.
  int cached() const { return cached_; }

 private:
  void wait(double seconds) { now_ += seconds; }

  double one_row_s_;
  double key_s_ = 0, begin_s_ = 0, cold_ = 1;
  EvaluatorLimits limits_;
  Rng rng_{1};
  double held_up_ = 0;  // share of passes
  int held_up_rows_ = 0;
  double now_ = 17;
  int rows_ = 0, most_rows_ = 0, passes_ = 0, cached_ = 0;
};

TEST(MeasurePrices, AreThoseOfPasses) {
  for (const double one_row_s : {1e-6, 1e-3, 1e-2, 4e-2}) {
    SlowEvaluator evaluator(one_row_s);
    const Prices prices = measure_prices(evaluator, evaluator.by_its_clock());
    for (int rows = 1; rows <= 64; ++rows) {
      const PassSize size{rows, static_cast<double>(rows)};
      EXPECT_NEAR(prices.seconds(size) / evaluator.seconds(size), 1, 0.1)
          << one_row_s << ' ' << rows;
      // So much more do more rows cost when no more is asked.
      const double more = evaluator.pass_s(rows + 64) - evaluator.pass_s(rows);
      EXPECT_NEAR((prices.seconds({rows + 64, 8}) - prices.seconds({rows, 8})) / more, 1, 0.05);
    }
  }
}

TEST(MeasurePrices, AreThoseOfPassesThatFollowTheirLike) {
  SlowEvaluator evaluator(1e-5);
  evaluator.forget_other_sizes(1.5);
  const Prices prices = measure_prices(evaluator, evaluator.by_its_clock());
  for (int rows = 1; rows <= 64; ++rows) {
    const PassSize size{rows, static_cast<double>(rows)};
    EXPECT_NEAR(prices.seconds(size) / evaluator.seconds(size), 1, 0.1) << rows;
  }
}

TEST(MeasurePrices, ForgivePassesThatWereHeldUp) {
  for (const auto& [one_row_s, share] : {std::pair{1e-3, 0.6}, {1e-2, 0.2}}) {
    SlowEvaluator evaluator(one_row_s);
    evaluator.hold_up(share);
    const Prices prices = measure_prices(evaluator, evaluator.by_its_clock());
    for (int rows = 1; rows <= 64; ++rows) {
      const PassSize size{rows, static_cast<double>(rows)};
      EXPECT_NEAR(prices.seconds(size) / evaluator.seconds(size), 1, 0.1)
          << one_row_s << ' ' << rows;
    }
  }
}

TEST(MeasurePrices, ForgiveTheFirstPass) {
  SlowEvaluator evaluator(0.02);
  evaluator.begin_slowly(0.4);
  const double begin = evaluator.now();
  const Prices prices = measure_prices(evaluator, evaluator.by_its_clock());
  EXPECT_LE(evaluator.now() - begin, 1 + 1e-9);
  for (int rows = 1; rows <= 32; ++rows) {
    const PassSize size{rows, static_cast<double>(rows)};
    EXPECT_NEAR(prices.seconds(size) / evaluator.seconds(size), 1, 0.1) << rows;
  }
}

TEST(MeasurePrices, DoNotBelieveOneLargePass) {
  SlowEvaluator evaluator(0.02);
  evaluator.hold_up_passes_of(64);
  const Prices prices = measure_prices(evaluator, evaluator.by_its_clock());
  EXPECT_NEAR(prices.seconds({64, 64}) / evaluator.seconds({64, 64}), 1, 0.2);
  EXPECT_NEAR(prices.seconds({32, 32}) / evaluator.seconds({32, 32}), 1, 0.1);
}

TEST(MeasurePrices, TakeNoLongerThanTheyMay) {
  for (int step = -60; step <= 16; ++step) {
    const double one_row_s = std::pow(10, 0.1 * step);
    SlowEvaluator evaluator(one_row_s);
    const double begin = evaluator.now();
    const Prices prices = measure_prices(evaluator, evaluator.by_its_clock());
    const double taken = evaluator.now() - begin;
    EXPECT_LE(taken, std::max(1.0, evaluator.seconds({1, 1})) + 1e-9) << one_row_s;
    // What there is is used, or is not needed.
    EXPECT_TRUE(taken >= 0.5 || evaluator.passes() > 100) << one_row_s;
    EXPECT_NEAR(prices.seconds({1, 1}) / evaluator.seconds({1, 1}), 1, 0.1) << one_row_s;
  }
  SlowEvaluator evaluator(0.04);
  PriceMeasuring how = evaluator.by_its_clock();
  how.budget_s = 0.3;
  const double begin = evaluator.now();
  measure_prices(evaluator, how);
  EXPECT_LE(evaluator.now() - begin, 0.3 + 1e-9);
}

TEST(MeasurePrices, KeepToTheLimitsOfTheEvaluator) {
  for (const auto& [rows, positions, most] :
       {std::tuple{1, 64, 1}, {9, 64, 8}, {64, 30, 28}, {512, 512, 128}}) {
    SlowEvaluator evaluator(1e-4, {rows, 1, positions, 1});
    const Prices prices = measure_prices(evaluator, evaluator.by_its_clock());
    EXPECT_EQ(evaluator.most_rows(), most);
    EXPECT_EQ(prices.points().back().rows, most);
  }
}

TEST(MeasurePrices, SeeKeysAndLeaveThemAsTheyWere) {
  const MockModel model;
  MockEvaluator evaluator(model,
                          {.max_rows = 64, .pages = 3, .max_position = 128, .vocabulary = 11});
  PagePool pool(3);
  SequenceCache cache(pool);
  ASSERT_TRUE(cache.reserve(70));
  Pass pass;
  for (const int rows : {60, 10}) {
    pass.clear();
    pass.begin_sequence(cache);
    add_causal(pass, std::vector<int32_t>(static_cast<size_t>(rows), 3), Keep::page);
    evaluator.evaluate(pass, {});
    cache.commit(rows);
  }
  const std::vector<MockKey> before = evaluator.keys(cache.pages(), 70);
  // The mock stops where a pass sees a key that is not there.
  const Prices prices = measure_prices(evaluator, {.cache = &cache});
  EXPECT_EQ(prices.points().back().rows, 56);
  EXPECT_EQ(evaluator.keys(cache.pages(), 70), before);
  EXPECT_EQ(cache.length(), 70);
  EXPECT_EQ(pool.available(), 1);

  SlowEvaluator slow(1e-3);
  PriceMeasuring how = slow.by_its_clock();
  how.cache = &cache;
  measure_prices(slow, how);
  EXPECT_EQ(slow.cached(), 70);
}

TEST(MeasurePrices, FindWhatAKeyCosts) {
  PagePool pool(100);
  SequenceCache few(pool), many(pool);
  ASSERT_TRUE(few.reserve(250) && many.reserve(2048));
  few.commit(250);
  many.commit(2048);
  for (const double one_row_s : {1e-6, 1e-4, 1e-2, 4e-2}) {
    SlowEvaluator evaluator(one_row_s, {512, 100, 4096, 100});
    evaluator.charge_for_keys(one_row_s / 20000);
    PriceMeasuring how = evaluator.by_its_clock();
    how.cache = &few;
    how.many_keys = &many;
    const double begin = evaluator.now();
    const Prices prices = measure_prices(evaluator, how);
    EXPECT_LE(evaluator.now() - begin, 1 + 1e-9) << one_row_s;
    for (int rows = 1; rows <= 64; rows = 2 * rows + 1) {
      for (const int keys : {0, 250, 1000, 3000}) {
        const PassSize size = {rows, static_cast<double>(rows)};
        EXPECT_NEAR(prices.seconds(size.behind(keys)) / evaluator.seconds_behind(size, keys), 1,
                    0.1)
            << one_row_s << ' ' << rows << ' ' << keys;
      }
    }
  }
}

TEST(MeasurePrices, LeaveKeysOutWhereTheyCannotSeeMany) {
  PagePool pool(100);
  SequenceCache few(pool), many(pool);
  ASSERT_TRUE(few.reserve(100) && many.reserve(1000));
  few.commit(100);
  many.commit(1000);
  const auto price_of_key = [&](EvaluatorLimits limits, const SequenceCache* seen) {
    SlowEvaluator evaluator(1e-4, limits);
    evaluator.charge_for_keys(1e-7);
    PriceMeasuring how = evaluator.by_its_clock();
    how.cache = &few;
    how.many_keys = seen;
    const KeyPrice key = measure_prices(evaluator, how).key();
    EXPECT_EQ(key.cached, 100);
    return key.seconds;
  };
  EXPECT_NEAR(price_of_key({512, 100, 4096, 100}, &many), 1e-7, 1e-9);
  EXPECT_EQ(price_of_key({512, 100, 4096, 100}, nullptr), 0);
  EXPECT_EQ(price_of_key({512, 100, 4096, 100}, &few), 0);
  EXPECT_EQ(price_of_key({512, 100, 1010, 100}, &many), 0);
  EXPECT_EQ(price_of_key({15, 100, 4096, 100}, &many), 0);
}

}  // namespace
}  // namespace tidar
