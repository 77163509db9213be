// A pass owns all that it says: what was recorded while decoders ran can be carried out when they,
// their texts and their pages are long gone.

#include <gtest/gtest.h>

#include <string_view>

#include "decode/drive_testing.h"
#include "decode/methods.h"
#include "decode/model_drafter.h"
#include "decode/text_testing.h"

namespace tidar {
namespace {

const EvaluatorLimits kReplayLimits{
    .max_rows = 512, .pages = 64, .max_position = 300, .vocabulary = 11};

/// What an evaluator was asked, and what it said.
struct Record {
  Pass pass{};
  Asks more{};  ///< asked about the rows of the pass before, if not empty
  std::vector<Answer> answers{};
};

/// Keeps copies of everything.
class Recorder final : public Evaluator {
 public:
  Recorder(Evaluator& evaluator, std::vector<Record>& records)
      : evaluator_(evaluator), records_(records) {}

  const EvaluatorLimits& limits() const override { return evaluator_.limits(); }
  void evaluate(const Pass& pass, std::span<Answer> answers) override {
    evaluator_.evaluate(pass, answers);
    records_.push_back({.pass = pass, .answers = {answers.begin(), answers.end()}});
  }
  void answer(const Asks& asks, std::span<Answer> answers) override {
    evaluator_.answer(asks, answers);
    records_.push_back({.more = asks, .answers = {answers.begin(), answers.end()}});
  }

 private:
  Evaluator& evaluator_;
  std::vector<Record>& records_;
};

/// What was committed is what was answered when its position was asked for, log-probabilities too.
void expect_answered(const Driven& driven, size_t prompt, const std::vector<Record>& records) {
  size_t position = prompt;
  for (const TokenLogprob& token : driven.output) {
    bool found = false;
    for (const Record& record : records) {
      const Asks& asks = record.more.empty() ? record.pass.asks : record.more;
      for (size_t i = 0; i < asks.size(); ++i) {
        // What a canvas draws counts its passes in the upper half.
        found = found || (static_cast<uint32_t>(asks[i].draw) == position &&
                          record.answers[i].chosen() == token);
      }
    }
    EXPECT_TRUE(found) << "position " << position;
    ++position;
  }
}

/// Biases and, where the method can count what was said, penalties.
SequenceSpec spec_for(std::string_view method, Rng& rng) {
  SequenceSpec spec = random_spec(rng);
  spec.penalties = {.bias = {{.token = rng.below(10), .add = 1 + rng.uniform()}}};
  if (!method.ends_with("diffusion")) {
    spec.penalties.repetition = 1.3f;
    spec.penalties.presence = 0.3f;
    spec.penalties.frequency = 0.2f;
  }
  return spec;
}

class Replay : public testing::TestWithParam<uint64_t> {};

TEST_P(Replay, PassesOutliveTheirDecoders) {
  Rng rng(GetParam());
  const MockModel model{.seed = rng.bits(), .agreement = 0.7};
  std::vector<Record> records, drafting_records;
  {
    MockEvaluator evaluator(model, kReplayLimits), drafting(model, kReplayLimits);
    Recorder recorder(evaluator, records), drafting_recorder(drafting, drafting_records);
    PagePool pool(kReplayLimits.pages), drafting_pool(kReplayLimits.pages);
    std::vector<Method> methods = {TidarOptions{.draft_length = 4, .trust = 0.5f}};
    methods.resize(5, TidarOptions{.draft_length = 4, .guessed = 3});
    for (const MethodInfo& info : all_methods()) methods.push_back(info.make());
    std::vector<Driven> decoders;
    std::vector<size_t> prompts;
    for (Method& method : methods) {
      if (auto* speculative = std::get_if<SpeculativeOptions>(&method))
        speculative->drafters = model_drafters(drafting_recorder, drafting_pool);
      const SequenceSpec spec = spec_for(name_of(method), rng);
      prompts.push_back(spec.prompt.size());
      decoders.push_back(
          {.decoder = make_decoder(method, spec, SequenceCache(pool), kReplayLimits).value(),
           .wanted = 30});
    }
    std::vector<Driven*> all;
    for (Driven& driven : decoders) all.push_back(&driven);
    drive(recorder, all);
    for (size_t i = 0; i < all.size(); ++i) expect_answered(decoders[i], prompts[i], records);
  }

  size_t changes = 0, moves = 0;
  const auto replay = [&](const std::vector<Record>& recorded) {
    MockEvaluator evaluator(model, kReplayLimits);
    for (const Record& record : recorded) {
      std::vector<Answer> answers(record.answers.size());
      if (record.more.empty()) {
        evaluator.evaluate(record.pass, answers);
      } else {
        evaluator.answer(record.more, answers);
      }
      moves += record.pass.moves.size();
      changes += record.pass.asks.changes().size() + record.more.changes().size();
      for (size_t i = 0; i < answers.size(); ++i) {
        EXPECT_EQ(answers[i].token, record.answers[i].token);
        EXPECT_EQ(answers[i].logprob, record.answers[i].logprob);
        EXPECT_EQ(answers[i].policy_logprob, record.answers[i].policy_logprob);
        EXPECT_EQ(answers[i].entropy, record.answers[i].entropy);
        EXPECT_EQ(answers[i].runner_up.token, record.answers[i].runner_up.token);
      }
    }
  };
  replay(records);
  replay(drafting_records);
  EXPECT_GT(changes, 100u);
  EXPECT_GT(moves, 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Replay, testing::Range(uint64_t{0}, uint64_t{8}));

// What a text says stands once in a pass, however many rows are asked.
TEST(Replay, WhatASequenceSharesStandsOnce) {
  const MockModel model{.seed = 5, .agreement = 0.7};
  MockEvaluator evaluator(model, kReplayLimits);
  PagePool pool(kReplayLimits.pages);
  SequenceSpec spec;
  spec.prompt = {1, 2, 3, 4};
  spec.mask_token = 10;
  spec.penalties.repetition = 1.2f;
  Driven driven{.decoder = make_decoder(TidarOptions{.draft_length = 8}, spec, SequenceCache(pool),
                                        kReplayLimits)
                               .value(),
                .wanted = 30};
  Driven* all[] = {&driven};
  Pass pass;
  while (!driven.done()) {
    drive_pass(evaluator, pass, all);
    // What the text says is at most one change a token; then one for each guess before a row.
    const size_t guesses = pass.asks.size() - 1;
    EXPECT_LE(pass.asks.changes().size(), 11 + guesses * (guesses + 1) / 2);
    for (const Ask& ask : pass.asks) EXPECT_EQ(ask.changes, pass.asks[0].changes);
  }
}

}  // namespace
}  // namespace tidar
