#include "report/recipes.h"

#include <gtest/gtest.h>

#include "report/comparison.h"

namespace tidar {
namespace {

/// Two seeds of two texts and two answers.
StudyEntry entry(const std::string& label, Role role, double nll, int64_t passes, double right) {
  StudyEntry entry;
  entry.label = label;
  entry.role = role;
  entry.sections = {Section::recipes};
  for (const char* task : {"text", "math"}) {
    TaskResult run;
    for (const char* item : {"a", "b"}) run.items[item] = {nll, 10, 8, passes};
    run.tokens_per_pass = 8.0 / static_cast<double>(passes);
    if (std::string(task) == "math") run.items["a"].value = right, run.items["b"].value = 1;
    entry.folders[task] = {"1", "2"};
    entry.runs[task] = {run, run};
    entry.results[task] = run;
  }
  return entry;
}

TEST(RecipesPart, SetsEachBesideTheBaseline) {
  Study study;
  study.tasks = {{"text", "Plain text", "nll", ScoreKind::loss},
                 {"math", "Problems", "strict", ScoreKind::generated}};
  study.entries = {entry("As written", Role::baseline, 4, 4, 0),
                   entry("Better", Role::tidar, 4.1, 2, 1), entry("Waiting", Role::tidar, 4, 4, 1)};
  study.entries[2].runs.clear();
  study.entries[2].results.clear();
  const std::string text = recipes_part(study, entries_in(study, Section::recipes));
  for (const char* row :
       {"|  | seeds | Plain text | tokens per pass, × | loss, × | answers |",
        "| As written | 2 | 2.00 | – | – | – |", "| Better | 2 | 4.00 | 2.000 (2.000 to 2.000) |",
        "| 1.0250 (1.0250 to 1.0250) | 2 / 0, p = 0.50 |", "| Waiting | 2 | – | – | – | – |",
        "what As written comes to"}) {
    EXPECT_NE(text.find(row), std::string::npos) << row << "\n" << text;
  }
  study.entries.erase(study.entries.begin());
  const std::string alone = recipes_part(study, entries_in(study, Section::recipes));
  EXPECT_NE(alone.find("| Better | 2 | 4.00 | – | – | – |"), std::string::npos) << alone;
}

}  // namespace
}  // namespace tidar
