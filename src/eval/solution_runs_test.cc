#include "eval/solution_runs.h"

#include <gtest/gtest.h>

#include <map>

#include "decode/mock_evaluator_testing.h"
#include "eval/causal_scorer.h"
#include "format/files_testing.h"
#include "format/json.h"
#include "text/small_tokenizer_testing.h"

namespace tidar {
namespace {

constexpr MockModel kSolutionModel{
    .seed = 5, .vocabulary = 270, .mask_token = 269, .agreement = 0.8};
constexpr EvaluatorLimits kLimits{
    .max_rows = 256, .pages = 32, .max_position = 200, .vocabulary = 270};

/// A tokenizer that puts <bos> before every text.
nlohmann::json with_beginning() {
  nlohmann::json file = small_tokenizer();
  file["post_processor"] = nlohmann::json::parse(R"({"type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "<bos>"}}, {"Sequence": {"id": "A"}}],
      "special_tokens": {"<bos>": {"id": "<bos>", "ids": [266]}}})");
  return file;
}

class SolutionRuns : public testing::Test {
 protected:
  SolutionRuns()
      : tokenizer_(*Tokenizer::parse(with_beginning().dump(), "test")),
        evaluator_(kSolutionModel, kLimits),
        given_(evaluator_, 269) {
    for (const char* solution : {" 1 + 1 = 2", " nothing", " aaaaaaaaaaaaaaaaaaaaaaaa"}) {
      Problem problem;
      problem.id = std::to_string(task_.problems.size());
      problem.prompt = "Question " + problem.id + ":";
      problem.shot = problem.prompt + solution;
      task_.problems.push_back(problem);
    }
    task_.request.sequence.mask_token = 269;
    task_.request.method = TidarOptions{.draft_length = 4};
  }

  EvalSummary run(const std::string& folder, const RunHooks& hooks = {}) {
    auto results = ResultsFile::open(folder_.path() / folder, {{"test", "solutions"}});
    EXPECT_TRUE(results.ok());
    Engine engine(given_, &tokenizer_);
    auto summary = run_solutions(task_, tokenizer_, engine, given_, *results, hooks);
    if (!summary.ok()) {
      ADD_FAILURE() << summary.error().message;
      return {};
    }
    for (const auto& [name, value] : summary->numbers) numbers_[name] = value;
    return *summary;
  }

  /// Nats of the solutions as a scorer that decodes nothing has them.
  double expected_nll() {
    const auto scorer = make_causal_scorer(evaluator_, 1);
    double logprob = 0;
    size_t next = 0;
    const auto text_of = [&](const Problem& problem) {
      ScoredText text{tokenizer_.encode(problem.prompt), 0};
      text.from = static_cast<int32_t>(text.tokens.size());
      const auto solution =
          tokenizer_.encode(problem.shot.substr(problem.prompt.size()), AddSpecial::no);
      text.tokens.insert(text.tokens.end(), solution.begin(), solution.end());
      return text;
    };
    const auto scored = scorer->score(
        [&]() -> std::optional<TextGroup> {
          if (next == task_.problems.size()) return std::nullopt;
          const auto id = static_cast<int64_t>(next);
          return TextGroup{id, {text_of(task_.problems[next++])}};
        },
        [&](int64_t, const std::vector<TextScore>& scores) -> Result<bool> {
          logprob += scores[0].logprob;
          return true;
        });
    EXPECT_TRUE(scored.ok());
    return -logprob;
  }

  Tokenizer tokenizer_;
  MockEvaluator evaluator_;
  GivenText given_;
  ProblemTask task_;
  ScratchFolder folder_;
  std::map<std::string, double> numbers_;
};

TEST_F(SolutionRuns, EveryMethodSaysTheText) {
  const double expected = expected_nll();
  const std::vector<Method> methods = {ArOptions{}, TidarOptions{.draft_length = 4},
                                       SelfSpeculativeOptions{.draft_length = 4},
                                       LookupMethodOptions{}};
  for (const Method& method : methods) {
    task_.request.method = method;
    run(std::string(name_of(method)));
    EXPECT_NEAR(numbers_.at("nll") * numbers_.at("tokens"), expected, 1e-4) << name_of(method);
  }
}

// What the model would have said anyway costs what it costs without an evaluator in between.
TEST_F(SolutionRuns, ItsOwnTextCostsAsUsual) {
  Engine engine(evaluator_);
  Request request = task_.request;
  request.sequence.prompt = {1, 2, 3};
  request.max_new = 40;
  const auto decode = [&](Engine& with) {
    EXPECT_TRUE(with.submit(request).ok());
    std::pair<std::vector<int32_t>, std::vector<int64_t>> found;
    while (!with.idle()) {
      for (const Update& update : with.step()) {
        for (const TokenLogprob& token : update.tokens) found.first.push_back(token.token);
        if (update.totals) found.second = update.totals->accepted;
      }
    }
    return found;
  };
  const auto own = decode(engine);
  ASSERT_EQ(own.first.size(), 40u);
  ASSERT_GT(own.second.size(), 2u) << "drafts of the mock are never right";
  std::vector<int32_t> text = {1, 2, 3};
  text.insert(text.end(), own.first.begin(), own.first.end());
  given_.say(text);
  Engine given(given_);
  EXPECT_EQ(decode(given), own);

  text[20] = (text[20] + 1) % 200;
  given_.say(text);
  Engine changed(given_);
  EXPECT_EQ(decode(changed).first, std::vector<int32_t>(text.begin() + 3, text.end()));
}

TEST_F(SolutionRuns, GoOnWhereTheyWereStopped) {
  run("whole");
  const auto whole = numbers_;
  int done = 0;
  const EvalSummary part =
      run("parts", {.progress = [&](auto, auto) { ++done; }, .stop = [&] { return done == 1; }});
  EXPECT_EQ(part.done, 1);
  EXPECT_EQ(part.all, 3);
  EXPECT_EQ(run("parts").done, 3);
  EXPECT_EQ(numbers_.at("nll"), whole.at("nll"));
  EXPECT_EQ(numbers_.at("tokens_per_pass"), whole.at("tokens_per_pass"));
}

TEST_F(SolutionRuns, AnEmptySolutionIsAnError) {
  task_.problems[1].shot = task_.problems[1].prompt;
  auto results = ResultsFile::open(folder_.path() / "x", {});
  Engine engine(given_, &tokenizer_);
  const auto done = run_solutions(task_, tokenizer_, engine, given_, *results, {});
  ASSERT_FALSE(done.ok());
  EXPECT_TRUE(says(done.error().message, "problem 1|empty solution"));
}

}  // namespace
}  // namespace tidar
