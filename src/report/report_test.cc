#include "report/report.h"

#include <gtest/gtest.h>

#include "report/page.h"
#include "report/report_text.h"
#include "report/study_testing.h"

namespace tidar {
namespace {

StudyEntry entry(const std::string& label, Role role, std::set<Section> sections,
                 const TaskResult& found) {
  StudyEntry entry;
  entry.label = entry.series = label;
  entry.role = role;
  entry.sections = std::move(sections);
  entry.draft_length = 4;
  entry.masking = "full";
  entry.trust_ar = 0.5;
  entry.folders["math"] = {"folder"};
  entry.results["math"] = found;
  entry.results["math"].passes = {0, 3, 1};
  entry.results["math"].rows_per_pass = 12.5;
  return entry;
}

/// One entry in every section, a baseline and a point of block diffusion.
Study full_study() {
  Study study;
  study.title = "Title";
  study.notes = "## Findings";
  study.facts = {"A fact"};
  study.tasks = {{"math", "Problems", "strict", ScoreKind::generated},
                 {"plain", "Text", "perplexity", ScoreKind::loss}};
  study.entries = {
      entry("AR", Role::baseline, {Section::generation}, finished_result(0.4, 0.03, 1, 100)),
      entry("TiDAR", Role::tidar,
            {Section::likelihood, Section::generation, Section::strategies, Section::masks,
             Section::trade_off, Section::trust, Section::histogram},
            finished_result(0.5, 0.04, 3, 250)),
      entry("Block", Role::block_diffusion, {Section::trade_off},
            finished_result(0.2, 0.03, 2, 150))};
  study.entries[1].folders["plain"] = {"folder"};
  study.latency = {{"model", {{1, 2}, {4, 3}}}};
  return study;
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Report, SaysTheNumbersOfTheStudy) {
  const std::string text = make_report(full_study()).markdown;
  EXPECT_TRUE(
      holds(text,
            "**TiDAR** scores 50.0 %, AR 40.0 ± 3.0 %: a difference of +10.0 points. A pass "
            "brings 3.00 tokens, a second 2.50 × as many as with AR.\n"))
      << text;
  for (const char* row :
       {"| 2.50 | at most 2.00 tokens per pass: 20.0 % (Block) |",
        "| TiDAR | 50.0 ± 4.0 | +10.0 (+0.2 to +19.8) | 3.00 | 12.50 | 250 | 2.50 |",
        "| TiDAR | – |", "| TiDAR | 50.0 ± 4.0 (3.00) | 50.0 ± 4.0 (3.00) | 250 |",
        "| TiDAR | 3.00 | 50.0 ± 4.0 |", "| K = 4 | – | 50.0 ± 4.0 (3.00) |",
        "| 0.5 | 50.0 ± 4.0 (3.00) |", "| 4 | 3.00 (1.50) |", "- A fact", "\n## Findings\n"}) {
    EXPECT_TRUE(holds(text, row)) << row << "\n" << text;
  }
}

TEST(Report, TheHeadlineSaysHowFarRowsLieApart) {
  Study study = full_study();
  study.entries.push_back(entry("TiDAR, K = 8", Role::tidar, {Section::generation},
                                finished_result(0.375, 0.04, 5, 80)));
  study.entries.push_back(
      entry("no results", Role::tidar, {Section::generation}, finished_result(0, 0, 0, 0)));
  study.entries.back().results.clear();
  const std::string text = make_report(study).markdown;
  EXPECT_TRUE(holds(text,
                    "**TiDAR** scores 37.5 to 50.0 %, AR 40.0 ± 3.0 %: a difference of -2.5 to "
                    "+10.0 points. A pass brings 3.00 to 5.00 tokens, a second 0.80 to 2.50 × as "
                    "many as with AR.\n"))
      << text;
}

TEST(Report, TheHeadlineSpeaksOfWhatIsDoneWithoutFlags) {
  Study study = full_study();
  study.entries.push_back(entry("TiDAR, no flags", Role::tidar, {Section::generation},
                                finished_result(0.375, 0.04, 5, 80)));
  study.entries.back().draft_length = 0;
  const std::string text = make_report(study).markdown;
  EXPECT_TRUE(holds(text, "**TiDAR, no flags** scores 37.5 %, AR 40.0 ± 3.0 %: ")) << text;
  EXPECT_TRUE(holds(text, "A pass brings 5.00 tokens, a second 0.80 × as many as with AR.\n"));
  EXPECT_TRUE(holds(text, "| TiDAR | 50.0 ± 4.0 | +10.0 (+0.2 to +19.8) | 3.00 |"));
}

TEST(Report, FiguresStandInTheTextInTheirOrder) {
  const Report report = make_report(full_study());
  size_t at = 0;
  for (const Plot& plot : report.figures) {
    const size_t found = report.markdown.find("](figures/" + plot.name + ".svg)", at);
    ASSERT_NE(found, std::string::npos) << plot.name;
    at = found;
  }
  EXPECT_EQ(report.figures.size(), 7u);
  const Plot& histogram = report.figures.back();
  EXPECT_EQ(histogram.name, "histogram-math");
  ASSERT_EQ(histogram.series.size(), 1u);
  ASSERT_EQ(histogram.series[0].points.size(), 2u);
  EXPECT_EQ(histogram.series[0].points[0].x, 1);
  EXPECT_EQ(histogram.series[0].points[0].y, 75);
}

TEST(Report, LeavesOutWhatNobodyIsIn) {
  Study study = full_study();
  study.entries.resize(1);
  study.latency.clear();
  study.facts.clear();
  study.notes.clear();
  const Report report = make_report(study);
  EXPECT_TRUE(holds(report.markdown, "## Generation"));
  EXPECT_TRUE(report.figures.empty());
  std::string rest = report.markdown;
  rest.erase(rest.find("## Generation"), 3);
  EXPECT_FALSE(holds(rest, "## ")) << rest;
}

TEST(Report, MarksRunsThatAreNotFinished) {
  Study study = full_study();
  study.entries[1].results["math"].done = 3;
  const std::string text = make_report(study).markdown;
  EXPECT_TRUE(holds(text, "| 50.0 ± 4.0 \\* (3.00) | 50.0 ± 4.0 \\* (3.00) |")) << text;
  EXPECT_TRUE(holds(text, "\\* not finished: TiDAR, Problems: 3 of 10.")) << text;
}

TEST(Report, ShowsMissingResultsAsADash) {
  Study study = full_study();
  study.entries[1].results.clear();
  const std::string text = make_report(study).markdown;
  EXPECT_TRUE(holds(text, "| TiDAR | – | – | – |")) << text;
  EXPECT_FALSE(holds(text, "**TiDAR**"));
}

TEST(ReportText, NumbersHaveTheDigitsThatTheyDeserve) {
  EXPECT_EQ(percent_text({0.41234, 0.00912, 10}), "41.2 ± 0.9");
  EXPECT_EQ(percent_text({1, 0, 0}), "100.0");
  EXPECT_EQ(percent_text({1, 0, 20}), "100.0 (from 83.9)");
  EXPECT_EQ(percent_text({0, 0, 20}), "0.0 (to 16.1)");
  EXPECT_EQ(percent_text({0.5, 0, 20}), "50.0");
  EXPECT_EQ(gain_text({-0.012, {-0.03, 0.007}}), "-1.2 (-3.0 to +0.7)");
  EXPECT_EQ(ratio_text({1.1234, {1.05, 1.2}}, 2), "1.12 (1.05 to 1.20)");
  EXPECT_EQ(chance_text(0.0312), "p = 0.031");
  EXPECT_EQ(chance_text(1), "p = 1.0");
  EXPECT_EQ(chance_text(0.0001), "p < 0.001");
  EXPECT_EQ(score_text({12.3456, 0, 10}, ScoreKind::loss), "12.35");
  EXPECT_EQ(score_text({2.1, 0.0123, 10}, ScoreKind::loss), "2.100 ± 0.012");
  EXPECT_EQ(rate_text(5.4871), "5.49");
  EXPECT_EQ(rate_text(345.6), "346");
  EXPECT_EQ(rate_text(0), kNothing);
}

Report report_of(std::string markdown) {
  Report report;
  report.title = "<t>";
  report.markdown = std::move(markdown);
  report.figures.push_back(
      {.name = "a", .title = "Figure", .about = "", .x = {}, .y = {}, .series = {}});
  return report;
}

TEST(Page, HoldsFiguresInline) {
  const std::string page = make_page(report_of("![Figure](figures/a.svg)"));
  EXPECT_TRUE(holds(page, "<p><svg xmlns="));
  EXPECT_FALSE(holds(page, "<img"));
  EXPECT_TRUE(holds(page, "<title>&lt;t&gt;</title>"));
}

TEST(Page, LoadsNothing) {
  const std::string page =
      make_page(report_of("![a > b](https://example.org/x.png \"t\") <img src=x>"));
  EXPECT_FALSE(holds(page, "example.org"));
  EXPECT_FALSE(holds(page, "<img"));
  EXPECT_TRUE(holds(page, "<p>a &gt; b &lt;img src=x&gt;</p>")) << page;
}

TEST(Page, LinksLeadToAddressesOnly) {
  const std::string page = make_page(report_of(
      "[a](https://example.org/) [b](javascript:alert(1)) [c](#d) [e](JaVaScRiPt&colon;alert(2)) "
      "[f](data:text/html,x) <javascript:alert(3)>"));
  EXPECT_TRUE(holds(page, "<a href=\"https://example.org/\">a</a>"));
  EXPECT_TRUE(holds(page, "<a href=\"#d\">c</a>"));
  EXPECT_TRUE(holds(page, "<a>b</a>"));
  EXPECT_TRUE(holds(page, "<a>e</a>"));
  EXPECT_TRUE(holds(page, "<a>f</a>"));
  EXPECT_FALSE(holds(page, "href=\"javascript"));
}

TEST(Page, TablesScrollByThemselves) {
  EXPECT_TRUE(
      holds(make_page(report_of("|a|b|\n|---|---|\n|1|2|\n")), "<div class=\"table\"><table>"));
}

TEST(Page, HostileLabelsStayText) {
  Study study = full_study();
  const std::string hostile =
      "<script>alert(1)</script>|![x](http://a.b/c)[y](javascript:z)`</style>";
  study.title = hostile;
  study.facts = {hostile};
  for (StudyTask& task : study.tasks) task.label = hostile;
  for (StudyEntry& entry : study.entries) entry.label = entry.series = hostile;
  study.latency[0].label = hostile;
  const std::string page = make_page(make_report(study));
  const size_t body = page.find("<main>"), end = page.find("</main>");
  const std::string main = page.substr(body, end - body);
  for (const char* element : {"<script", "<img", "<a ", "</style", "<code"}) {
    EXPECT_FALSE(holds(main, element)) << element;
  }
  EXPECT_TRUE(holds(main, "&lt;script&gt;alert(1)&lt;/script&gt;|![x](http://a.b/c)[y]"));
}

}  // namespace
}  // namespace tidar
