#include "eval/problem_runs.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "decode/mock_evaluator_testing.h"
#include "eval/number_answer.h"
#include "format/files_testing.h"
#include "text/small_tokenizer_testing.h"

namespace tidar {
namespace {

using Lines = std::vector<nlohmann::json>;

constexpr MockModel kModel{.seed = 3, .vocabulary = 270, .mask_token = 269};

const RunIdentity kProblemIdentity = {{"test", "problems"}};

class ProblemRuns : public testing::Test {
 protected:
  ProblemRuns()
      : tokenizer_(*Tokenizer::parse(small_tokenizer().dump(), "test")),
        evaluator_(kModel, {.max_rows = 256, .pages = 32, .max_position = 200, .vocabulary = 270}) {
    for (int i = 0; i < 5; ++i) {
      Problem problem;
      problem.id = std::to_string(i);
      problem.prompt = "Question: " + std::to_string(i * i) + "\nAnswer:";
      problem.target = "#### 1";
      task_.problems.push_back(problem);
    }
    task_.samples = 2;
    task_.together = 3;
    task_.request.sequence.mask_token = 269;
    task_.request.sequence.sampling = {.temperature = 1, .seed = 4};
    task_.request.max_new = 12;
    task_.request.method = TidarOptions{.draft_length = 3};
  }

  EvalSummary run(const std::string& folder, const RunHooks& hooks = {}) {
    auto results = ResultsFile::open(folder_.path() / folder, kProblemIdentity);
    EXPECT_TRUE(results.ok());
    Engine engine(evaluator_, &tokenizer_);
    const Judge judge(ProblemKind::gsm8k, {});
    auto summary = run_problems(task_, tokenizer_, engine, judge, *results, hooks);
    if (!summary.ok()) {
      ADD_FAILURE() << summary.error().message;
      return {};
    }
    return *summary;
  }

  /// The lines without what depends on the clock, in the order of problems and samples.
  Lines lines(const std::string& folder) {
    std::istringstream text(bytes_of_file(folder_.path() / folder / "results.jsonl"));
    Lines found;
    for (std::string line; std::getline(text, line);) {
      found.push_back(nlohmann::json::parse(line));
      found.back().erase("seconds");
    }
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
      return std::pair(a["item"], a["sample"]) < std::pair(b["item"], b["sample"]);
    });
    return found;
  }

  Tokenizer tokenizer_;
  MockEvaluator evaluator_;
  ProblemTask task_;
  ScratchFolder folder_;
};

TEST_F(ProblemRuns, BringALineASample) {
  const EvalSummary summary = run("a");
  EXPECT_EQ(summary.done, 10);
  EXPECT_EQ(summary.all, 10);
  const Lines found = lines("a");
  ASSERT_EQ(found.size(), 10u);
  std::set<std::string> texts;
  double tokens = 0, passes = 0, decoded = 0, rows = 0;
  for (const auto& line : found) {
    texts.insert(line["text"]);
    tokens += line["tokens"].get<double>();
    passes += line["passes"].get<double>();
    decoded += line["decoded"].get<double>();
    rows += line["rows"].get<double>();
    EXPECT_EQ(line["finish_reason"], "length");
  }
  EXPECT_EQ(texts.size(), 10u) << "samples draw from seeds of their own";
  EXPECT_EQ(tokens, 10 * 12);
  EXPECT_EQ(summary.numbers[0], std::pair(std::string("tokens"), tokens));
  EXPECT_EQ(summary.numbers[2], std::pair(std::string("tokens_per_pass"), decoded / passes));
  EXPECT_GE(rows, decoded);
  EXPECT_EQ(summary.numbers[3], std::pair(std::string("rows_per_pass"), rows / passes));
  double counted = 0, brought = 0;
  for (size_t a = 0; a < summary.accepted.size(); ++a) {
    counted += static_cast<double>(summary.accepted[a]);
    brought += static_cast<double>(a) * static_cast<double>(summary.accepted[a]);
  }
  EXPECT_EQ(counted, passes);
  EXPECT_EQ(brought, decoded);
}

TEST_F(ProblemRuns, GoOnWhereTheyWereStopped) {
  run("whole");
  int results = 0;
  RunHooks hooks;
  hooks.progress = [&](int64_t done, int64_t all) {
    EXPECT_EQ(done, ++results);
    EXPECT_EQ(all, 10);
  };
  hooks.stop = [&] { return results >= 4; };
  const EvalSummary part = run("parts", hooks);
  EXPECT_GE(part.done, 4);
  EXPECT_LT(part.done, 10);
  // As a kill leaves it: in the middle of a line.
  std::ofstream(folder_.path() / "parts" / "results.jsonl", std::ios::app) << "{\"item\":\"4\"";
  EXPECT_EQ(run("parts").done, 10);
  EXPECT_EQ(lines("parts"), lines("whole"));
  run("parts", {.progress = [](auto, auto) { ADD_FAILURE() << "nothing was left"; }});
}

TEST_F(ProblemRuns, CompanyChangesNothing) {
  run("three");
  task_.together = 1;
  run("one");
  EXPECT_EQ(lines("three"), lines("one"));
  task_.request.method = ArOptions{};
  run("ar");
  const Lines ar = lines("ar"), tidar = lines("one");
  for (size_t i = 0; i < ar.size(); ++i) EXPECT_EQ(ar[i]["text"], tidar[i]["text"]);
}

TEST_F(ProblemRuns, AnswersAreJudged) {
  run("first");
  // The problems whose two samples answer with different numbers get the first one as their target.
  double expected = 0;
  for (size_t i = 0; i < task_.problems.size(); ++i) {
    const Lines found = lines("first");
    const auto answer = [&](size_t sample) {
      return flexible_answer(found[2 * i + sample]["text"].get<std::string>()).value_or("none");
    };
    if (answer(0) == "none") continue;
    task_.problems[i].target = "#### " + answer(0);
    expected += same_answer(answer(0), answer(1)) ? 1 : 0.5;
  }
  ASSERT_GT(expected, 0) << "the mock says no numbers";
  const EvalSummary summary = run("second");
  ASSERT_EQ(summary.scores.size(), 2u);
  EXPECT_EQ(summary.scores[1].first, "flexible");
  EXPECT_DOUBLE_EQ(summary.scores[1].second.mean, expected / 5);
  EXPECT_EQ(summary.scores[1].second.count, 5);
}

TEST_F(ProblemRuns, WhatIsWrongIsSaid) {
  const auto failure = [&] {
    auto results = ResultsFile::open(folder_.path() / "x", kProblemIdentity);
    Engine engine(evaluator_, &tokenizer_);
    const Judge judge(ProblemKind::gsm8k, {});
    const auto done = run_problems(task_, tokenizer_, engine, judge, *results, {});
    return done.ok() ? "none" : done.error().message;
  };
  task_.problems[1].prompt = std::string(300, 'x');
  EXPECT_TRUE(says(failure(), "problem 1: |300"));
  task_.problems[1].id = "0";
  EXPECT_TRUE(says(failure(), "two problems|id 0"));
}

TEST_F(ProblemRuns, SamplesAreWholePrograms) {
  task_.kind = ProblemKind::humaneval;
  task_.samples = 1;
  task_.problems.resize(2);
  task_.problems[0].before = "def f():\n";
  auto results = ResultsFile::open(folder_.path() / "x", kProblemIdentity);
  ASSERT_TRUE(results->add("0", 0, "{\"item\":\"0\",\"sample\":0,\"text\":\"  return 1\"}").ok());
  ASSERT_TRUE(write_samples(task_, *results).ok());
  EXPECT_EQ(bytes_of_file(folder_.path() / "x" / "samples.jsonl"),
            "{\"solution\":\"def f():\\n  return 1\",\"task_id\":\"0\"}\n");
}

TEST(Solutions, ThatAreWrongAreNamed) {
  std::vector<Problem> problems(3);
  for (size_t i = 0; i < problems.size(); ++i) {
    problems[i].id = std::to_string(i);
    problems[i].target = i == 1 ? "it is 5" : "#### 5";
  }
  const auto wrong = check_solutions(problems, Judge(ProblemKind::gsm8k, {}), {});
  ASSERT_TRUE(wrong.ok());
  ASSERT_EQ(wrong->size(), 1u);
  EXPECT_EQ((*wrong)[0].id, "1");
  EXPECT_EQ((*wrong)[0].why, "strict");
}

}  // namespace
}  // namespace tidar
