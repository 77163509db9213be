#pragma once
// For tests of the engine: a small tokenizer, requests of all kinds, and what comes of them.

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "decode/constraint_testing.h"
#include "decode/mock_evaluator_testing.h"
#include "engine/engine.h"
#include "text/small_tokenizer_testing.h"

namespace tidar {

constexpr int32_t kEos = 9;
constexpr int32_t kMask = 10;

/// a … f, the two bytes of é, "ab", an end-of-text token and a mask.
inline Tokenizer letters() {
  nlohmann::json json = small_tokenizer({});
  nlohmann::json vocabulary = nlohmann::json::object();
  const std::vector<std::string> texts = {"a", "b", "c", "d", "e", "f", "\xC3", "\xA9", "ab"};
  for (size_t id = 0; id < texts.size(); ++id) vocabulary[byte_level_text(texts[id])] = id;
  json["model"]["vocab"] = vocabulary;
  json["model"]["merges"] = {"a b"};
  json["added_tokens"] = {added_token(kEos, "<eos>", true), added_token(kMask, "<mask>", true)};
  return Tokenizer::parse(json.dump(), "letters").value();
}

inline EvaluatorLimits limits(int max_rows, int pages, int max_position = 1000) {
  return {.max_rows = max_rows, .pages = pages, .max_position = max_position, .vocabulary = 11};
}

inline Request request_of(std::vector<int32_t> prompt, int max_new, Method method = ArOptions{}) {
  Request request;
  request.sequence.prompt = std::move(prompt);
  request.sequence.mask_token = kMask;
  request.method = std::move(method);
  request.max_new = max_new;
  return request;
}

inline TidarOptions tidar_of(int draft_length, float trust = 1) {
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

inline void collect(Engine& engine, Outputs& outputs) {
  for (int steps = 0; !engine.idle(); ++steps) {
    ASSERT_LT(steps, 100000) << "the engine makes no progress";
    for (const Update& update : engine.step()) outputs[update.id].add(update);
  }
}

/// Anything from rows that are free to rows that cost as much as a pass, with steps in between.
inline Prices random_prices(Rng& rng) {
  std::vector<PricePoint> points = {{1, 1e-3}};
  while (points.size() < 6) {
    const double slope = rng.below(3) == 0 ? 0 : rng.uniform() * rng.uniform();
    const int rows = 1 + rng.below(12);
    points.push_back({points.back().rows + rows, points.back().seconds + slope * rows * 1e-3});
  }
  return Prices(points, {{1, rng.uniform() * 1e-4}}, {rng.below(100), rng.uniform() * 1e-6});
}

inline Output run_alone(const MockModel& model, const EvaluatorLimits& frame,
                        const Tokenizer& tokenizer, const Request& request,
                        const std::optional<Prices>& prices = std::nullopt) {
  MockEvaluator evaluator(model, frame);
  Engine engine(evaluator, &tokenizer);
  if (prices) engine.set_prices(*prices, PriceUse::fixed);
  const RequestId id = engine.submit(request).value();
  Outputs outputs;
  collect(engine, outputs);
  return outputs[id];
}

/// Which methods a random request may have.
enum class Methods : uint8_t { that_equal_ar, all };

inline Method random_method(Rng& rng, Methods methods) {
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

inline bool denoises(const Method& method) {
  return std::holds_alternative<BlockDiffusionOptions>(method);
}

inline Request random_request(Rng& rng, Methods methods) {
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

}  // namespace tidar
