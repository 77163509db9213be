#include "eval/likelihood_runs.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "decode/mock_evaluator_testing.h"
#include "eval/causal_scorer.h"
#include "eval/monte_carlo_scorer.h"
#include "format/files_testing.h"
#include "text/small_tokenizer_testing.h"

namespace tidar {
namespace {

constexpr MockModel kScoredModel{.seed = 3, .vocabulary = 270, .mask_token = 269};

const RunIdentity kLikelihoodIdentity = {{"test", "likelihood"}};

class LikelihoodRuns : public testing::Test {
 protected:
  LikelihoodRuns()
      : tokenizer_(*Tokenizer::parse(small_tokenizer().dump(), "test")),
        evaluator_(kScoredModel,
                   {.max_rows = 64, .pages = 8, .max_position = 200, .vocabulary = 270}),
        scorer_(make_causal_scorer(evaluator_, 2)) {}

  ResultsFile open(const std::string& folder) {
    return *ResultsFile::open(folder_.path() / folder, kLikelihoodIdentity);
  }
  size_t lines(const std::string& folder) {
    const std::string text = bytes_of_file(folder_.path() / folder / "results.jsonl");
    return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  }

  static ChoiceTask questions() {
    ChoiceTask task;
    task.start = 0;
    for (int i = 0; i < 20; ++i) {
      task.items.push_back({.id = std::to_string(i),
                            .context = "Is it " + std::to_string(i * 7) + "?",
                            .choices = {"yes", "no, never", "perhaps"},
                            .answer = i % 3,
                            .delimiter = " "});
    }
    task.shots = task.items;
    task.shot_count = 1;
    return task;
  }

  /// Every text scored by itself.
  double score(const std::vector<int32_t>& tokens, int32_t from) {
    std::optional<TextGroup> group(TextGroup{0, {{tokens, from}}});
    double logprob = 0;
    const auto done = make_causal_scorer(evaluator_, 1)
                          ->score([&] { return std::exchange(group, std::nullopt); },
                                  [&](int64_t, const auto& scores) {
                                    logprob = scores[0].logprob;
                                    return Result<bool>(true);
                                  });
    EXPECT_TRUE(done.ok());
    return logprob;
  }

  Tokenizer tokenizer_;
  MockEvaluator evaluator_;
  std::unique_ptr<TextScorer> scorer_;
  ScratchFolder folder_;
};

TEST_F(LikelihoodRuns, Choices) {
  const ChoiceTask task = questions();
  ResultsFile results = open("a");
  const auto summary = run_choices(task, tokenizer_, *scorer_, results, {});
  ASSERT_TRUE(summary.ok()) << summary.error().message;
  EXPECT_EQ(summary->done, 20);
  double right = 0, right_normalised = 0;
  for (const ChoiceItem& item : task.items) {
    std::vector<double> logprobs;
    const std::string context = *context_with_shots(item, task.shots, 1);
    for (const std::string& choice : item.choices) {
      const auto text = *split_text(tokenizer_, context, " " + choice, 0);
      logprobs.push_back(score(text.tokens, text.from));
    }
    right += judge_choices(item, logprobs).right;
    right_normalised += judge_choices(item, logprobs).right_normalised;
  }
  EXPECT_EQ(summary->scores[0].first, "acc");
  EXPECT_DOUBLE_EQ(summary->scores[0].second.mean, right / 20);
  EXPECT_EQ(summary->scores[1].first, "acc_norm");
  EXPECT_DOUBLE_EQ(summary->scores[1].second.mean, right_normalised / 20);
  EXPECT_NE(right, right_normalised) << "questions that tell the two apart";
}

TEST_F(LikelihoodRuns, GoOnWhereTheyWereStopped) {
  const ChoiceTask task = questions();
  int taken = 0;
  RunHooks hooks;
  hooks.progress = [&](int64_t, int64_t) { ++taken; };
  hooks.stop = [&] { return taken >= 5; };
  {
    ResultsFile results = open("parts");
    const auto part = run_choices(task, tokenizer_, *scorer_, results, hooks);
    ASSERT_TRUE(part.ok());
    EXPECT_GE(part->done, 5);
    EXPECT_LT(part->done, 20);
  }
  hooks.stop = nullptr;
  ResultsFile results = open("parts"), whole = open("whole");
  const auto all = run_choices(task, tokenizer_, *scorer_, results, hooks);
  EXPECT_EQ(taken, 20) << "no item was scored twice";
  EXPECT_EQ(lines("parts"), 20u);
  const auto expected = run_choices(task, tokenizer_, *scorer_, whole, {});
  EXPECT_EQ(all->scores[0].second.mean, expected->scores[0].second.mean);
  EXPECT_EQ(all->scores[1].second.standard_error, expected->scores[1].second.standard_error);
}

TEST_F(LikelihoodRuns, LongContextsLoseTheirBeginning) {
  ChoiceTask task = questions();
  task.shot_count = 0;
  task.items.resize(2);
  task.items[1].context = std::string(400, 'b') + "c";
  ResultsFile results = open("a");
  const auto summary = run_choices(task, tokenizer_, *scorer_, results, {});
  ASSERT_TRUE(summary.ok()) << summary.error().message;
  EXPECT_EQ(summary->numbers[0], std::pair(std::string("truncated"), 1.0));
  // Whoever scored it.
  const auto again = run_choices(task, tokenizer_, *scorer_, results, {});
  EXPECT_EQ(again->numbers[0], summary->numbers[0]);

  ResultsFile other = open("b");
  task.items[1].context = std::string(300, 'b') + "c";  // the same within what is left
  ASSERT_TRUE(run_choices(task, tokenizer_, *scorer_, other, {}).ok());
  const auto logprobs = [](const std::string& line) {
    return line.substr(line.find("\"logprobs\""), line.find(']') - line.find("\"logprobs\""));
  };
  EXPECT_EQ(logprobs(*results.find("1")), logprobs(*other.find("1")));
}

TEST_F(LikelihoodRuns, WhatIsWrongIsSaid) {
  ChoiceTask task = questions();
  task.shot_count = 20;
  ResultsFile results = open("a");
  EXPECT_TRUE(says(run_choices(task, tokenizer_, *scorer_, results, {}).error().message,
                   "too few for item 0"));
  task.items[3].id = "1";
  EXPECT_TRUE(
      says(run_choices(task, tokenizer_, *scorer_, results, {}).error().message, "two items|id 1"));
}

TEST_F(LikelihoodRuns, PerplexityOfOneWindowIsThatOfTheText) {
  const PerplexityTask task{tokenizer_.encode("the thing in the ring: \xC3\xA9t\xC3\xA9"), 100, 50};
  ResultsFile results = open("a");
  const auto summary = run_perplexity(task, tokenizer_, *scorer_, results, {});
  ASSERT_TRUE(summary.ok());
  const auto count = static_cast<double>(task.tokens.size() - 1);
  const double nll = -score(task.tokens, 1) / count;
  EXPECT_DOUBLE_EQ(summary->scores[0].second.mean, nll);
  EXPECT_DOUBLE_EQ(summary->numbers[0].second, std::exp(nll));
  // All bytes of the text but those of the first token.
  const auto bytes = static_cast<double>(tokenizer_.decode(task.tokens).size() -
                                         tokenizer_.bytes(task.tokens[0]).size());
  EXPECT_EQ(summary->numbers[3], std::pair(std::string("bytes"), bytes));
  EXPECT_DOUBLE_EQ(summary->numbers[1].second, nll * count / bytes / std::log(2));
}

TEST_F(LikelihoodRuns, OfNoWindowNoPerplexityIsTold) {
  ResultsFile results = open("a");
  RunHooks hooks;
  hooks.stop = [] { return true; };
  const auto summary = run_perplexity({tokenizer_.encode("the thing"), 100, 50}, tokenizer_,
                                      *scorer_, results, hooks);
  ASSERT_TRUE(summary.ok());
  EXPECT_EQ(summary->done, 0);
  EXPECT_EQ(summary->all, 1);
  EXPECT_TRUE(summary->numbers.empty());
}

TEST_F(LikelihoodRuns, WindowsScoreEachTokenOnceWithWhatTheySee) {
  Rng rng(1);
  std::vector<int32_t> tokens;
  for (int i = 0; i < 57; ++i) tokens.push_back(rng.below(268));
  for (const auto& [window, stride] : {std::pair(20, 10), {20, 19}, {7, 1}, {56, 13}, {57, 13}}) {
    ResultsFile results = open(fmt::format("{}-{}", window, stride));
    const auto summary =
        run_perplexity({tokens, window, stride}, tokenizer_, *scorer_, results, {});
    ASSERT_TRUE(summary.ok());
    double expected = 0;
    for (int at = 1; at < 57; ++at) {
      // The first window that reaches it.
      int begin = 0;
      while (begin + window <= at) begin += stride;
      expected += score({tokens.begin() + begin, tokens.begin() + at + 1}, at - begin);
    }
    EXPECT_NEAR(summary->scores[0].second.mean, -expected / 56, 1e-12);
    EXPECT_EQ(summary->numbers[2].second, 56);
  }
}

TEST_F(LikelihoodRuns, MonteCarloTellsItsErrors) {
  ChoiceTask task = questions();
  task.shot_count = 0;
  task.items.resize(1);
  const auto scorer = make_monte_carlo_scorer(evaluator_, {.samples = 8, .mask_token = 269});
  ResultsFile results = open("a");
  ASSERT_TRUE(run_choices(task, tokenizer_, *scorer, results, {}).ok());
  const auto line = nlohmann::json::parse(*results.find("0"));
  for (const double error : line["standard_errors"]) EXPECT_GT(error, 0);
}

}  // namespace
}  // namespace tidar
