#include "eval/document_runs.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "decode/mock_evaluator_testing.h"
#include "eval/given_text.h"
#include "format/files_testing.h"

namespace tidar {
namespace {

constexpr int kVocabulary = 40;
constexpr MockModel kDocumentModel{
    .seed = 5, .vocabulary = kVocabulary, .mask_token = 39, .agreement = 0.8};
constexpr EvaluatorLimits kDocumentLimits{
    .max_rows = 256, .pages = 32, .max_position = 200, .vocabulary = kVocabulary};

class DocumentRuns : public testing::Test {
 protected:
  DocumentRuns() : evaluator_(kDocumentModel, kDocumentLimits) {
    Rng rng(11);
    for (int i = 0; i < 7; ++i) {
      TextDocument document{.id = std::to_string(i + 1), .prompt = 1 + i};
      for (int k = 0; k < 20 + 5 * i; ++k) {
        document.tokens.push_back(rng.below(kVocabulary - 1));
      }
      task_.documents.push_back(std::move(document));
    }
    task_.methods = {{.method = ArOptions{}},
                     {.method = TidarOptions{.draft_length = 4}},
                     {.method = SelfSpeculativeOptions{.draft_length = 4}},
                     {.method = LookupMethodOptions{}},
                     {.method = TidarOptions{.draft_length = 4, .trust = 0.3F}}};
    task_.request.sequence.mask_token = 39;
    task_.request.eos = {3};
    task_.request.max_new = 25;
  }

  DocumentSummary run(const std::string& folder, const RunHooks& hooks = {}) {
    auto results = ResultsFile::open(folder_.path() / folder, {{"test", "documents"}});
    EXPECT_TRUE(results.ok());
    auto summary = run_documents(task_, evaluator_, *results, hooks);
    if (summary.ok()) return std::move(*summary);
    ADD_FAILURE() << summary.error().message;
    return {};
  }

  /// Nats of the tokens behind the prompts, from an engine that says them one by one.
  double nats_by_decoding() {
    GivenText given(evaluator_, 39);
    double nats = 0;
    for (const TextDocument& document : task_.documents) {
      Request request = task_.request;
      request.eos.clear();
      request.sequence.prompt.assign(document.tokens.begin(),
                                     document.tokens.begin() + document.prompt);
      request.max_new = document.text_tokens();
      given.say(document.tokens);
      Engine engine(given);
      EXPECT_TRUE(engine.submit(request).ok());
      while (!engine.idle()) {
        for (const Update& update : engine.step()) {
          for (const TokenLogprob& token : update.tokens) nats -= token.logprob;
        }
      }
    }
    return nats;
  }

  MockEvaluator evaluator_;
  DocumentTask task_;
  ScratchFolder folder_;
};

TEST_F(DocumentRuns, MeasureAllMethods) {
  for (const float temperature : {0.0F, 0.9F}) {
    task_.request.sequence.sampling.temperature = temperature;
    const DocumentSummary found = run(fmt::format("at {}", temperature));
    EXPECT_EQ(found.done, 7);
    EXPECT_EQ(found.all, 7);
    EXPECT_EQ(found.nll.count, 7);
    EXPECT_NEAR(found.nll.mean * static_cast<double>(found.tokens), nats_by_decoding(), 1e-3);
    int64_t tokens = 0;
    for (const TextDocument& document : task_.documents) tokens += document.text_tokens();
    EXPECT_EQ(found.tokens, tokens);
    ASSERT_EQ(found.methods.size(), 5u);
    const MethodOnDocuments& ar = found.methods[0];
    EXPECT_FALSE(ar.given);
    EXPECT_EQ(ar.own.stats.tokens_per_pass(), 1);
    EXPECT_GT(ar.own.tokens_per_s(), 0);
    for (size_t i = 0; i < 4; ++i) {
      const MethodOnDocuments& method = found.methods[i];
      EXPECT_EQ(name_of(method.method), name_of(task_.methods[i].method));
      EXPECT_EQ(method.same_as_ar, 7) << i;
      EXPECT_EQ(method.own.texts, 7);
      EXPECT_EQ(method.own.stats.new_tokens, ar.own.stats.new_tokens);
      if (i == 0) continue;
      ASSERT_TRUE(method.given) << i;
      EXPECT_EQ(method.given->stats.new_tokens, tokens) << "all of the texts, whatever ends others";
    }
    EXPECT_GT(found.methods[1].own.stats.tokens_per_pass(), 1.2);
    ASSERT_EQ(found.methods[1].given->stats.places.size(), 3u) << "a draft's first is certain";
    EXPECT_FALSE(found.methods[4].given) << "it may not be held to a text";
    EXPECT_LT(found.methods[4].same_as_ar, 7) << "its tokens are its own";
  }
}

// The figures are those of decoding by itself.
TEST_F(DocumentRuns, CountAsDecodingDoes) {
  task_.request.sequence.sampling = {.temperature = 0.9F, .seed = 12};
  const DocumentSummary found = run("all");
  RequestStats expected;
  for (size_t i = 0; i < task_.documents.size(); ++i) {
    Request request = task_.request;
    request.method = task_.methods[1].method;
    request.sequence.sampling.seed = seed_of_sample(12, i, 0);
    const auto prompt = task_.documents[i].prompt_tokens();
    request.sequence.prompt.assign(prompt.begin(), prompt.end());
    Engine engine(evaluator_);
    ASSERT_TRUE(engine.submit(request).ok());
    while (!engine.idle()) {
      for (const Update& update : engine.step()) {
        if (update.totals) expected.add(*update.totals);
      }
    }
  }
  const RequestStats& own = found.methods[1].own.stats;
  EXPECT_EQ(own.new_tokens, expected.new_tokens);
  EXPECT_EQ(own.passes, expected.passes);
  EXPECT_EQ(own.rows, expected.rows);
  EXPECT_EQ(own.accepted, expected.accepted);
  EXPECT_EQ(own.places, expected.places);
}

TEST_F(DocumentRuns, GoOnWhereTheyWereStopped) {
  const DocumentSummary whole = run("whole");
  for (const int64_t until : {int64_t{2}, int64_t{5}}) {
    int64_t done = 0;
    const DocumentSummary part =
        run("parts", {.progress = [&](int64_t now, int64_t) { done = now; },
                      .stop = [&] { return done == until; }});
    EXPECT_EQ(part.done, until);
    EXPECT_EQ(part.all, 7);
  }
  // A kill between the lines of one document.
  const auto file = folder_.path() / "parts" / "results.jsonl";
  std::string lines = bytes_of_file(file);
  lines.resize(lines.rfind('\n', lines.size() - 2) + 1);
  std::ofstream(file) << lines;
  const int64_t before = evaluator_.carried_rows();
  const DocumentSummary again = run("parts");
  const int64_t rows = evaluator_.carried_rows() - before;
  EXPECT_EQ(again.done, 7);
  EXPECT_EQ(again.nll.mean, whole.nll.mean);
  EXPECT_EQ(again.nll.standard_error, whole.nll.standard_error);
  for (size_t i = 0; i < whole.methods.size(); ++i) {
    EXPECT_EQ(again.methods[i].own.stats.accepted, whole.methods[i].own.stats.accepted);
    EXPECT_EQ(again.methods[i].own.stats.places, whole.methods[i].own.stats.places);
    EXPECT_EQ(again.methods[i].same_as_ar, whole.methods[i].same_as_ar);
    ASSERT_EQ(again.methods[i].given.has_value(), whole.methods[i].given.has_value());
    if (!whole.methods[i].given) continue;
    EXPECT_EQ(again.methods[i].given->stats.accepted, whole.methods[i].given->stats.accepted);
    EXPECT_EQ(again.methods[i].given->stats.passes, whole.methods[i].given->stats.passes);
  }
  run("parts");
  EXPECT_EQ(evaluator_.carried_rows() - before, rows) << "what is done is not done again";
}

TEST_F(DocumentRuns, NeedRoomForTheirLongestText) {
  const DocumentNeeds needs = needs_of(task_, 200);
  EXPECT_GE(needs.rows, 4 * 5);
  EXPECT_GE(needs.keys, 50);
  EXPECT_LE(needs.keys, 50 + 25 + 8);
  EXPECT_EQ(needs_of(task_, 30).keys, 30);
}

TEST_F(DocumentRuns, ErrorsNameTheDocument) {
  task_.documents[2].tokens.resize(300);
  auto results = ResultsFile::open(folder_.path() / "x", {});
  const auto found = run_documents(task_, evaluator_, *results, {});
  ASSERT_FALSE(found.ok());
  EXPECT_TRUE(says(found.error().message, "document 3: "));
}

}  // namespace
}  // namespace tidar
