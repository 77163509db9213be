#include "engine/engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "base/rng.h"
#include "decode/constraint_testing.h"
#include "decode/drive_testing.h"
#include "decode/mock_evaluator_testing.h"
#include "decode/model_drafter.h"
#include "text/small_tokenizer_testing.h"

namespace tidar {
namespace {

constexpr int32_t kEos = 9;
constexpr int32_t kMask = 10;

/// a … f, the two bytes of é, "ab", an end-of-text token and a mask.
Tokenizer letters() {
  nlohmann::json json = small_tokenizer({});
  nlohmann::json vocabulary = nlohmann::json::object();
  const std::vector<std::string> texts = {"a", "b", "c", "d", "e", "f", "\xC3", "\xA9", "ab"};
  for (size_t id = 0; id < texts.size(); ++id) vocabulary[byte_level_text(texts[id])] = id;
  json["model"]["vocab"] = vocabulary;
  json["model"]["merges"] = {"a b"};
  json["added_tokens"] = {added_token(kEos, "<eos>", true), added_token(kMask, "<mask>", true)};
  return Tokenizer::parse(json.dump(), "letters").value();
}

EvaluatorLimits limits(int max_rows, int pages, int max_position = 1000) {
  return {.max_rows = max_rows, .pages = pages, .max_position = max_position, .vocabulary = 11};
}

Request request_of(std::vector<int32_t> prompt, int max_new, Method method = ArOptions{}) {
  Request request;
  request.sequence.prompt = std::move(prompt);
  request.sequence.mask_token = kMask;
  request.method = std::move(method);
  request.max_new = max_new;
  return request;
}

TidarOptions tidar_of(int draft_length, float trust = 1) {
  TidarOptions options;
  options.draft_length = draft_length;
  options.trust = trust;
  return options;
}

/// All updates of one request put together.
struct Output {
  std::vector<int32_t> tokens;
  std::string text;
  FinishReason finish = FinishReason::none;
  RequestStats stats;  ///< the sum of what the updates told, then the totals

  void add(const Update& update) {
    EXPECT_EQ(finish, FinishReason::none) << "an update after the last one";
    for (const TokenLogprob& token : update.tokens) tokens.push_back(token.token);
    text += update.text;
    finish = update.finish;
    stats.add(update.stats);
    EXPECT_EQ(update.totals.has_value(), finish != FinishReason::none);
    if (update.totals) take_totals(*update.totals);
  }

 private:
  /// They are the sum of all updates, and what only the engine knew.
  void take_totals(const RequestStats& totals) {
    EXPECT_EQ(totals.new_tokens, stats.new_tokens);
    EXPECT_EQ(totals.passes, stats.passes);
    EXPECT_EQ(totals.decoded, stats.decoded);
    EXPECT_EQ(totals.accepted, stats.accepted);
    EXPECT_EQ(totals.places, stats.places);
    EXPECT_EQ(totals.drafter_passes, stats.drafter_passes);
    EXPECT_EQ(totals.prefill_s, stats.prefill_s);
    EXPECT_EQ(totals.decode_s, stats.decode_s);
    EXPECT_GT(totals.prompt_tokens, 0);
    stats = totals;
  }
};

using Outputs = std::map<RequestId, Output>;

void collect(Engine& engine, Outputs& outputs) {
  for (int steps = 0; !engine.idle(); ++steps) {
    ASSERT_LT(steps, 100000) << "the engine makes no progress";
    for (const Update& update : engine.step()) outputs[update.id].add(update);
  }
}

/// Anything from rows that are free to rows that cost as much as a pass, with steps in between.
Prices random_prices(Rng& rng) {
  std::vector<PricePoint> points = {{1, 1e-3}};
  while (points.size() < 6) {
    const double slope = rng.below(3) == 0 ? 0 : rng.uniform() * rng.uniform();
    const int rows = 1 + rng.below(12);
    points.push_back({points.back().rows + rows, points.back().seconds + slope * rows * 1e-3});
  }
  return Prices(points, {{1, rng.uniform() * 1e-4}}, {rng.below(100), rng.uniform() * 1e-6});
}

Output run_alone(const MockModel& model, const EvaluatorLimits& frame, const Tokenizer& tokenizer,
                 const Request& request, const std::optional<Prices>& prices = std::nullopt) {
  MockEvaluator evaluator(model, frame);
  Engine engine(evaluator, &tokenizer);
  if (prices) engine.set_prices(*prices, PriceUse::fixed);
  const RequestId id = engine.submit(request).value();
  Outputs outputs;
  collect(engine, outputs);
  return outputs[id];
}

/// What a request must give, without an engine: the tokens of plain AR decoding, cut by the
/// definition of where an output ends.
Output expected_of(const MockModel& model, const EvaluatorLimits& frame, const Tokenizer& tokenizer,
                   const Request& request) {
  MockEvaluator evaluator(model, frame);
  PagePool pool(frame.pages);
  Driven driven;
  driven.decoder = make_decoder(ArOptions{}, request.sequence, SequenceCache(pool), frame).value();
  driven.wanted = request.max_new;
  drive(evaluator, driven);

  Output output;
  for (const int32_t token : driven.tokens()) {
    output.tokens.push_back(token);
    if (std::count(request.eos.begin(), request.eos.end(), token) > 0) {
      output.finish = FinishReason::stop;
      break;
    }
    // Whole characters only: a lone first byte of é is not text yet.
    auto shown = output.tokens;
    while (!shown.empty() && shown.back() == 6) shown.pop_back();
    output.text = tokenizer.decode(shown, SkipSpecial::yes);
    size_t at = std::string::npos;
    for (const std::string& stop : request.stop) at = std::min(at, output.text.find(stop));
    if (at != std::string::npos) {
      output.text.resize(at);
      output.finish = FinishReason::stop;
      return output;
    }
    output.finish = static_cast<int>(output.tokens.size()) == request.max_new
                        ? FinishReason::length
                        : FinishReason::context;
  }
  const bool failed = driven.decoder->phase() == Phase::failed;
  const bool cut = output.finish == FinishReason::stop || output.finish == FinishReason::length;
  if (failed && !cut) output.finish = FinishReason::no_choice;
  output.text = tokenizer.decode(output.tokens, SkipSpecial::yes);
  return output;
}

/// Which methods a random request may have.
enum class Methods : uint8_t { that_equal_ar, all };

Method random_method(Rng& rng, Methods methods) {
  const int length = 1 + rng.below(5);
  switch (rng.below(methods == Methods::all ? 7 : 5)) {
    case 0:
      return ArOptions{};
    case 1:
      return LookupMethodOptions{.draft_length = length, .lookup = {.least_matched = 1}};
    case 2:
      return SelfSpeculativeOptions{.draft_length = length};
    case 3:
    case 4: {
      TidarOptions tidar = tidar_of(length);
      if (methods == Methods::all && rng.below(2) == 0) tidar.trust = rng.uniform();
      if (rng.below(3) == 0) tidar.groups = only_groups({1, 3});
      if (rng.below(2) == 0) tidar.groups = {.kind = GroupPolicy::Kind::paying};
      if (tidar.trust == 1) tidar.guessed = rng.below(2) * rng.below(4);
      return tidar;
    }
    default:
      return BlockDiffusionOptions{.block_size = length,
                                   .reveal = {.threshold = 0.4f},
                                   .keys = static_cast<BlockKeys>(rng.below(2)),
                                   .borders = static_cast<BlockBorders>(rng.below(2))};
  }
}

bool denoises(const Method& method) {
  return std::holds_alternative<BlockDiffusionOptions>(method);
}

Request random_request(Rng& rng, Methods methods) {
  std::vector<int32_t> prompt;
  for (int n = 1 + rng.below(rng.below(3) == 0 ? 150 : 12); n > 0; --n) {
    prompt.push_back(rng.below(9));
  }
  Request request = request_of(std::move(prompt), 1 + rng.below(50), random_method(rng, methods));
  Sampling& sampling = request.sequence.sampling;
  if (rng.below(2) == 0) {
    sampling.temperature = 0.3f + rng.uniform();
    sampling.seed = rng.bits();
    sampling.top_k = rng.below(2) * 6;
    sampling.top_p = rng.below(2) == 0 ? 1.0f : 0.9f;
  }
  if (!denoises(request.method)) {
    if (rng.below(3) == 0) request.sequence.penalties.repetition = 1.2f;
    if (rng.below(3) == 0) request.sequence.penalties.frequency = 0.3f;
  }
  if (!denoises(request.method) && rng.below(3) == 0)
    request.sequence.constraint = random_constraint(rng);
  if (rng.below(3) == 0) request.sequence.penalties.bias = {{.token = 2, .add = 1.5f}};
  if (rng.below(3) > 0) request.eos = {kEos};
  // Of the same length, so that the first to be complete is also the first to begin.
  const std::vector<std::string> stops = {"ca", "ab", "fe", "\xC3\xA9", "dd"};
  for (int n = rng.below(3); n > 0; --n) {
    request.stop.push_back(stops[static_cast<size_t>(rng.below(5))]);
  }
  return request;
}

void expect_same(const Output& a, const Output& b) {
  EXPECT_EQ(a.tokens, b.tokens);
  EXPECT_EQ(a.text, b.text);
  EXPECT_EQ(name_of(a.finish), name_of(b.finish));
}

void expect_consistent(const Output& output, const Method& method, bool was_preempted = false) {
  const RequestStats& stats = output.stats;
  EXPECT_EQ(stats.new_tokens, static_cast<int64_t>(output.tokens.size()));
  if (!was_preempted) {
    const bool from_prompt = !denoises(method) && stats.new_tokens > 0;
    EXPECT_EQ(stats.decoded, stats.new_tokens - (from_prompt ? 1 : 0))
        << "the first token comes from the prompt's pass unless it is denoised";
  }
  int64_t passes = 0, tokens = 0;
  for (size_t a = 0; a < stats.accepted.size(); ++a) {
    passes += stats.accepted[a];
    tokens += stats.accepted[a] * static_cast<int64_t>(a);
  }
  EXPECT_EQ(passes, stats.passes);
  EXPECT_EQ(tokens, stats.decoded);
}

TEST(Engine, GivesWhatPlainDecodingGivesCutByDefinition) {
  const Tokenizer tokenizer = letters();
  std::map<FinishReason, int> finishes;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const MockModel model{.seed = seed, .agreement = rng.uniform()};
    const Request request = random_request(rng, Methods::that_equal_ar);
    const int prompt = static_cast<int>(request.sequence.prompt.size());
    const EvaluatorLimits frame = limits(5 + rng.below(60), 4, prompt + 1 + rng.below(100));
    std::optional<Prices> prices;
    if (rng.below(2) == 0) prices = random_prices(rng);
    const Output output = run_alone(model, frame, tokenizer, request, prices);
    expect_same(output, expected_of(model, frame, tokenizer, request));
    expect_consistent(output, request.method);
    finishes[output.finish] += 1;
    if (HasFailure()) return;
  }
  EXPECT_GT(finishes[FinishReason::stop], 30);
  EXPECT_GT(finishes[FinishReason::length], 30);
  EXPECT_GT(finishes[FinishReason::context], 5);
  EXPECT_GT(finishes[FinishReason::no_choice], 5);
}

TEST(Engine, EveryRequestGetsInCompanyWhatItGetsAlone) {
  const Tokenizer tokenizer = letters();
  int waited = 0;
  EngineStats stats;
  for (uint64_t seed = 0; seed < 160; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(1000 + seed);
    const MockModel model{.seed = seed, .agreement = rng.uniform()};
    const EvaluatorLimits frame = limits(6 + rng.below(60), 4 + rng.below(4), 160 + rng.below(60));
    MockEvaluator evaluator(model, frame);
    Engine engine(evaluator, &tokenizer);
    if (rng.below(2) == 0) engine.share_prefixes();
    if (rng.below(2) == 0) engine.set_prices(random_prices(rng), PriceUse::fixed);
    std::map<RequestId, Request> requests;
    Outputs outputs;
    for (int n = 2 + rng.below(8); n > 0; --n) {
      Request request = random_request(rng, Methods::all);
      if (rng.below(3) > 0) {  // a long one
        request.max_new += 120;
        request.eos.clear();
        request.stop.clear();
      }
      std::vector<int32_t>& prompt = request.sequence.prompt;
      if (prompt.size() < 80)
        prompt.insert(prompt.begin(), static_cast<size_t>(rng.below(2)) * 70, 3);
      const auto id = engine.submit(request);
      EXPECT_TRUE(id.ok() || !facts_of(request.method).equals_ar) << id.error().message;
      if (!id.ok()) continue;  // what it depends on does not fit these passes
      requests.emplace(*id, request);
      for (int steps = rng.below(5); steps > 0; --steps) {
        for (const Update& update : engine.step()) outputs[update.id].add(update);
        waited += engine.waiting();
      }
    }
    collect(engine, outputs);
    EXPECT_EQ(engine.pages().available(), frame.pages) << "a page is lost";
    for (const auto& [id, request] : requests) {
      EvaluatorLimits others = frame;
      others.max_rows = 30 + rng.below(60);
      expect_same(outputs[id], run_alone(model, others, tokenizer, request));
      expect_consistent(outputs[id], request.method, engine.stats().preemptions > 0);
    }
    stats.prefix_hits += engine.stats().prefix_hits;
    stats.preemptions += engine.stats().preemptions;
    if (HasFailure()) return;
  }
  EXPECT_GT(waited, 100) << "no test of admission";
  EXPECT_GT(stats.prefix_hits, 1000) << "no test of shared keys";
  EXPECT_GT(stats.preemptions, 10) << "no test of preemption";
}

// Rows are carried where they pay: whole drafts where they are free and right, next to none where
// they are dear or wrong.
TEST(Engine, SpendsRowsByWhatTheyCostAndBring) {
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

// Guesses that are looked up cost nothing but their rows.
TEST(Engine, LooksUpGuessesWhereTheyPay) {
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
TEST(Engine, CarriesFewerRowsBehindManyKeys) {
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

TEST(Engine, WhatOvershootsIsCutFromTheStatisticsToo) {
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

TEST(Engine, TellsOfPassesThatBringNoToken) {
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

TEST(Engine, TellsHowGuessesFared) {
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

TEST(Engine, TellsWhatBecameOfRows) {
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

TEST(Engine, ExplainsEveryPassWhenAsked) {
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

TEST(Engine, SecondCandidatesAreOfferedByHowOftenTheyAreRight) {
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

TEST(Engine, EveryRequestGetsItsOwnNextDraft) {
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

TEST(Engine, AnEndOfTextTokenInTheMiddleOfAStepEndsTheOutput) {
  const Tokenizer tokenizer = letters();
  const MockModel model{.seed = 8, .agreement = 1};
  Request request = request_of({1}, 40, tidar_of(8));
  const Output whole = run_alone(model, limits(100, 4), tokenizer, request);
  const int32_t fifth = whole.tokens[4];
  const auto first = std::find(whole.tokens.begin(), whole.tokens.end(), fifth);
  request.eos = {fifth};
  const Output cut = run_alone(model, limits(100, 4), tokenizer, request);
  EXPECT_EQ(cut.tokens, std::vector<int32_t>(whole.tokens.begin(), first + 1));
  EXPECT_EQ(cut.finish, FinishReason::stop);
  EXPECT_EQ(cut.text,
            tokenizer.decode(std::vector<int32_t>(whole.tokens.begin(), first), SkipSpecial::yes));
  expect_consistent(cut, request.method);
}

TEST(Engine, RowsAreSharedSoThatNobodyStarves) {
  // Mixing requests take 20 rows or none, so of four only one fits into each pass.
  const MockModel model{.seed = 4, .agreement = 0.3};
  MockEvaluator evaluator(model, limits(20, 20));
  Engine engine(evaluator);
  std::map<RequestId, int> last_news;
  for (int i = 0; i < 4; ++i) {
    const RequestId id = engine.submit(request_of({1, 2, i}, 40, tidar_of(4, 0.5f))).value();
    last_news[id] = 0;
  }
  for (int step = 1; !engine.idle(); ++step) {
    for (const Update& update : engine.step()) {
      EXPECT_LE(step - last_news[update.id], 4);
      last_news[update.id] = step;
    }
  }
}

// Whoever found no room is first in the next pass, so that of n requests none waits for n passes,
// whatever rows cost and whoever is in its company.
TEST(Engine, NobodyWaitsUntilAllOthersHadTwoTurns) {
  int longest = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    MockEvaluator evaluator({.seed = seed, .agreement = rng.uniform()},
                            limits(4 + rng.below(20), 4000));
    Engine engine(evaluator);
    if (rng.below(4) > 0) engine.set_prices(random_prices(rng), PriceUse::fixed);
    std::map<RequestId, int> last_rows;
    for (int wanted = 2 + rng.below(30); wanted > 0; --wanted) {
      Request request = random_request(rng, Methods::all);
      request.stop.clear();
      request.explain = true;
      const auto id = engine.submit(std::move(request));
      if (id) last_rows[*id] = 0;  // some need larger passes
    }
    const auto requests = static_cast<int>(last_rows.size());
    for (int step = 1; !engine.idle(); ++step) {
      for (const Update& update : engine.step()) {
        const int waited = step - last_rows[update.id] - 1;
        EXPECT_LT(waited, requests);
        longest = std::max(longest, waited);
        last_rows[update.id] = step;
      }
    }
  }
  EXPECT_GT(longest, 3);
}

TEST(Engine, DecodingGoesOnWhileALongPromptIsRead) {
  const MockModel model{.seed = 5};
  MockEvaluator evaluator(model, limits(16, 40));
  Engine engine(evaluator);
  const RequestId quick = engine.submit(request_of({1}, 30)).value();
  Outputs outputs;
  for (const Update& update : engine.step()) outputs[update.id].add(update);
  const RequestId slow = engine.submit(request_of(std::vector<int32_t>(600, 3), 2)).value();
  int steps_of_slow = 0;
  while (outputs[slow].tokens.empty()) {
    const size_t before = outputs[quick].tokens.size();
    for (const Update& update : engine.step()) outputs[update.id].add(update);
    const bool decoded = outputs[quick].tokens.size() > before;
    EXPECT_TRUE(decoded || outputs[quick].finish == FinishReason::length);
    ++steps_of_slow;
  }
  // 15 rows a pass beside the other's one, then all 16.
  EXPECT_LE(steps_of_slow, 41);
}

TEST(Engine, PagesForDraftsArePromised) {
  // 64 keys of text are a page; drafts that are written behind them need another.
  const MockModel model{.seed = 4, .agreement = 1};
  for (const Method& method : {Method(tidar_of(8)), Method(LookupMethodOptions{}),
                               Method(SelfSpeculativeOptions{.draft_length = 8})}) {
    MockEvaluator evaluator(model, limits(200, 3));
    Engine engine(evaluator);
    for (int i = 0; i < 3; ++i) {
      // A text of one token, so that lookup drafts as well.
      Request request = request_of(std::vector<int32_t>(30, 5), 34, method);
      request.sequence.penalties.bias = {{.token = 5, .add = 100}};
      ASSERT_TRUE(engine.submit(request).ok());
    }
    Outputs outputs;
    collect(engine, outputs);
    for (const auto& [id, output] : outputs) EXPECT_EQ(output.tokens.size(), 34u);
  }
}

// Whose texts begin alike reads the beginning once, whatever the methods that read causally.
TEST(Engine, APromptThatWasReadIsNotReadAgain) {
  const MockModel model{.seed = 4};
  Request request = request_of(std::vector<int32_t>(200, 3), 10);
  for (const Method& method :
       {Method(ArOptions{}), Method(tidar_of(3)), Method(tidar_of(3, 0.5f)),
        Method(BlockDiffusionOptions{.block_size = 4}),
        Method(BlockDiffusionOptions{.block_size = 4, .keys = BlockKeys::block})}) {
    MockEvaluator evaluator(model, limits(300, 20));
    Engine engine(evaluator);
    engine.share_prefixes();
    Outputs outputs;
    const auto run = [&](Method how) {
      request.method = std::move(how);
      const RequestId id = engine.submit(request).value();
      collect(engine, outputs);
      return outputs[id].stats.cached_tokens;
    };
    EXPECT_EQ(run(ArOptions{}), 0);
    const bool causal = facts_of(method).causal_keys;
    EXPECT_EQ(run(method), causal ? 192 : 0);
    EXPECT_EQ(run(method), causal ? 192 : 0) << "its own keys are no other's";
    request.sequence.score_prompt = true;
    if (facts_of(method).equals_ar) {
      EXPECT_EQ(run(method), 0) << "every row is asked";
    }
    request.sequence.score_prompt = false;
    EXPECT_EQ(engine.pages().available(), 20);
  }
}

// The one that came first goes on, whatever comes behind it; whoever waits goes on where it was.
TEST(Engine, TheFirstNeverGivesItsPagesBack) {
  const MockModel model{.seed = 4};
  const EvaluatorLimits frame = limits(64, 6);
  MockEvaluator evaluator(model, frame);
  Engine engine(evaluator);
  Outputs outputs;
  std::vector<RequestId> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(engine.submit(request_of({1, i}, 370)).value());
  for (const RequestId first : ids) {
    while (outputs[first].finish == FinishReason::none) {
      const size_t before = outputs[first].tokens.size();
      for (const Update& update : engine.step()) outputs[update.id].add(update);
      const bool reads_again = before == outputs[first].tokens.size();
      ASSERT_TRUE(!reads_again || first != ids.front());
    }
  }
  EXPECT_GT(engine.stats().preemptions, 3);
  for (int i = 0; i < 5; ++i) {
    MockEvaluator other(model, frame);
    Engine alone(other);
    const RequestId id = alone.submit(request_of({1, i}, 370)).value();
    Outputs wanted;
    collect(alone, wanted);
    EXPECT_EQ(outputs[ids[static_cast<size_t>(i)]].tokens, wanted[id].tokens);
  }
}

TEST(Engine, NoMoreAreActiveThanItIsTold) {
  MockEvaluator evaluator({.seed = 1}, limits(64, 20));
  Engine engine(evaluator);
  engine.limit_active(2);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(engine.submit(request_of({1, 2, i}, 3 + i)).ok());
  std::vector<int> active;
  while (!engine.idle()) {
    engine.step();
    active.push_back(engine.active());
  }
  EXPECT_EQ(*std::max_element(active.begin(), active.end()), 2);
}

TEST(Engine, WhoKeepsNoKeysNeedsNoPages) {
  MockEvaluator evaluator({.seed = 1}, limits(400, 1));
  Engine engine(evaluator);
  const MaskedDiffusionOptions masked{.length = 80, .steps = 4};
  ASSERT_TRUE(engine.submit(request_of({1, 2, 3}, 60)).ok());
  ASSERT_TRUE(engine.submit(request_of({1, 2}, 80, masked)).ok());
  ASSERT_TRUE(engine.submit(request_of({3}, 80, masked)).ok());
  Outputs outputs;
  for (const Update& update : engine.step()) outputs[update.id].add(update);
  EXPECT_EQ(engine.waiting(), 0);
  collect(engine, outputs);
  EXPECT_EQ(outputs[2].stats.new_tokens, 80);
}

TEST(Engine, ARequestWithoutAChoiceEndsAloneAndSaysWhy) {
  const Tokenizer tokenizer = letters();
  const MockModel model{.seed = 8};
  const EvaluatorLimits frame = limits(200, 8);
  for (const MethodInfo& info : all_methods()) {
    if (info.name == "speculative") continue;  // needs another model
    SCOPED_TRACE(info.name);
    Request good = request_of({1, 2, 3}, 20, info.make());
    if (auto* masked = std::get_if<MaskedDiffusionOptions>(&good.method)) masked->length = 20;
    Request forbidden = good;
    for (int32_t token = 0; token < 11; ++token) {
      forbidden.sequence.penalties.bias.push_back(
          {.token = token, .add = -std::numeric_limits<float>::infinity()});
    }
    forbidden.sequence.sampling = {.temperature = 1, .top_k = 5};
    MockEvaluator evaluator(model, frame);
    Engine engine(evaluator, &tokenizer);
    const RequestId bad_id = engine.submit(forbidden).value();
    const RequestId good_id = engine.submit(good).value();
    Outputs outputs;
    collect(engine, outputs);
    EXPECT_EQ(outputs[bad_id].finish, FinishReason::no_choice);
    EXPECT_TRUE(outputs[bad_id].tokens.empty());
    EXPECT_EQ(outputs[good_id].tokens, run_alone(model, frame, tokenizer, good).tokens);
  }
}

TEST(Engine, ASequenceThatIsCancelledGivesBackItsPagesAndItsText) {
  const Tokenizer tokenizer = letters();
  const MockModel model{.seed = 6};
  MockEvaluator evaluator(model, limits(32, 2));
  Engine engine(evaluator, &tokenizer);
  Request request = request_of({1, 2}, 100);
  const Output whole = run_alone(model, limits(32, 2), tokenizer, request);
  // Everything could be the beginning of this stop string, so nothing is shown.
  request.stop = {whole.text + "!"};
  engine.limit_active(1);
  const RequestId running = engine.submit(request).value();
  const RequestId waiting = engine.submit(request_of({3}, 100)).value();
  Output output;
  for (int i = 0; i < 5; ++i) {
    for (const Update& update : engine.step()) {
      ASSERT_EQ(update.id, running);
      output.add(update);
    }
  }
  EXPECT_EQ(output.text, "");
  EXPECT_EQ(engine.waiting(), 1);
  output.add(engine.cancel(running).value());
  EXPECT_EQ(output.finish, FinishReason::cancelled);
  EXPECT_EQ(output.text, tokenizer.decode(output.tokens, SkipSpecial::yes));
  EXPECT_FALSE(output.text.empty());
  EXPECT_FALSE(engine.cancel(running).has_value());
  EXPECT_EQ(engine.step().at(0).id, waiting);
  EXPECT_EQ(engine.cancel(waiting)->finish, FinishReason::cancelled);
  EXPECT_TRUE(engine.idle());
}

TEST(Engine, ADeadlineEndsWhatIsAtWorkAndWhatWaits) {
  const Tokenizer tokenizer = letters();
  const MockModel model{.seed = 6};
  MockEvaluator evaluator(model, limits(32, 2));
  Engine engine(evaluator, &tokenizer);
  Engine::Time now{};
  const auto at = [](int second) { return Engine::Time{} + std::chrono::seconds(second); };
  engine.use_clock([&] { return now; });
  engine.limit_active(1);
  Request request = request_of({1, 2}, 100);
  const Output whole = run_alone(model, limits(32, 2), tokenizer, request);
  request.stop = {whole.text + "!"};  // so that nothing is shown before the end
  request.deadline = at(5);
  const RequestId working = engine.submit(request).value();
  Request patient = request_of({3}, 100), hasty = patient;
  hasty.deadline = at(3);
  const RequestId waiting = engine.submit(patient).value();
  const RequestId overdue = engine.submit(hasty).value();
  Outputs outputs;
  for (int second = 0; second < 5; ++second) {
    now = at(second);
    for (const Update& update : engine.step()) outputs[update.id].add(update);
    EXPECT_EQ(engine.waiting(), second < 3 ? 2 : 1);
  }
  EXPECT_EQ(outputs[overdue].finish, FinishReason::deadline);
  EXPECT_TRUE(outputs[overdue].tokens.empty());
  EXPECT_EQ(outputs[working].finish, FinishReason::none);
  EXPECT_EQ(outputs.count(waiting), 0u) << "nobody is let in earlier for his deadline";
  now = at(5);
  for (const Update& update : engine.step()) outputs[update.id].add(update);
  const Output& ended = outputs[working];
  EXPECT_EQ(ended.finish, FinishReason::deadline);
  EXPECT_EQ(ended.tokens.size(), 5u);
  EXPECT_EQ(ended.text, tokenizer.decode(ended.tokens, SkipSpecial::yes));
  EXPECT_FALSE(engine.cancel(working).has_value());
  EXPECT_EQ(outputs[waiting].tokens.size(), 1u) << "the place is free in the same step";
}

TEST(Engine, RunsUntilItIsIdleOrStopped) {
  const MockModel model{.seed = 6};
  MockEvaluator evaluator(model, limits(32, 20));
  Engine engine(evaluator);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(engine.submit(request_of({1, 2, i}, 10)).ok());
  size_t tokens = 0;
  const auto use = [&](const Update& update) -> Result<void> {
    tokens += update.tokens.size();
    return {};
  };
  EXPECT_TRUE(run_until_idle(engine, use, [] { return true; }).ok());
  EXPECT_EQ(tokens, 0u);
  // The second update of a step is one too many; the third is not shown.
  const auto refuse = [&](const Update& update) -> Result<void> {
    if (tokens == 1) return error("enough");
    return use(update);
  };
  const auto refused = run_until_idle(engine, refuse);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message, "enough");
  EXPECT_EQ(tokens, 1u);
  EXPECT_EQ(engine.active(), 3);
  EXPECT_TRUE(run_until_idle(engine, use, [&] { return tokens == 13; }).ok());
  EXPECT_EQ(engine.active(), 3);
  EXPECT_TRUE(run_until_idle(engine, use).ok());
  EXPECT_EQ(tokens, 28u);
  EXPECT_TRUE(engine.idle());
}

TEST(Engine, TheContextLimitEndsTheOutput) {
  const MockModel model{.seed = 7};
  for (const Method& method : {Method(ArOptions{}), Method(tidar_of(4))}) {
    // Two pages hold 128 keys, fewer than the positions that there are.
    MockEvaluator evaluator(model, limits(32, 2));
    Engine engine(evaluator);
    const RequestId id = engine.submit(request_of({1, 2, 3}, 1000, method)).value();
    Outputs outputs;
    collect(engine, outputs);
    EXPECT_EQ(outputs[id].finish, FinishReason::context);
    EXPECT_EQ(outputs[id].tokens.size(), 125u);
  }
}

TEST(Engine, SaysWhatIsWrongWithARequest) {
  const MockModel model;
  MockEvaluator evaluator(model, limits(8, 2));
  Engine engine(evaluator);
  const auto message = [&](const Request& request) {
    const auto result = engine.submit(request);
    return result.ok() ? "accepted" : result.error().message;
  };
  const auto holds = [](const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  };
  Request request = request_of({1}, 5);
  EXPECT_EQ(message(request), "accepted");
  EXPECT_PRED2(holds, message(request_of({}, 5)), "prompt");
  EXPECT_PRED2(holds, message(request_of({1, 11}, 5)), "11");
  EXPECT_PRED2(holds, message(request_of({1}, 0)), "at least 1");
  EXPECT_PRED2(holds, message(request_of(std::vector<int32_t>(128, 1), 5)), "128");
  request.stop = {"x"};
  EXPECT_PRED2(holds, message(request), "tokenizer");
  request = request_of({1}, 5, tidar_of(4));
  request.sequence.mask_token = -1;
  EXPECT_PRED2(holds, message(request), "mask token");
  request = request_of({1}, 5, tidar_of(0));
  EXPECT_PRED2(holds, message(request), "draft length");
  request = request_of({1}, 5, BlockDiffusionOptions{.block_size = 4});
  EXPECT_EQ(message(request), "accepted");
  request.sequence.penalties.presence = 1;
  EXPECT_PRED2(holds, message(request), "penalties");
  EXPECT_PRED2(holds, message(request_of({1}, 8, MaskedDiffusionOptions{.length = 8})), "8 rows");
  EXPECT_PRED2(holds, message(request_of({1}, 5, SpeculativeOptions{})), "drafter");
  request = request_of({1}, 5);
  request.sequence.sampling.temperature = -1;
  EXPECT_PRED2(holds, message(request), "temperature");

  const Tokenizer tokenizer = letters();
  Engine with_text(evaluator, &tokenizer);
  request = request_of({1}, 5);
  request.stop = {"a", ""};
  EXPECT_PRED2(holds, with_text.submit(request).error().message, "empty");
}

/// The answers that a text's own rows give about its tokens from the second on, and about what
/// comes behind it: one pass of all rows, without a cache.
std::vector<Answer> read_at_once(const MockModel& model, const std::vector<int32_t>& text,
                                 int top) {
  std::vector<int32_t> positions;
  std::vector<std::string> allowed;
  for (size_t i = 0; i < text.size(); ++i) {
    positions.push_back(static_cast<int32_t>(i));
    allowed.push_back(std::string(i + 1, '1') + std::string(text.size() - i - 1, '0'));
  }
  const auto logits = dense_logits(model, text, positions, allowed);
  std::vector<Answer> answers;
  for (size_t i = 1; i < text.size(); ++i) {
    answers.push_back(mock_answer({.kind = AskKind::score, .token = text[i], .top = top},
                                  logits[i - 1], nullptr));
  }
  return answers;
}

void expect_listed(const std::vector<ListedToken>& found, const std::vector<ListedToken>& wanted) {
  ASSERT_EQ(found.size(), wanted.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].token, wanted[i].token);
    EXPECT_EQ(found[i].logprob, wanted[i].logprob);
  }
}

// Whatever the method, and however a prompt is cut by the passes that it shares.
TEST(Engine, ScoresOfThePromptAndListsAreThoseOfTheWholeText) {
  const Tokenizer tokenizer = letters();
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Rng rng(seed);
    const MockModel model{.seed = seed};
    MockEvaluator evaluator(model, limits(8 + rng.below(40), 5));
    Engine engine(evaluator, &tokenizer);
    if (rng.below(2) == 0) engine.share_prefixes();
    std::map<RequestId, Request> requests;
    for (int i = 0; i < 6; ++i) {
      Request request = random_request(rng, Methods::that_equal_ar);
      request.sequence.top = rng.below(4);
      request.sequence.score_prompt = rng.below(4) > 0;
      auto id = engine.submit(request);
      if (id.ok()) requests.emplace(*id, std::move(request));
    }
    std::map<RequestId, Update> sums;
    while (!engine.idle()) {
      for (const Update& update : engine.step()) {
        Update& sum = sums[update.id];
        sum.tokens.insert(sum.tokens.end(), update.tokens.begin(), update.tokens.end());
        sum.listed.insert(sum.listed.end(), update.listed.begin(), update.listed.end());
        sum.scores.insert(sum.scores.end(), update.scores.begin(), update.scores.end());
      }
    }
    for (const auto& [id, request] : requests) {
      const SequenceSpec& spec = request.sequence;
      const Update& sum = sums[id];
      std::vector<int32_t> text = spec.prompt;
      for (const TokenLogprob& token : sum.tokens) text.push_back(token.token);
      const auto expected = read_at_once(model, text, spec.top);
      const size_t behind = spec.prompt.size() - 1;
      ASSERT_EQ(sum.scores.size(), spec.score_prompt ? behind : 0);
      for (size_t i = 0; i < sum.scores.size(); ++i) {
        EXPECT_EQ(sum.scores[i].token, expected[i].token);
        EXPECT_EQ(sum.scores[i].logprob, expected[i].logprob);
        expect_listed(sum.scores[i].top, expected[i].top);
      }
      ASSERT_EQ(sum.listed.size(), spec.top > 0 ? sum.tokens.size() : 0);
      for (size_t i = 0; i < sum.listed.size(); ++i) {
        EXPECT_EQ(sum.tokens[i].logprob, expected[behind + i].logprob);
        expect_listed(sum.listed[i], expected[behind + i].top);
      }
    }
  }
}

// Its rows need not be read causally.
TEST(Engine, BlockDiffusionScoresNoPrompt) {
  MockEvaluator evaluator(MockModel{}, limits(16, 8));
  Engine engine(evaluator);
  Request request = request_of({1, 2, 3}, 4, BlockDiffusionOptions{.block_size = 4});
  request.sequence.score_prompt = true;
  const auto refused = engine.submit(request);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("use ar"), std::string::npos);
  request.sequence.score_prompt = false;
  request.sequence.top = 2;
  ASSERT_TRUE(engine.submit(request).ok());
  size_t listed = 0, tokens = 0;
  while (!engine.idle()) {
    for (const Update& update : engine.step()) {
      tokens += update.tokens.size();
      listed += update.listed.size();
      for (const auto& list : update.listed) EXPECT_EQ(list.size(), 2u);
    }
  }
  EXPECT_EQ(listed, tokens);
}

}  // namespace
}  // namespace tidar
