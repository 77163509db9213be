// What rows the engine buys for a request at given prices, and what it tells of them.

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "decode/model_drafter.h"
#include "engine/engine_testing.h"

namespace tidar {
namespace {

// Rows are carried where they pay: whole drafts where they are free and right, next to none where
// they are dear or wrong.
TEST(EngineRows, SpendsRowsByWhatTheyCostAndBring) {
  constexpr int kTokens = 600;
  TidarOptions paying = tidar_of(8);
  paying.groups = {.kind = GroupPolicy::Kind::paying};
  struct Spent {
    double tokens_a_pass = 0;
    double of_ar = 0;  // the cost of all passes, of that of AR's
  };
  // The first row of a pass costs 1, each further one `row_cost`.
  const auto spend = [&](double agreement, double row_cost) {
    MockEvaluator evaluator({.seed = 5, .agreement = agreement}, limits(100, 40));
    Engine engine(evaluator);
    engine.set_prices(Prices({{1, 1}, {101, 1 + 100 * row_cost}}, 0), PriceUse::fixed);
    const RequestId id = engine.submit(request_of({1, 2, 3}, kTokens, paying)).value();
    Outputs outputs;
    collect(engine, outputs);
    const auto passes = static_cast<double>(outputs[id].stats.passes + 1);
    const auto rows = static_cast<double>(evaluator.carried_rows());
    return Spent{.tokens_a_pass = outputs[id].stats.tokens_per_pass(),
                 .of_ar = (passes + (rows - passes) * row_cost) / kTokens};
  };
  EXPECT_GT(spend(1, 1e-4).tokens_a_pass, 7.5);
  EXPECT_LT(spend(1, 1e-4).of_ar, 0.15);
  EXPECT_LT(spend(1, 0.05).of_ar, 0.35);
  for (const double row_cost : {1e-4, 0.05, 0.2, 1.0}) {
    for (const double agreement : {0.0, 0.2, 0.5, 1.0}) {
      EXPECT_LT(spend(agreement, row_cost).of_ar, 1.05) << row_cost << " " << agreement;
    }
  }
}

// A pass of the mock takes microseconds, where these prices say seconds.
TEST(EngineRows, PricesFollowPassesThatOnlyDecode) {
  MockEvaluator evaluator({.seed = 5}, limits(8, 40));
  Engine engine(evaluator);
  engine.set_prices(Prices({{1, 1}, {101, 101}}, 0), PriceUse::follows);
  ASSERT_TRUE(engine.submit(request_of({1, 2, 3}, 9)).ok());
  const auto price = [&] { return engine.prices()->points().front().seconds; };
  engine.step();
  EXPECT_EQ(price(), 1) << "the pass read a prompt";
  engine.step();
  const double followed = price();
  EXPECT_LT(followed, 1);
  ASSERT_TRUE(engine.submit(request_of(std::vector<int32_t>(20, 1), 5)).ok());
  engine.step();
  EXPECT_EQ(price(), followed) << "one of them reads its prompt";
}

// Guesses that are looked up cost nothing but their rows.
TEST(EngineRows, LooksUpGuessesWhereTheyPay) {
  constexpr int kTokens = 600;
  const auto decode = [](MockEvaluator& evaluator, Engine& engine, bool loops, double row_cost) {
    const int64_t rows_before = evaluator.carried_rows();
    Request request = request_of({1, 2, 3}, kTokens, LookupMethodOptions{});
    if (loops) request.sequence.penalties.bias = {{.token = 3, .add = 100}};
    const RequestId id = engine.submit(std::move(request)).value();
    Outputs outputs;
    collect(engine, outputs);
    const auto passes = static_cast<double>(outputs[id].stats.passes + 1);
    const auto rows = static_cast<double>(evaluator.carried_rows() - rows_before);
    return (passes + (rows - passes) * row_cost) / kTokens;
  };
  const auto prices_of = [](double row_cost) {
    return Prices({{1, 1}, {101, 1 + 100 * row_cost}}, 0);
  };
  const auto cost_of_ar = [&](bool loops, double row_cost) {
    MockEvaluator evaluator({.seed = 5}, limits(100, 40));
    Engine engine(evaluator);
    engine.set_prices(prices_of(row_cost), PriceUse::fixed);
    return decode(evaluator, engine, loops, row_cost);
  };
  EXPECT_LT(cost_of_ar(true, 1e-4), 0.13);  // 9 tokens a pass
  EXPECT_LT(cost_of_ar(true, 0.05), 0.2);
  for (const double row_cost : {1e-4, 0.05, 0.2, 0.5, 1.0}) {
    EXPECT_LT(cost_of_ar(true, row_cost), 1.02) << row_cost;
    EXPECT_LT(cost_of_ar(false, row_cost), 1.02) << row_cost;
  }
  // Texts that no guess paid for are followed by one where all do.
  MockEvaluator evaluator({.seed = 5}, limits(100, 40));
  Engine engine(evaluator);
  engine.set_prices(prices_of(0.4), PriceUse::fixed);
  for (int text = 0; text < 5; ++text) EXPECT_LT(decode(evaluator, engine, false, 0.4), 1.02);
  EXPECT_LT(decode(evaluator, engine, true, 0.4), 0.8);
}

// Rows are cheap, but where each of them reads the keys of a long text they are not.
TEST(EngineRows, CarriesFewerRowsBehindManyKeys) {
  const auto rows_behind = [](double key_s) {
    MockEvaluator evaluator({.seed = 5, .agreement = 0.9}, limits(100, 40));
    Engine engine(evaluator);
    const Prices prices({{1, 1}, {101, 2}}, {{1, 0}}, {.cached = 0, .seconds = key_s});
    engine.set_prices(prices, PriceUse::fixed);
    TidarOptions paying = tidar_of(8);
    paying.groups = {.kind = GroupPolicy::Kind::paying};
    Request request = request_of({1, 2, 3}, 800, paying);
    request.explain = true;
    EXPECT_TRUE(engine.submit(std::move(request)).ok());
    double rows[2] = {}, passes[2] = {};  // of the first 400 keys, and of the others
    while (!engine.idle()) {
      for (const Update& update : engine.step()) {
        const PassSize& size = update.explanation->pass.size;
        EXPECT_EQ(update.explanation->pass.expected_s.value(), prices.seconds(size));
        const double keys = size.seen_keys / size.rows;
        rows[keys > 400] += size.rows;
        passes[keys > 400] += 1;
      }
    }
    return std::pair{rows[0] / passes[0], rows[1] / passes[1]};
  };
  const auto [few, many] = rows_behind(1e-3);
  EXPECT_GT(few, 2);
  EXPECT_LT(many, 1.5);
  EXPECT_GT(rows_behind(0).second, 10);
}

TEST(EngineRows, WhatOvershootsIsCutFromTheStatisticsToo) {
  // Masks that are always right: every pass brings as many tokens as it can.
  const MockModel model{.seed = 3, .agreement = 1};
  const Tokenizer tokenizer = letters();
  const Request request = request_of({1, 2, 3}, 12, tidar_of(8));
  const Output output = run_alone(model, limits(100, 4), tokenizer, request);
  EXPECT_EQ(output.tokens.size(), 12u);
  EXPECT_EQ(output.stats.passes, 2);
  EXPECT_EQ(output.stats.decoded, 11);
  EXPECT_EQ(output.stats.accepted, (std::vector<int64_t>{0, 0, 0, 1, 0, 0, 0, 0, 1}));
  EXPECT_DOUBLE_EQ(output.stats.tokens_per_pass(), 5.5);
}

TEST(EngineRows, TellsOfPassesThatBringNoToken) {
  const MockModel model{.seed = 3};
  MockEvaluator evaluator(model, limits(100, 4));
  Engine engine(evaluator);
  // Random order: whatever comes first is hardly ever the first token.
  const MaskedDiffusionOptions masked{.length = 12, .reveal = {.order = RevealOrder::random}};
  const RequestId id = engine.submit(request_of({1, 2, 3}, 12, masked)).value();
  const RequestId other = engine.submit(request_of({1, 2, 3}, 12)).value();
  std::map<RequestId, std::vector<int64_t>> passes;
  Outputs outputs;
  while (!engine.idle()) {
    for (const Update& update : engine.step()) {
      outputs[update.id].add(update);
      passes[update.id].push_back(outputs[update.id].stats.passes);
    }
  }
  EXPECT_EQ(passes[id], (std::vector<int64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}));
  EXPECT_EQ(passes[other], (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}));
  EXPECT_EQ(outputs[id].finish, FinishReason::length);
  EXPECT_GT(outputs[id].stats.accepted[0], 0);
  EXPECT_EQ(outputs[id].stats.decoded, 12);
  EXPECT_EQ(outputs[id].stats.prefill_s, 0);
  EXPECT_GT(outputs[other].stats.prefill_s, 0);
}

TEST(EngineRows, TellsHowGuessesFared) {
  const MockModel model{.seed = 3, .agreement = 1};
  MockEvaluator evaluator(model, limits(100, 4)), small_evaluator(model, limits(100, 4));
  PagePool small_pool(4);
  Engine engine(evaluator);
  const SpeculativeOptions speculative{.draft_length = 3,
                                       .drafters = model_drafters(small_evaluator, small_pool)};
  ASSERT_TRUE(engine.submit(request_of({1, 2, 3}, 13, speculative)).ok());
  Outputs outputs;
  collect(engine, outputs);
  const RequestStats& stats = outputs.begin()->second.stats;
  EXPECT_EQ(stats.passes, 3);
  EXPECT_EQ(stats.places, std::vector<DraftPlace>(3, {.drafted = 3, .accepted = 3}));
  EXPECT_EQ(stats.drafter_passes, 9);
}

TEST(EngineRows, TellsWhatBecameOfRows) {
  const MockModel model{.seed = 3, .agreement = 1};
  const Tokenizer tokenizer = letters();
  TidarOptions tidar = tidar_of(2);
  tidar.groups = {.kind = GroupPolicy::Kind::last};
  // Each pass holds a certain token, a guess, which is right, and two masks, the second of which is
  // the next guess.
  const Output output = run_alone(model, limits(100, 4), tokenizer, request_of({1, 2}, 19, tidar));
  EXPECT_EQ(output.stats.passes, 9);
  EXPECT_EQ(output.stats.rows, 9 * 4);
  EXPECT_EQ(output.stats.masks, 9 * 2);
  EXPECT_EQ(output.stats.used_masks, 9);
  EXPECT_EQ(output.stats.used_groups, 9);
  EXPECT_EQ(output.stats.guesses(), (DraftPlace{.drafted = 9, .accepted = 9}));
}

/// The guesses that a pass verified are the first of those that the pass before announced, and end
/// with what was chosen where they were wrong. Every row is shown.
void expect_told_guesses(const Explanation& pass, const std::vector<int32_t>& announced) {
  const StepReport& report = pass.report;
  ASSERT_EQ(report.guesses.size(), static_cast<size_t>(report.drafted));
  ASSERT_LE(report.guesses.size(), announced.size());
  EXPECT_TRUE(std::equal(report.guesses.begin(), report.guesses.end(), announced.begin()));
  const auto right = static_cast<size_t>(report.accepted);
  ASSERT_TRUE(report.guesses.empty() || right < report.committed.size());
  for (size_t i = 0; i < right; ++i) EXPECT_EQ(report.committed[i].token, report.guesses[i]);
  if (right < report.guesses.size()) {
    EXPECT_NE(report.committed[right].token, report.guesses[right]);
  }
  ASSERT_EQ(pass.rows.rows.size(), static_cast<size_t>(report.rows));
  for (const MaskGroup& group : report.groups) {
    const ShownRow& row =
        pass.rows.rows[static_cast<size_t>(group.first_row - pass.rows.first_row)];
    EXPECT_EQ(row.keep, Keep::scratch);
    EXPECT_EQ(row.block.size(), group.masks);
  }
}

TEST(EngineRows, ExplainsEveryPassWhenAsked) {
  Rng rng(31);
  const Tokenizer tokenizer = letters();
  const MockModel model{.seed = 5, .agreement = 0.9};
  const MaskedDiffusionOptions masked{.length = 12};
  TidarOptions paying = tidar_of(6);
  paying.groups = {.kind = GroupPolicy::Kind::paying};
  const std::vector<Method> methods = {paying, ArOptions{}, tidar_of(3), masked,
                                       LookupMethodOptions{}};
  for (size_t m = 0; m < methods.size(); ++m) {
    for (const bool priced : {false, true}) {
      const std::optional<Prices> prices =
          priced ? std::optional(random_prices(rng)) : std::nullopt;
      Request request = request_of(std::vector<int32_t>(30, 1), 40, methods[m]);
      const Output plain = run_alone(model, limits(60, 4), tokenizer, request, prices);
      request.explain = true;

      MockEvaluator evaluator(model, limits(60, 4));
      Engine engine(evaluator, &tokenizer);
      if (prices) engine.set_prices(*prices, PriceUse::fixed);
      ASSERT_TRUE(engine.submit(request).ok());
      Output output;
      int64_t rows = 0, passes = 0, offers = 0, one_row = 0;
      const bool drafts = std::holds_alternative<TidarOptions>(methods[m]);
      std::vector<int32_t> expected;  // to be verified
      while (!engine.idle()) {
        for (const Update& update : engine.step()) {
          output.add(update);
          ASSERT_TRUE(update.explanation.has_value());
          const Explanation& pass = *update.explanation;
          rows += pass.report.rows;
          passes += pass.report.decoding ? 1 : 0;
          EXPECT_EQ(pass.report.rows, pass.pass.size.rows);
          EXPECT_EQ(pass.asked, pass.pass.size.asked + pass.pass.size.asked_later);
          EXPECT_GE(pass.report.committed.size(), update.tokens.size());
          EXPECT_EQ(pass.pass.expected_s.has_value(), priced);
          if (priced) {
            EXPECT_EQ(*pass.pass.expected_s, prices->seconds(pass.pass.size));
          }
          expect_told_guesses(pass, drafts ? expected : pass.report.guesses);
          expected = pass.report.provisional;
          one_row += !pass.offer && pass.report.decoding && pass.report.rows == 1 ? 1 : 0;
          if (!pass.offer) continue;
          ++offers;
          EXPECT_GE(pass.granted, pass.report.rows);
          int guesses = 0;
          for (const Bundle& bundle : pass.offer->bundles) {
            EXPECT_TRUE(bundle.chance >= 0 && bundle.chance <= 1);
            guesses += bundle.group == 0 ? 1 : 0;
          }
          EXPECT_GE(guesses, pass.report.drafted);
        }
      }
      EXPECT_EQ(output.tokens, plain.tokens);
      EXPECT_EQ(output.stats.passes, plain.stats.passes);
      EXPECT_EQ(passes, plain.stats.passes);
      EXPECT_EQ(rows, evaluator.carried_rows());
      const bool makes_offers = m == 0 || std::holds_alternative<LookupMethodOptions>(methods[m]);
      // Where drafts do not pay, there is nothing to offer beside the one row.
      EXPECT_EQ(priced && makes_offers ? offers + one_row : passes - offers, passes);
    }
  }
}

TEST(EngineRows, SecondCandidatesAreOfferedByHowOftenTheyAreRight) {
  const Tokenizer tokenizer = letters();
  const EvaluatorLimits wide = {
      .max_rows = 200, .pages = 60, .max_position = 3500, .vocabulary = 11};
  for (const double agreement : {0.8, 0.9}) {
    MockEvaluator evaluator({.seed = 6, .agreement = agreement}, wide);
    Engine engine(evaluator, &tokenizer);
    engine.set_prices(Prices({{1, 1}, {201, 1.2}}, 0), PriceUse::fixed);
    TidarOptions paying = tidar_of(6);
    paying.groups = {.kind = GroupPolicy::Kind::paying};
    Request request = request_of({1, 2}, 3000, paying);
    request.explain = true;
    ASSERT_TRUE(engine.submit(std::move(request)).ok());
    double offered = 0, expected = 0, right = 0;
    RequestStats stats;
    while (!engine.idle()) {
      for (const Update& update : engine.step()) {
        stats.add(update.stats);
        const Explanation& pass = *update.explanation;
        if (!pass.offer) continue;
        for (const Bundle& bundle : pass.offer->bundles) {
          if (!bundle.guessed) continue;
          offered += 1;
          expected += bundle.chance;
        }
        right += pass.report.guessed_right ? 1 : 0;
      }
    }
    // Rows cost next to nothing: what is offered is granted.
    EXPECT_GT(offered, 200);
    EXPECT_GT(right, 50);
    EXPECT_NEAR(expected / right, 1, 0.25);
    EXPECT_EQ(static_cast<double>(stats.guessed_right), right);
  }
}

TEST(EngineRows, EveryRequestGetsItsOwnNextDraft) {
  // Of different lengths, so that an answer to another one's question would not be accepted.
  const MockModel model{.seed = 9, .agreement = 1};
  MockEvaluator evaluator(model, limits(200, 8));
  Engine engine(evaluator);
  for (int n = 1; n <= 3; ++n) {
    const std::vector<int32_t> prompt(static_cast<size_t>(n), 5);
    ASSERT_TRUE(engine.submit(request_of(prompt, 21, tidar_of(4))).ok());
  }
  Outputs outputs;
  collect(engine, outputs);
  for (const auto& [id, output] : outputs) {
    EXPECT_EQ(output.stats.accepted, (std::vector<int64_t>{0, 0, 0, 0, 5})) << id;
  }
}

}  // namespace
}  // namespace tidar
