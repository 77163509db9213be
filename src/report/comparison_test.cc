#include "report/comparison.h"

#include <gtest/gtest.h>

#include <cmath>

#include "report/study_testing.h"

namespace tidar {
namespace {

using Where = EqualPasses::Where;

StudyEntry entry(const std::string& label, Role role, std::map<std::string, TaskResult> results) {
  StudyEntry entry;
  entry.label = entry.series = label;
  entry.role = role;
  entry.sections = {Section::generation};
  for (const auto& [task, ignored] : results) entry.folders[task] = {task};
  entry.results = std::move(results);
  return entry;
}

class Comparison : public testing::Test {
 protected:
  void SetUp() override {
    study_.tasks = {{"math", "Math", "strict", ScoreKind::generated},
                    {"code", "Code", "pass@1", ScoreKind::generated},
                    {"plain", "Plain", "nll", ScoreKind::loss}};
    const auto block = [](double math, double code, double passes) {
      return entry("blocks", Role::block_diffusion,
                   {{"math", finished_result(math, 0, passes, 1)},
                    {"code", finished_result(code, 0, passes, 1)}});
    };
    study_.entries = {entry("AR", Role::baseline,
                            {{"math", finished_result(0.5, 0.03, 1, 100)},
                             {"code", finished_result(0.3, 0.04, 1, 200)}}),
                      entry("TiDAR", Role::tidar,
                            {{"math", finished_result(0.6, 0.03, 4, 300)},
                             {"code", finished_result(0.4, 0.04, 2, 450)}}),
                      block(0.4, 0.2, 4), block(0.5, 0.3, 2)};
  }

  Study study_;
};

TEST_F(Comparison, MeansWeighTasksAlike) {
  const std::vector<const StudyTask*> tasks = {&study_.tasks[0], &study_.tasks[1]};
  study_.entries[1].results.at("math").rows_per_pass = 4;
  study_.entries[1].results.at("code").rows_per_pass = 7;
  const auto mean = mean_over(study_.entries[1], tasks);
  ASSERT_TRUE(mean);
  EXPECT_DOUBLE_EQ(mean->rows_per_pass, 5.5);
  EXPECT_DOUBLE_EQ(mean->score.mean, 0.5);
  EXPECT_DOUBLE_EQ(mean->score.standard_error, 0.025);  // sqrt(0.03² + 0.04²) / 2
  EXPECT_DOUBLE_EQ(mean->tokens_per_pass, 3);
  EXPECT_DOUBLE_EQ(mean->tokens_per_s, 375);
  EXPECT_TRUE(mean->finished);
}

TEST_F(Comparison, MeansNeedAllTasks) {
  const std::vector<const StudyTask*> tasks = {&study_.tasks[0], &study_.tasks[1]};
  StudyEntry& ar = study_.entries[0];
  ar.results.at("code").done = 3;
  ar.results.at("math").tokens_per_s = 0;
  EXPECT_FALSE(mean_over(ar, tasks)->finished);
  EXPECT_EQ(mean_over(ar, tasks)->tokens_per_s, 0);
  ar.results.erase("code");
  EXPECT_FALSE(mean_over(ar, tasks));
  EXPECT_FALSE(mean_over(ar, {}));
}

TEST_F(Comparison, TheHeadlineComparesWithTheBaselineAndTheCurve) {
  const Headline headline = headline_of(study_);
  ASSERT_EQ(headline.rows.size(), 1u);
  EXPECT_EQ(headline.tasks.size(), 2u);
  const HeadlineRow& row = headline.rows[0];
  EXPECT_NEAR(row.gain->value, 0.1, 1e-12);
  EXPECT_NEAR(row.gain->interval.low, 0.1 - kNormal95 * 0.025 * std::sqrt(2.0), 1e-12);
  EXPECT_NEAR(row.gain->interval.high, 0.1 + kNormal95 * 0.025 * std::sqrt(2.0), 1e-12);
  EXPECT_FALSE(row.chance);
  EXPECT_DOUBLE_EQ(*row.times_faster, 2.5);
  EXPECT_EQ(row.diffusion->where, Where::between);
  EXPECT_NEAR(row.diffusion->point.score, 0.35, 1e-12);
}

TEST_F(Comparison, OfSeveralCurvesTheBestStandsBesideTiDAR) {
  const auto add = [&](const std::string& series, double score, double passes) {
    study_.entries.push_back(entry(series, Role::block_diffusion,
                                   {{"math", finished_result(score, 0, passes, 1)},
                                    {"code", finished_result(score, 0, passes, 1)}}));
  };
  const auto expect = [&](const std::string& series, Where where, double score) {
    const HeadlineRow row = headline_of(study_).rows[0];  // at 3 tokens per pass
    EXPECT_EQ(row.diffusion_series, series);
    EXPECT_EQ(row.diffusion->where, where);
    EXPECT_NEAR(row.diffusion->point.score, score, 1e-12);
  };
  add("ends before", 0.9, 2.9);
  expect("blocks", Where::between, 0.35);
  add("worse", 0.3, 3);
  expect("blocks", Where::between, 0.35);
  add("begins behind", 0.7, 3.5);
  expect("begins behind", Where::below_all, 0.7);
  std::erase_if(study_.entries, [](const StudyEntry& entry) {
    return entry.series == "blocks" || entry.series == "worse" || entry.series == "begins behind";
  });
  add("ends earlier", 0.95, 2.8);
  expect("ends before", Where::above_all, 0.9);
}

TEST_F(Comparison, TheHeadlineComparesItemsWhereTheyAreTold) {
  // TiDAR is right wherever AR is, and on one item more of each task: no luck of items is in that.
  for (const char* task : {"math", "code"}) {
    for (StudyEntry* entry : {&study_.entries[0], &study_.entries[1]}) {
      TaskResult run = entry->results.at(task);
      for (int i = 0; i < 10; ++i) {
        const bool right = i < 5 || (i == 5 && entry == &study_.entries[1]);
        run.items[std::to_string(i)] = {.value = right ? 1.0 : 0.0};
      }
      entry->runs[task] = {run};
    }
  }
  const Headline headline = headline_of(study_);
  const HeadlineRow& row = headline.rows[0];
  EXPECT_NEAR(row.gain->value, 0.1, 1e-12);
  EXPECT_GE(row.gain->interval.low, 0);
  EXPECT_LT(row.gain->interval.high, 0.1 + kNormal95 * 0.025 * std::sqrt(2.0) + 0.2);
  EXPECT_NEAR(*row.chance, 0.5, 1e-12);  // two of two
}

TEST_F(Comparison, TheHeadlineLeavesOutOtherSections) {
  study_.entries[1].sections = {Section::trust};
  study_.entries[2].sections = {Section::strategies};
  EXPECT_TRUE(headline_of(study_).rows.empty());
  study_.entries[1].sections = {Section::trust, Section::trade_off};
  const Headline headline = headline_of(study_);
  ASSERT_EQ(headline.rows.size(), 1u);
  EXPECT_EQ(headline.rows[0].diffusion->where, Where::above_all);
  EXPECT_DOUBLE_EQ(headline.rows[0].diffusion->point.tokens_per_pass, 2);
}

TEST_F(Comparison, WithoutABaselineThereAreOnlyItsOwnNumbers) {
  study_.entries.erase(study_.entries.begin());
  const Headline headline = headline_of(study_);
  ASSERT_EQ(headline.rows.size(), 1u);
  EXPECT_TRUE(headline.rows[0].mean);
  EXPECT_FALSE(headline.rows[0].gain);
  EXPECT_FALSE(headline.rows[0].times_faster);
}

TEST_F(Comparison, TasksOfASectionAreThoseThatItsEntriesName) {
  study_.entries[3].folders.erase("code");
  const std::vector<const StudyEntry*> last = {&study_.entries[3]};
  ASSERT_EQ(tasks_of(study_, ScoreKind::generated, last).size(), 1u);
  EXPECT_EQ(tasks_of(study_, ScoreKind::generated, last)[0]->name, "math");
  EXPECT_TRUE(tasks_of(study_, ScoreKind::loss, last).empty());
}

TEST(EqualPassesOf, LieOnTheLineBetweenNeighbours) {
  const std::vector<PassPoint> points = {{4, 0.2}, {1, 0.8}, {2, 0.6}};
  const auto at = [&](double passes) { return *at_equal_passes(points, passes); };
  EXPECT_EQ(at(1.5).where, Where::between);
  EXPECT_NEAR(at(1.5).point.score, 0.7, 1e-12);
  EXPECT_NEAR(at(3).point.score, 0.4, 1e-12);
  EXPECT_NEAR(at(4).point.score, 0.2, 1e-12);
  EXPECT_EQ(at(1).where, Where::between);
}

TEST(EqualPassesOf, EndWhereTheCurveEnds) {
  const std::vector<PassPoint> points = {{2, 0.6}, {4, 0.2}};
  const auto above = at_equal_passes(points, 4.01), below = at_equal_passes(points, 1.99);
  EXPECT_EQ(above->where, Where::above_all);
  EXPECT_EQ(above->point.tokens_per_pass, 4);
  EXPECT_EQ(above->point.score, 0.2);
  EXPECT_EQ(below->where, Where::below_all);
  EXPECT_EQ(below->point.score, 0.6);
  EXPECT_FALSE(at_equal_passes({}, 2));
}

TEST(EqualPassesOf, TheBetterOfTwoAtOnePlaceCounts) {
  for (const auto& points : {std::vector<PassPoint>{{1, 0.5}, {2, 0.1}, {2, 0.4}},
                             std::vector<PassPoint>{{2, 0.4}, {2, 0.1}, {1, 0.5}}}) {
    EXPECT_NEAR(at_equal_passes(points, 2)->point.score, 0.4, 1e-12);
    EXPECT_NEAR(at_equal_passes(points, 1.5)->point.score, 0.45, 1e-12);
  }
}

}  // namespace
}  // namespace tidar
