#include "report/pass_rates.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "report/comparison.h"

namespace tidar {
namespace {

using Runs = std::vector<TaskResult>;

TaskResult run_over(const std::vector<ItemResult>& items) {
  TaskResult run;
  for (const ItemResult& item : items) run.items[std::to_string(run.items.size())] = item;
  return run;
}

TEST(PassRates, CountThePromptOrNotAndKnowTheirCeiling) {
  // Of answers of 11, 5 and 1 tokens all but the first come from decoding passes.
  const TaskResult run = run_over({{1, 11, 10, 4}, {1, 5, 4, 2}, {1, 1, 0, 0}});
  const auto rates = pass_rates(Runs{run}, 4);
  ASSERT_TRUE(rates.has_value());
  EXPECT_DOUBLE_EQ(rates->decoding, 14.0 / 6);
  EXPECT_DOUBLE_EQ(rates->all, 17.0 / 9);
  EXPECT_DOUBLE_EQ(rates->ceiling, 14.0 / (3 + 1));
  EXPECT_DOUBLE_EQ(pass_rates(Runs{run, run}, 16)->ceiling, 14.0 / 2);
}

TEST(PassRates, AreNotToldOfRunsThatSayNothing) {
  EXPECT_FALSE(pass_rates({}, 8).has_value());
  EXPECT_FALSE(pass_rates(Runs{run_over({{1, 7, 0, 0}})}, 8).has_value());
  EXPECT_FALSE(pass_rates(Runs{run_over({{1, 11, 10, 4, 2}})}, 8).has_value()) << "two samples";
}

TEST(PassRatesTable, HasARowForEachEntryThatDrafts) {
  Study study;
  study.tasks = {{"math", "Problems", "strict", ScoreKind::generated}};
  StudyEntry drafts;
  drafts.label = "K = 4";
  drafts.draft_length = 4;
  drafts.sections = {Section::histogram};
  drafts.folders["math"] = {"1"};
  StudyEntry plain = drafts, waiting = drafts;
  plain.draft_length = 0;
  waiting.label = "Waiting";
  drafts.runs["math"] = plain.runs["math"] = {run_over({{1, 9, 8, 4}})};
  study.entries = {plain, waiting};
  EXPECT_EQ(pass_rates_table(study, entries_in(study, Section::histogram)), "");
  study.entries = {drafts, plain, waiting};
  EXPECT_NE(pass_rates_table(study, entries_in(study, Section::histogram))
                .find("|  | Problems |\n|---|---:|\n"
                      "| K = 4 | 2.00 / 1.80 / 50 % of 4.00 |\n| Waiting | – |\n\n"),
            std::string::npos);
}

}  // namespace
}  // namespace tidar
