#include "engine/engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <vector>

#include "decode/drive_testing.h"
#include "engine/engine_testing.h"

namespace tidar {
namespace {

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

}  // namespace
}  // namespace tidar
