#include "decode/tidar.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <numeric>

#include "decode/constraint_testing.h"
#include "decode/drive_testing.h"
#include "decode/text_testing.h"

namespace tidar {
namespace {

using Tokens = std::vector<int32_t>;

constexpr std::array kDraftLengths = {1, 2, 3, 4, 8, 16};

EvaluatorLimits roomy() {
  return {.max_rows = 512, .pages = 64, .max_position = 300, .vocabulary = 11};
}

// A random subset of the groups 1 … K, in random order; perhaps empty. Or some of the likeliest.
GroupPolicy random_groups(Rng& rng, int draft_length) {
  if (rng.below(4) == 0)
    return {.kind = GroupPolicy::Kind::likeliest, .count = 1 + rng.below(draft_length)};
  std::vector<int> kept;
  for (int j = 1; j <= draft_length; ++j)
    if (rng.below(2) == 0)
      kept.insert(kept.begin() + rng.below(static_cast<int>(kept.size()) + 1), j);
  return only_groups(kept);
}

// Often none.
int random_guessed(Rng& rng) { return rng.below(2) * rng.below(5); }

struct TidarBench {
  explicit TidarBench(const MockModel& model, const EvaluatorLimits& limits = roomy())
      : evaluator(model, limits), pool(limits.pages) {}

  Driven ar(const SequenceSpec& spec, int wanted) {
    return {
        .decoder = make_decoder(ArOptions{}, spec, SequenceCache(pool), evaluator.limits()).value(),
        .wanted = wanted};
  }
  Driven tidar(const SequenceSpec& spec, const TidarOptions& options, int wanted) {
    return {.decoder = make_decoder(options, spec, SequenceCache(pool), evaluator.limits()).value(),
            .wanted = wanted};
  }

  MockEvaluator evaluator;
  PagePool pool;
};

Tokens first(Tokens tokens, int count) {
  tokens.resize(static_cast<size_t>(count));
  return tokens;
}

class Seeds : public testing::TestWithParam<uint64_t> {
 protected:
  Rng rng{GetParam()};
};

using Ar = Seeds;
using Tidar = Seeds;

TEST_P(Ar, IsWhatPlainDecodingGives) {
  const MockModel model = random_model(rng);
  const SequenceSpec spec = random_spec(rng);
  TidarBench bench(model);
  Driven ar = bench.ar(spec, 12);
  drive(bench.evaluator, ar, [&](int) { return 1 + rng.below(30); });
  EXPECT_EQ(ar.tokens(), plain_ar(model, spec, 12));
  EXPECT_EQ(ar.totals.passes, 11);
  EXPECT_EQ(ar.totals.committed, 11);
  EXPECT_EQ(ar.totals.accepted, (std::vector<int64_t>{0, 11}));
}

constexpr int kWantedTokens = 30;  // tokens

// Whatever the draft length, the groups and the rows that passes grant. Where nothing is allowed
// any more, the text fails where that of AR does. Returns how many tokens AR gives.
size_t expect_the_tokens_of_ar(Rng& rng, const MockModel& model, const SequenceSpec& spec) {
  const Tokens truth = plain_ar(model, spec, kWantedTokens);
  for (const int draft_length : kDraftLengths) {
    SCOPED_TRACE(testing::Message() << "draft length " << draft_length);
    for (const GroupPolicy& groups :
         {GroupPolicy(), no_groups(), only_groups({1}), random_groups(rng, draft_length)}) {
      TidarBench bench(model);
      const TidarOptions options{
          .draft_length = draft_length, .groups = groups, .guessed = random_guessed(rng)};
      Driven roomy = bench.tidar(spec, options, kWantedTokens);
      drive(bench.evaluator, roomy);
      Driven cramped = bench.tidar(spec, options, kWantedTokens);
      drive(bench.evaluator, cramped, [&](int) { return 1 + rng.below(2 + 3 * draft_length); });
      for (const Driven* const driven : {&roomy, &cramped}) {
        EXPECT_EQ(first(driven->tokens(), static_cast<int>(truth.size())), truth);
        EXPECT_TRUE(truth.size() == kWantedTokens || driven->decoder->phase() == Phase::failed);
      }
    }
  }
  return truth.size();
}

// The promise of trust 1: the tokens of AR at every temperature, under penalties and cuts.
TEST_P(Tidar, AtTrustOneEmitsTheTokensOfAr) {
  const MockModel model = random_model(rng);
  const SequenceSpec spec = random_spec(rng);
  EXPECT_EQ(expect_the_tokens_of_ar(rng, model, spec), size_t{kWantedTokens});
}

// The same where the output is constrained: what is allowed is asked along the draft.
TEST_P(Tidar, UnderAConstraintEmitsTheTokensOfAr) {
  const MockModel model = random_model(rng);
  SequenceSpec spec = random_spec(rng);
  spec.constraint = random_constraint(rng);
  expect_the_tokens_of_ar(rng, model, spec);
}

// Below trust 1, where there is no AR to compare with, every token is still an allowed one.
TEST_P(Tidar, BelowTrustOneKeepsToItsConstraint) {
  const MockModel model = random_model(rng);
  SequenceSpec spec = random_spec(rng);
  spec.constraint = random_constraint(rng);
  TidarBench bench(model);
  Driven tidar = bench.tidar(spec, {.draft_length = 4, .trust = rng.uniform()}, 40);
  drive(bench.evaluator, tidar);
  auto constraint = spec.constraint;
  for (const int32_t token : tidar.tokens()) {
    constraint = constraint->after(token);
    ASSERT_NE(constraint, nullptr);
  }
}

// What masks say depends on how many stand together, so below trust 1 a step is planned whole: the
// tokens and their log-probabilities are the same whatever the rows that passes grant.
TEST_P(Tidar, BelowTrustOneRowBudgetsChangeNothing) {
  const MockModel model = random_model(rng);
  const SequenceSpec spec = random_spec(rng);
  for (const int draft_length : kDraftLengths) {
    SCOPED_TRACE(testing::Message() << "draft length " << draft_length);
    const TidarOptions options{
        .draft_length = draft_length,
        .trust = rng.uniform(),
        .groups = rng.below(2) == 0 ? random_groups(rng, draft_length) : GroupPolicy()};
    TidarBench bench(model);
    Driven roomy = bench.tidar(spec, options, 30);
    drive(bench.evaluator, roomy);

    EvaluatorLimits least = bench.evaluator.limits();
    least.max_rows = rows_of_whole_step(draft_length);
    TidarBench cramped(model, least);
    Driven other = cramped.tidar(spec, options, 30);
    drive(cramped.evaluator, other, [&](int left) { return 1 + rng.below(left); });
    ASSERT_EQ(other.tokens(), roomy.tokens());
    expect_same_logprobs(other.output, roomy.output, roomy.output.size());
    EXPECT_EQ(other.totals.accepted, roomy.totals.accepted);

    least.max_rows -= 1;
    const auto refused = make_decoder(options, spec, SequenceCache(cramped.pool), least);
    ASSERT_FALSE(refused.ok());
    EXPECT_NE(refused.error().message.find("trust below 1 needs passes of"), std::string::npos)
        << refused.error().message;
  }
}

// The log-probabilities of a token are those of the causal reading: before penalties and
// temperature, and after them.
TEST_P(Tidar, LogprobsAreThoseOfAr) {
  const MockModel model = random_model(rng);
  const SequenceSpec spec = random_spec(rng);
  TidarBench bench(model);
  Driven ar = bench.ar(spec, 20);
  Driven tidar = bench.tidar(spec, {.draft_length = 4, .guessed = random_guessed(rng)}, 20);
  drive(bench.evaluator, ar);
  drive(bench.evaluator, tidar);
  expect_same_logprobs(tidar.output, ar.output, 20);
}

// Every row of a step sees what it would see in a pass of its own, without a cache: draft i in a
// pass over the text and d_0 … d_i, group j in a pass over the text, d_0 … d_{j-1} and its masks.
TEST_P(Tidar, RowsOfAStepAreThoseOfPassesAlone) {
  const MockModel model = random_model(rng);
  const SequenceSpec spec = random_spec(rng);
  const int draft_length = kDraftLengths[static_cast<size_t>(rng.below(6))];
  TidarBench bench(model);
  const TidarOptions options{
      .draft_length = draft_length,
      .trust = static_cast<float>(rng.below(3)) / 2,
      .groups = rng.below(2) == 0 ? random_groups(rng, draft_length) : GroupPolicy()};
  Driven tidar = bench.tidar(spec, options, 1 + rng.below(20));
  drive(bench.evaluator, tidar);

  Pass pass;
  pass.clear();
  tidar.decoder->plan(pass, 512);
  std::vector<Answer> answers(pass.asks.size());
  bench.evaluator.evaluate(pass, answers);
  const PassSequence& step = pass.sequences[0];
  Tokens text = spec.prompt;
  const Tokens output = tidar.tokens();
  text.insert(text.end(), output.begin(), output.end() - 1);
  ASSERT_EQ(step.cached, static_cast<int>(text.size()));

  const auto logits_of = [&](int32_t row) {
    const Ask ask{.kind = AskKind::logits, .row = row};
    Answer answer;
    bench.evaluator.answer({ask}, {&answer, 1});
    return answer.logits;
  };
  const Tokens drafts(pass.tokens.begin(), pass.tokens.begin() + step.stored);
  EXPECT_EQ(drafts[0], output.back());
  for (int32_t i = 0; i < step.stored; ++i) {
    text.push_back(drafts[static_cast<size_t>(i)]);
    EXPECT_EQ(logits_of(i), causal_logits(model, text)) << "draft " << i;
  }
  for (int32_t row = step.stored; row < pass.rows();) {
    const Sight& sight = pass.sights[static_cast<size_t>(row)];
    const int masks = sight.block.size(), length = sight.prefix.to;
    Tokens tokens = first(text, length);
    tokens.resize(static_cast<size_t>(length + masks), model.mask_token);
    std::vector<int32_t> positions(tokens.size());
    std::iota(positions.begin(), positions.end(), 0);
    std::vector<std::string> allowed;
    for (int i = 0; i < length + masks; ++i) {
      const auto seen = static_cast<size_t>(i < length ? i + 1 : length + masks);
      allowed.push_back(std::string(seen, '1') + std::string(tokens.size() - seen, '0'));
    }
    const auto alone = dense_logits(model, tokens, positions, allowed);
    for (int m = 0; m < masks; ++m)
      EXPECT_EQ(logits_of(row + m), alone[static_cast<size_t>(length + m)])
          << "group " << length - step.cached << " mask " << m;
    row += masks;
  }
}

// After any number of steps the cache is what one causal pass over the text would have left, though
// rejected drafts were written behind it all the time.
TEST_P(Tidar, KeysAreThoseOfOnePrefill) {
  const MockModel model = random_model(rng);
  const SequenceSpec spec = random_spec(rng);
  TidarBench bench(model);
  const int draft_length = kDraftLengths[static_cast<size_t>(rng.below(6))];
  Driven tidar = bench.tidar(spec,
                             {.draft_length = draft_length,
                              .groups = random_groups(rng, draft_length),
                              .guessed = random_guessed(rng)},
                             1 + rng.below(80));
  drive(bench.evaluator, tidar);
  // The key of a guessed token is moved by the pass after the one that accepts it.
  for (; tidar.decoder->report().guessed_right; drive(bench.evaluator, tidar))
    tidar.wanted = static_cast<int>(tidar.output.size()) + 1;
  Tokens text = spec.prompt;
  const Tokens output = tidar.tokens();
  text.insert(text.end(), output.begin(), output.end() - 1);
  const auto size = static_cast<int>(text.size());

  TidarBench fresh(model);
  SequenceCache cache(fresh.pool);
  ASSERT_TRUE(cache.reserve(size));
  Pass pass;
  pass.begin_sequence(cache);
  add_causal(pass, text, Keep::page);
  fresh.evaluator.evaluate(pass, {});
  EXPECT_EQ(bench.evaluator.keys(tidar.pages, size), fresh.evaluator.keys(cache.pages(), size));
}

// Decoders of all methods share passes; each gets exactly what it gets alone.
TEST_P(Tidar, CompanyChangesNothing) {
  EvaluatorLimits limits = roomy();
  limits.max_rows = 4096;
  const MockModel model = random_model(rng);
  TidarBench bench(model, limits);
  std::vector<Driven> together;
  std::vector<std::vector<TokenLogprob>> alone;
  std::vector<Totals> alone_totals;
  for (int i = 0; i < 7; ++i) {
    const SequenceSpec spec = random_spec(rng);
    const int wanted = 1 + rng.below(40);
    const int draft_length = kDraftLengths[static_cast<size_t>(rng.below(6))];
    TidarOptions options{.draft_length = draft_length,
                         .trust = rng.uniform() < 0.5f ? 1 : rng.uniform(),
                         .groups = random_groups(rng, draft_length)};
    if (options.trust == 1) options.guessed = random_guessed(rng);
    const bool is_ar = rng.below(4) == 0;
    const auto make = [&](TidarBench& at) {
      return is_ar ? at.ar(spec, wanted) : at.tidar(spec, options, wanted);
    };
    TidarBench own(model, limits);
    Driven single = make(own);
    drive(own.evaluator, single);
    alone.push_back(single.output);
    alone_totals.push_back(single.totals);
    together.push_back(make(bench));
  }
  std::vector<Driven*> all;
  for (Driven& driven : together) all.push_back(&driven);
  drive(bench.evaluator, all);
  for (size_t i = 0; i < together.size(); ++i) {
    SCOPED_TRACE(testing::Message() << "sequence " << i);
    ASSERT_EQ(together[i].output.size(), alone[i].size());
    for (size_t t = 0; t < alone[i].size(); ++t) {
      EXPECT_EQ(together[i].output[t].token, alone[i][t].token);
      EXPECT_EQ(together[i].output[t].logprob, alone[i][t].logprob);
      EXPECT_EQ(together[i].output[t].policy_logprob, alone[i][t].policy_logprob);
    }
    EXPECT_EQ(together[i].totals.accepted, alone_totals[i].accepted);
  }
}

// Too few pages for all: some wait, and still get the tokens they would have got.
TEST_P(Tidar, WaitsForPages) {
  EvaluatorLimits limits = roomy();
  limits.pages = 3;
  const MockModel model = random_model(rng);
  TidarBench bench(model, limits);
  SequenceSpec spec;
  spec.prompt = random_text(rng, 40);
  spec.mask_token = 10;
  const TidarOptions options{.draft_length = 4, .guessed = random_guessed(rng)};
  std::vector<Driven> all;
  for (int i = 0; i < 2; ++i) all.push_back(bench.tidar(spec, options, 60));
  Driven* both[] = {&all[0], &all[1]};
  Pass pass;
  while (drive_pass(bench.evaluator, pass, both)) {
    for (Driven& driven : all) {
      if (!driven.done() || driven.output.empty()) continue;
      EXPECT_EQ(first(driven.tokens(), 60), plain_ar(model, spec, 60));
      driven.decoder.reset();  // gives its pages back
      driven = bench.tidar(spec, options, 0);
    }
  }
  EXPECT_TRUE(all[0].done() && all[1].done());
  EXPECT_EQ(bench.pool.available(), bench.pool.capacity());
}

// At the context limit the very last position is filled, and no pass holds one beyond it (the mock
// stops the program otherwise).
TEST_P(Tidar, FillsTheContextToItsLastPosition) {
  EvaluatorLimits limits = roomy();
  limits.max_position = 2 + rng.below(40);
  const MockModel model = random_model(rng);
  SequenceSpec spec = random_spec(rng);
  spec.prompt = random_text(rng, 1 + rng.below(limits.max_position - 1));
  const int room = limits.max_position - static_cast<int>(spec.prompt.size());
  const Tokens truth = plain_ar(model, spec, room);
  TidarBench bench(model, limits);
  Driven ar = bench.ar(spec, 1000);
  drive(bench.evaluator, ar);
  EXPECT_EQ(ar.tokens(), truth);
  EXPECT_EQ(ar.decoder->phase(), Phase::full);
  for (const int draft_length : kDraftLengths) {
    for (const float trust : {1.0f, 0.5f, 0.0f}) {
      SCOPED_TRACE(testing::Message() << "draft length " << draft_length << ", trust " << trust);
      Driven tidar = bench.tidar(spec,
                                 {.draft_length = draft_length,
                                  .trust = trust,
                                  .groups = random_groups(rng, draft_length),
                                  .guessed = trust == 1 ? random_guessed(rng) : 0},
                                 1000);
      drive(bench.evaluator, tidar);
      EXPECT_EQ(tidar.decoder->phase(), Phase::full);
      ASSERT_EQ(static_cast<int>(tidar.output.size()), room);
      if (trust < 1) continue;
      EXPECT_EQ(tidar.tokens(), truth);
    }
  }
}

// Leaving the second questions unanswered costs drafts, not tokens.
TEST_P(Tidar, MayLeaveItsDraftUnasked) {
  const MockModel model = random_model(rng);
  const SequenceSpec spec = random_spec(rng);
  TidarBench bench(model);
  Driven tidar = bench.tidar(spec, {.draft_length = 4, .guessed = random_guessed(rng)}, 20);
  Pass pass;
  while (!tidar.done()) {
    pass.clear();
    tidar.decoder->plan(pass, 512);
    std::vector<Answer> answers(pass.asks.size());
    bench.evaluator.evaluate(pass, answers);
    tidar.decoder->take(answers);
    const auto& committed = tidar.decoder->report().committed;
    tidar.output.insert(tidar.output.end(), committed.begin(), committed.end());
    const Asks& asks = tidar.decoder->more_asks();
    if (rng.below(2) == 0 || asks.empty()) continue;
    std::vector<Answer> more(asks.size());
    bench.evaluator.answer(asks, more);
    tidar.decoder->take(more);
  }
  EXPECT_EQ(first(tidar.tokens(), 20), plain_ar(model, spec, 20));
}

// A cache that holds the beginning of the prompt already.
TEST_P(Tidar, GoesOnFromASharedBeginning) {
  const MockModel model = random_model(rng);
  SequenceSpec spec = random_spec(rng);
  TidarBench bench(model);
  SequenceCache cache(bench.pool);
  const int known = rng.below(static_cast<int>(spec.prompt.size()));
  ASSERT_TRUE(cache.reserve(known));
  if (known > 0) {
    Pass pass;
    pass.begin_sequence(cache);
    add_causal(pass, std::span(spec.prompt).first(static_cast<size_t>(known)), Keep::page);
    bench.evaluator.evaluate(pass, {});
    cache.commit(known);
  }
  Driven tidar{.decoder = make_decoder(TidarOptions{}, spec, std::move(cache), roomy()).value(),
               .wanted = 20};
  drive(bench.evaluator, tidar);
  EXPECT_EQ(first(tidar.tokens(), 20), plain_ar(model, spec, 20));
}

INSTANTIATE_TEST_SUITE_P(Seeds, Ar, testing::Range<uint64_t>(0, 30));
INSTANTIATE_TEST_SUITE_P(Seeds, Tidar, testing::Range<uint64_t>(0, 30));

// ---- accounting ----

// When masks read what the causal reading reads, every step accepts all of its draft.
TEST(TidarStats, APerfectDrafterAcceptsEverything) {
  for (const float temperature : {0.0f, 1.0f}) {
    for (const int draft_length : kDraftLengths) {
      SCOPED_TRACE(testing::Message() << "draft length " << draft_length);
      TidarBench bench({.seed = 3, .agreement = 1});
      SequenceSpec spec;
      spec.prompt = {1, 2, 3};
      spec.mask_token = 10;
      spec.sampling.temperature = temperature;
      Driven tidar = bench.tidar(spec, {.draft_length = draft_length}, 1 + 10 * draft_length);
      drive(bench.evaluator, tidar);
      const Totals& stats = tidar.totals;
      EXPECT_EQ(stats.passes, 10);
      EXPECT_EQ(stats.committed, 10 * draft_length);
      ASSERT_EQ(stats.accepted.size(), static_cast<size_t>(draft_length) + 1);
      EXPECT_EQ(stats.accepted.back(), 10);
    }
  }
}

// With group 1 alone, a fully accepted draft leaves no mask to go on with: the next pass is one
// token and its group, and commits one.
TEST(TidarStats, WithoutAUsableGroupThePassAfterIsOneTokenAndItsGroup) {
  TidarBench bench({.seed = 3, .agreement = 1});
  SequenceSpec spec;
  spec.prompt = {1, 2, 3};
  spec.mask_token = 10;
  Driven tidar = bench.tidar(spec, {.draft_length = 4, .groups = only_groups({1})}, 1 + 5 * 10);
  Driven* all[] = {&tidar};
  Pass pass;
  std::vector<int> rows;
  while (!tidar.done()) {
    drive_pass(bench.evaluator, pass, all);
    rows.push_back(pass.rows());
  }
  EXPECT_EQ(first(rows, 5), (std::vector<int>{3 + 4, 4 + 4, 1 + 4, 4 + 4, 1 + 4}));
  EXPECT_EQ(tidar.totals.accepted, (std::vector<int64_t>{0, 10, 0, 0, 10}));
}

// Without groups a pass drafts, the next one verifies, and both count.
TEST(TidarStats, SelfSpeculationTakesTwoPassesAStep) {
  TidarBench bench({.seed = 3, .agreement = 1});
  SequenceSpec spec;
  spec.prompt = {1, 2, 3};
  spec.mask_token = 10;
  Driven tidar = bench.tidar(spec, {.draft_length = 4, .groups = no_groups()}, 1 + 5 * 10);
  Driven* all[] = {&tidar};
  Pass pass;
  std::vector<int> rows;
  while (!tidar.done()) {
    drive_pass(bench.evaluator, pass, all);
    rows.push_back(pass.rows());
  }
  EXPECT_EQ(first(rows, 5), (std::vector<int>{3 + 4, 4, 1 + 4, 4, 1 + 4}));
  const Totals& stats = tidar.totals;
  EXPECT_EQ(stats.passes, 20);
  EXPECT_EQ(stats.accepted, (std::vector<int64_t>{0, 10, 0, 0, 10}));
  EXPECT_EQ(stats.places, std::vector<PlaceCount>(3, {.drafted = 10, .accepted = 10}));
}

TEST(TidarStats, StepsHoldTheRowsOfThePaper) {
  for (const int draft_length : {2, 4, 8, 16}) {
    TidarBench bench({.seed = 3, .agreement = 1});
    SequenceSpec spec;
    spec.prompt = {1, 2, 3};
    spec.mask_token = 10;
    Driven tidar = bench.tidar(spec, {.draft_length = draft_length}, 1000);
    Driven* all[] = {&tidar};
    Pass pass;
    drive_pass(bench.evaluator, pass, all);
    EXPECT_EQ(pass.rows(), 3 + draft_length);
    EXPECT_EQ(pass.asks.size(), static_cast<size_t>(draft_length));  // one case: all is asked
    drive_pass(bench.evaluator, pass, all);
    EXPECT_EQ(pass.rows(), draft_length * (draft_length + 1));
    EXPECT_EQ(pass.asks.size(), static_cast<size_t>(draft_length));
  }
}

// What a step reports of its masks: all that stood in the pass, and those that the next draft is
// of.
TEST_P(Tidar, ReportsItsGroupsAndWhichMasksItUsed) {
  const SequenceSpec spec = random_spec(rng);
  TidarBench bench(random_model(rng));
  const int draft_length = kDraftLengths[static_cast<size_t>(rng.below(6))];
  Driven tidar = bench.tidar(
      spec, {.draft_length = draft_length, .groups = random_groups(rng, draft_length)}, 60);
  Pass pass;
  while (!tidar.done()) {
    pass.clear();
    tidar.decoder->plan(pass, 512);
    std::vector<Answer> answers(pass.asks.size());
    bench.evaluator.evaluate(pass, answers);
    tidar.decoder->take(answers);
    const StepReport& report = tidar.decoder->report();
    tidar.output.insert(tidar.output.end(), report.committed.begin(), report.committed.end());
    int masks = 0;
    for (const MaskGroup& group : report.groups) {
      for (int m = 0; m < group.masks; ++m)
        EXPECT_EQ(pass.tokens[static_cast<size_t>(group.first_row + m)], spec.mask_token);
      masks += group.masks;
    }
    EXPECT_EQ(masks, std::count(pass.keeps.begin(), pass.keeps.end(), Keep::scratch));
    EXPECT_LE(report.accepted, report.drafted);
    if (report.decoding) {
      EXPECT_EQ(report.drafted + 1 + masks, report.rows);
    }

    // A group whose case is certain was asked with the pass, where nothing depends on the output.
    const auto asks = tidar.decoder->more_asks();
    const auto asked_rows = static_cast<int>(pass.asks.size());
    const bool at_once = asked_rows > report.drafted + 1;
    if (at_once) {
      EXPECT_EQ(report.drafted, 0);
      EXPECT_FALSE(spec.penalties.count());
      EXPECT_EQ(asked_rows, 1 + report.used.masks);
      EXPECT_EQ(pass.asks[1].row, report.used.first_row);
    }
    ASSERT_EQ(static_cast<int>(asks.size()), at_once ? 0 : report.used.masks);
    for (size_t i = 0; i < asks.size(); ++i)
      EXPECT_EQ(asks[i].row, report.used.first_row + static_cast<int32_t>(i));
    std::vector<Answer> more(asks.size());
    bench.evaluator.answer(asks, more);
    if (!more.empty()) tidar.decoder->take(more);
  }
}

// How sure the masks are of a draft says which group of the next step is the likeliest.
TEST(TidarGroups, TheLikeliestIsKept) {
  TidarBench bench({.seed = 5});
  SequenceSpec spec;
  spec.prompt = {1, 2, 3};
  spec.mask_token = 10;
  const GroupPolicy likeliest{.kind = GroupPolicy::Kind::likeliest, .count = 1};
  const auto kept = [&](float first, float second) {
    Driven tidar = bench.tidar(spec, {.draft_length = 3, .groups = likeliest}, 1000);
    Pass pass;
    tidar.decoder->plan(pass, 100);
    std::vector<Answer> answers(pass.asks.size());
    bench.evaluator.evaluate(pass, answers);
    answers.at(1).logprob = std::log(first);
    answers.at(2).logprob = std::log(second);
    tidar.decoder->take(answers);
    pass.clear();
    tidar.decoder->plan(pass, 100);
    const auto& groups = tidar.decoder->report().groups;
    return groups.size() == 1 ? groups[0].accepted : 0;
  };
  EXPECT_EQ(kept(0.4f, 0.9f), 1);
  EXPECT_EQ(kept(0.3f, 0.1f), 1);
  EXPECT_EQ(kept(0.9f, 0.3f), 2);
  EXPECT_EQ(kept(0.9f, 0.8f), 3);
}

}  // namespace
}  // namespace tidar
