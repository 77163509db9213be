#include "report/study_file.h"

#include <gtest/gtest.h>

#include <cmath>

#include "format/files_testing.h"

namespace tidar {
namespace {

constexpr const char* kStudy = R"({
  "title": "Title", "notes": "notes.md", "facts": ["one", "two"],
  "tasks": [{"name": "math", "label": "Word problems", "score": "strict"},
            {"name": "code", "score": "pass@10"},
            {"name": "plain", "score": "perplexity"}],
  "entries": [
    {"label": "TiDAR", "series": "S", "role": "tidar", "in": ["generation", "trade-off"],
     "draft_length": 8, "masking": "full", "alpha": 2, "trust_ar": 0.5, "confidence": 1.01,
     "results": {"math": "there", "code": "gone", "plain": "there"}},
    {"label": "Rest", "results": {}}],
  "latency": [{"label": "small", "bench": "bench.json"}, {"label": "big", "bench": "none.json"}]
})";

class StudyFile : public testing::Test {
 protected:
  void SetUp() override {
    folder_.put("notes.md", "*notes*");
    folder_.put("bench.json", R"({"passes": [
        {"name": "prefill", "rows": 512, "median_ms": 9}, {"name": "4", "rows": 4, "median_ms": 3},
        {"name": "decode", "rows": 1, "median_ms": 8}, {"name": "1", "rows": 1, "median_ms": 2}]})");
    std::filesystem::create_directory(folder_.path() / "there");
    summary(R"({"done": 3, "all": 4, "scores": {"strict": {"mean": 0.25, "standard_error": 0.1,
        "count": 3}}, "perplexity": 7.5, "tokens_per_pass": 2.5, "rows_per_pass": 9, "tokens_per_s": 80,
        "accepted": [0, 5, 2]})");
  }
  void summary(const std::string& json) { folder_.put("there/summary.json", json); }

  Result<Study> read(const std::string& json) {
    return read_study(folder_.put("study.json", json));
  }
  /// The study with a part of it replaced.
  std::string failure(const std::string& from, const std::string& to) {
    std::string json = kStudy;
    const size_t at = json.find(from);
    TIDAR_CHECK(at != std::string::npos);
    const auto study = read(json.replace(at, from.size(), to));
    return study.ok() ? "none" : study.error().message;
  }

  ScratchFolder folder_;
};

bool says(const std::string& text, const std::vector<std::string>& parts) {
  return std::all_of(parts.begin(), parts.end(),
                     [&](const std::string& part) { return text.find(part) != std::string::npos; });
}

TEST_F(StudyFile, IsReadWithItsResults) {
  const auto study = read(kStudy);
  ASSERT_TRUE(study.ok()) << study.error().message;
  EXPECT_EQ(study->title, "Title");
  EXPECT_EQ(study->notes, "*notes*");
  EXPECT_EQ(study->facts, std::vector<std::string>({"one", "two"}));
  ASSERT_EQ(study->tasks.size(), 3u);
  EXPECT_EQ(study->tasks[0].label, "Word problems");
  EXPECT_EQ(study->tasks[1].label, "code");
  EXPECT_EQ(study->tasks[1].kind, ScoreKind::generated);
  EXPECT_EQ(study->tasks[2].kind, ScoreKind::loss);
  ASSERT_EQ(study->entries.size(), 2u);
  const StudyEntry& entry = study->entries[0];
  EXPECT_EQ(entry.series, "S");
  EXPECT_EQ(entry.role, Role::tidar);
  EXPECT_EQ(entry.sections, std::set<Section>({Section::generation, Section::trade_off}));
  EXPECT_EQ(entry.draft_length, 8);
  EXPECT_EQ(entry.masking, "full");
  EXPECT_EQ(entry.alpha, 2);
  EXPECT_EQ(entry.trust_ar, 0.5);
  EXPECT_EQ(entry.confidence, 1.01);
  EXPECT_EQ(study->entries[1].series, "Rest");
  EXPECT_EQ(study->entries[1].role, Role::other);

  ASSERT_EQ(entry.results.size(), 2u);
  const TaskResult& math = entry.results.at("math");
  EXPECT_FALSE(math.finished());
  EXPECT_EQ(math.score.mean, 0.25);
  EXPECT_EQ(math.score.standard_error, 0.1);
  EXPECT_EQ(math.tokens_per_pass, 2.5);
  EXPECT_EQ(math.rows_per_pass, 9);
  EXPECT_EQ(math.tokens_per_s, 80);
  EXPECT_EQ(math.passes, std::vector<int64_t>({0, 5, 2}));
  EXPECT_EQ(entry.results.at("plain").score.mean, 7.5);

  ASSERT_EQ(study->latency.size(), 1u);
  ASSERT_EQ(study->latency[0].points.size(), 2u);
  EXPECT_EQ(study->latency[0].points[0].rows, 1);
  EXPECT_EQ(study->latency[0].points[1].ms, 3);
}

TEST_F(StudyFile, AFolderForEachSeedMakesOneResult) {
  std::string json = kStudy;
  const std::string one = "\"math\": \"there\"";
  json.replace(json.find(one), one.size(), R"("math": ["there", "again"])");
  const auto waiting = read(json);
  ASSERT_TRUE(waiting.ok()) << waiting.error().message;
  EXPECT_EQ(waiting->entries[0].results.count("math"), 0u);
  EXPECT_TRUE(says(waiting->missing[1], {"/again", "math"}));

  std::filesystem::create_directory(folder_.path() / "again");
  folder_.put("again/summary.json", R"({"done": 4, "all": 4, "scores": {"strict": {"mean": 0.5,
      "standard_error": 0.1, "count": 4}}, "tokens_per_pass": 3.5, "tokens_per_s": 40,
      "accepted": [1, 1, 1, 1]})");
  const auto study = read(json);
  ASSERT_TRUE(study.ok()) << study.error().message;
  const StudyEntry& entry = study->entries[0];
  EXPECT_EQ(entry.runs.at("math").size(), 2u);
  const TaskResult& math = entry.results.at("math");
  EXPECT_EQ(math.done, 7);
  EXPECT_EQ(math.all, 8);
  EXPECT_EQ(math.score.mean, 0.375);
  // Seeds that are 0.25 apart: a standard error of 0.125 beside that of the items.
  EXPECT_NEAR(math.score.standard_error, std::hypot(0.1, 0.125), 1e-12);
  EXPECT_EQ(math.tokens_per_pass, 3);
  EXPECT_EQ(math.tokens_per_s, 60);
  EXPECT_EQ(math.rows_per_pass, 0);
  EXPECT_EQ(math.passes, std::vector<int64_t>({1, 6, 3, 1}));
  EXPECT_TRUE(says(failure(one, "\"math\": []"), {"'math'", "seed"}));
  EXPECT_TRUE(says(failure(one, "\"math\": [\"\"]"), {"'math'", "seed"}));
  EXPECT_TRUE(says(failure(one, "\"math\": 3"), {"'math'", "texts"}));
}

TEST_F(StudyFile, ItemsOfAFinishedRunAreRead) {
  const auto items_of = [&](const char* task, const std::string& lines) {
    summary(R"({"done": 2, "all": 2, "scores": {"strict": {"mean": 0.5}, "pass@10": {"mean": 0.5}},
               "perplexity": 7.5})");
    folder_.put("there/results.jsonl", lines);
    const auto study = read(kStudy);
    EXPECT_TRUE(study.ok()) << study.error().message;
    return study->entries[0].runs.at(task).front();
  };
  const std::string answers = R"({"item": "b", "sample": 0, "strict": 1, "tokens": 9, "passes": 3,
      "decoded": 8}
{"item": "a", "sample": 0, "strict": 0, "tokens": 5, "passes": 4, "decoded": 4}
{"item": "a", "sample": 1, "strict": 1, "tokens": 6, "passes": 2, "decoded": 5}
)";
  const TaskResult math = items_of("math", std::string(answers).erase(answers.find('\n'), 1));
  ASSERT_EQ(math.items.size(), 2u);
  EXPECT_EQ(math.items.at("a").value, 0.5);
  EXPECT_EQ(math.items.at("a").tokens, 11);
  EXPECT_EQ(math.items.at("a").decoded, 9);
  EXPECT_EQ(math.items.at("a").passes, 6);
  EXPECT_EQ(math.items.at("b").value, 1);
  EXPECT_DOUBLE_EQ(math.tokens_per_pass, 17.0 / 9);

  // Where one item has no score none is told.
  const std::string unscored = "{\"item\": \"c\", \"sample\": 0, \"tokens\": 5}\n";
  EXPECT_TRUE(items_of("math", unscored).items.empty());

  // Documents: AR's line tells the loss, the other's what drafts brought on the given text.
  const TaskResult documents = items_of(
      "plain", R"({"item": "a", "sample": 0, "nll": 12.5, "same_as_ar": 1, "tokens": 7, "passes": 7}
{"item": "a", "sample": 1, "given_tokens": 10, "given_decoded": 9, "given_passes": 3, "same_as_ar": 0, "tokens": 7, "passes": 2}
)");
  EXPECT_EQ(documents.items.at("a").value, 12.5);
  EXPECT_EQ(documents.items.at("a").tokens, 10);
  EXPECT_EQ(documents.items.at("a").decoded, 9);
  EXPECT_EQ(documents.items.at("a").passes, 3);

  const TaskResult windows =
      items_of("plain", R"({"item": "0-9", "sample": 0, "logprob": -20.5, "tokens": 9}
)");
  EXPECT_EQ(windows.items.at("0-9").value, 20.5);
  EXPECT_EQ(windows.items.at("0-9").tokens, 9);

  folder_.put("there/results.jsonl",
              R"({"item": "a", "sample": 0, "nll": 1, "same_as_ar": 1, "tokens": 7}
{"item": "a", "sample": 1, "given_tokens": 10, "given_passes": 3, "same_as_ar": 1, "tokens": 7}
{"item": "a", "sample": 2, "given_tokens": 10, "given_passes": 3, "same_as_ar": 1, "tokens": 7}
)");
  const auto several = read(kStudy);
  EXPECT_TRUE(!several.ok() &&
              says(several.error().message, {"results.jsonl:3", "several methods"}));
}

TEST_F(StudyFile, ItemsOfARunThatGoesOnAreNotRead) {
  folder_.put("there/results.jsonl", "{\"item\": \"a\", \"sam");  // under way
  const auto study = read(kStudy);
  ASSERT_TRUE(study.ok()) << study.error().message;
  EXPECT_TRUE(study->entries[0].runs.at("math").front().items.empty());
}

TEST_F(StudyFile, WhatIsNotThereYetIsTold) {
  const auto study = read(kStudy);
  ASSERT_TRUE(study.ok()) << study.error().message;
  ASSERT_EQ(study->missing.size(), 2u);
  EXPECT_TRUE(says(study->missing[0], {"none.json"}));
  EXPECT_TRUE(says(study->missing[1], {"/gone", "code", "TiDAR"}));
}

TEST_F(StudyFile, UnknownWordsAreRefusedAndTheNearestIsNamed) {
  EXPECT_TRUE(says(failure("\"title\"", "\"titel\""), {"'titel'", "did you mean 'title'?"}));
  EXPECT_TRUE(says(failure("\"role\"", "\"rolle\""), {"entry 1", "'rolle'", "'role'"}));
  EXPECT_TRUE(says(failure("\"tidar\"", "\"tidal\""), {"entry 1", "'tidal'", "'tidar'"}));
  EXPECT_TRUE(says(failure("trade-off", "tradeoff"), {"'in'", "'tradeoff'", "'trade-off'"}));
  EXPECT_TRUE(says(failure("\"full\"", "\"half\""), {"'masking'", "'half'", "full, random"}));
  EXPECT_TRUE(says(failure("\"strict\"", "\"strikt\""), {"task 1", "'strikt'", "'strict'"}));
  EXPECT_TRUE(says(failure("pass@10", "pass@"), {"task 2", "'pass@'", "'pass@N'"}));
  EXPECT_TRUE(says(failure("\"math\": \"there\"", "\"maths\": \"there\""), {"'maths'", "'math'"}));
  EXPECT_TRUE(says(failure("\"bench\"", "\"bank\""), {"latency 1", "'bank'"}));
  folder_.put("bench.json", R"({"passes": [
      {"name": "1", "rows": 1, "median_ms": 2, "context": 0},
      {"name": "1", "rows": 1, "median_ms": 3, "context": 40}]})");
  EXPECT_TRUE(says(failure("Title", "Title"), {"bench.json", "behind 0 and 40", "one --context"}));
}

TEST_F(StudyFile, WrongValuesAreRefused) {
  EXPECT_TRUE(says(failure("\"Title\"", "\"\""), {"'title'"}));
  EXPECT_TRUE(says(failure("\"name\": \"math\"", "\"name\": \"a/b\""), {"'name'", "letters"}));
  EXPECT_TRUE(says(failure("\"name\": \"code\"", "\"name\": \"math\""), {"'math'", "twice"}));
  EXPECT_TRUE(says(failure("\"trust_ar\": 0.5", "\"trust_ar\": 1.5"), {"'trust_ar'"}));
  EXPECT_TRUE(says(failure("\"draft_length\": 8", "\"draft_length\": 0"), {"'draft_length'"}));
  EXPECT_TRUE(says(failure("\"entries\": [", "\"entries\": [3, "), {"'entries'", "objects"}));
  EXPECT_TRUE(says(failure("\"results\": {}", "\"in\": []"), {"entry 2", "'results'", "missing"}));
  EXPECT_TRUE(says(failure("notes.md", "no.md"), {"no.md", "cannot be opened"}));
  EXPECT_TRUE(says(failure("\"label\": \"Rest\"", "\"label\": \"Rest\", \"in\": [\"masks\"]"),
                   {"entry 2", "'draft_length'", "missing"}));
  EXPECT_TRUE(says(failure("\"label\": \"Rest\"", "\"label\": \"Rest\", \"in\": [\"trust\"]"),
                   {"entry 2", "'trust_ar'", "missing"}));
  EXPECT_TRUE(says(failure("{\"label\": \"Rest\", \"results\": {}}",
                           R"({"label": "a", "role": "baseline", "results": {}},
                              {"label": "b", "role": "baseline", "results": {}})"),
                   {"several", "'baseline'"}));
}

TEST_F(StudyFile, DamagedSummariesAreRefused) {
  const auto failing = [&](const std::string& json) {
    summary(json);
    const auto study = read(kStudy);
    return study.ok() ? "none" : study.error().message;
  };
  EXPECT_TRUE(says(failing("{\"done\": 1,"), {"there/summary.json", "ends too early"}));
  EXPECT_TRUE(says(failing("{\"all\": 1}"), {"there/summary.json", "'done'"}));
  EXPECT_TRUE(says(failing(R"({"done": 1, "all": 1, "scores": {"acc": {}, "acc_norm": {}}})"),
                   {"there/summary.json", "'strict'", "acc, acc_norm"}));
  EXPECT_TRUE(says(failing(R"({"done": 1, "all": 1, "scores": {"strict": {"mean": 1}},
                               "accepted": [1, -1]})"),
                   {"'accepted'", "counts"}));
}

}  // namespace
}  // namespace tidar
