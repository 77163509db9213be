#include "report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "report/comparison.h"
#include "report/markup.h"
#include "report/pass_rates.h"
#include "report/recipes.h"
#include "report/report_figures.h"
#include "report/report_text.h"

namespace tidar {
namespace {

std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

// --- Headline ------------------------------------------------------------------------------------

/// "38.0 % (blocks of 4)"
std::string diffusion_cell(const HeadlineRow& row) {
  if (!row.diffusion) return std::string(kNothing);
  std::string score = percent(row.diffusion->point.score);
  const std::string passes = rate_text(row.diffusion->point.tokens_per_pass);
  switch (row.diffusion->where) {
    case EqualPasses::Where::between:
      break;
    case EqualPasses::Where::below_all:
      score += fmt::format(" at {} tokens per pass, its least", passes);
      break;
    case EqualPasses::Where::above_all:
      score = fmt::format("at most {} tokens per pass: {}", passes, score);
      break;
  }
  return score + fmt::format(" ({})", escape_markdown(row.diffusion_series));
}

/// "-1.7 (-3.2 to -0.1), p = 0.04"
std::string gain_cell(const HeadlineRow& row) {
  if (!row.gain) return std::string(kNothing);
  std::string text = gain_text(*row.gain);
  return row.chance ? text += ", " + chance_text(*row.chance) : text;
}

/// The least and the greatest of a number that rows tell, each as `text` writes it.
template <typename Of, typename Text>
std::string range_text(std::span<const HeadlineRow> rows, Of of, Text text) {
  std::optional<double> low, high;
  for (const HeadlineRow& row : rows) {
    const std::optional<double> number = of(row);
    if (!number) continue;
    low = std::min(low.value_or(*number), *number);
    high = std::max(high.value_or(*number), *number);
  }
  if (!low) return "";
  const std::string least = text(*low), greatest = text(*high);
  return least == greatest ? least : least + " to " + greatest;
}

/// The rows that speak for TiDAR: what it does without flags, where that was run, else all.
std::vector<HeadlineRow> spoken_rows(const Headline& headline) {
  std::vector<HeadlineRow> rows;
  const auto has_no_flags = [](const HeadlineRow& row) { return row.entry->draft_length == 0; };
  std::copy_if(headline.rows.begin(), headline.rows.end(), std::back_inserter(rows), has_no_flags);
  return rows.empty() ? headline.rows : rows;
}

/// The main numbers of these rows, in words.
std::string headline_sentences(const Headline& headline) {
  const std::vector<HeadlineRow> rows = spoken_rows(headline);
  const auto range = [&](auto of, auto text) { return range_text(rows, of, text); };
  const auto plain = [](const char* format) {
    return [format](double number) { return fmt::format(fmt::runtime(format), number); };
  };
  const std::string score = range(
      [](const HeadlineRow& row) {
        return row.mean ? std::optional(100 * row.mean->score.mean) : std::nullopt;
      },
      plain("{:.1f}"));
  if (score.empty()) return "";
  const std::string name = rows.size() == 1 ? escape_markdown(rows[0].entry->label) : "TiDAR";
  std::string text = fmt::format("**{}** scores {} %", name, score);
  const std::string baseline =
      headline.baseline == nullptr ? "" : escape_markdown(headline.baseline->label);
  const std::string gain = range(
      [](const HeadlineRow& row) {
        return row.gain ? std::optional(100 * row.gain->value) : std::nullopt;
      },
      plain("{:+.1f}"));
  if (!gain.empty()) {
    text += fmt::format(", {} {} %: a difference of {} points", baseline,
                        percent_text(headline.baseline_mean->score), gain);
  }
  text += ".";
  const std::string passes = range(
      [](const HeadlineRow& row) {
        return row.mean && row.mean->tokens_per_pass > 0 ? std::optional(row.mean->tokens_per_pass)
                                                         : std::nullopt;
      },
      rate_text);
  if (passes.empty()) return text + "\n\n";
  text += fmt::format(" A pass brings {} tokens", passes);
  const std::string faster =
      range([](const HeadlineRow& row) { return row.times_faster; }, rate_text);
  if (!faster.empty()) text += fmt::format(", a second {} × as many as with {}", faster, baseline);
  return text + ".\n\n";
}

std::string headline_part(const Study& study) {
  const Headline headline = headline_of(study);
  if (headline.rows.empty() || headline.tasks.empty()) return "";
  const StudyEntry* baseline = headline.baseline;
  const std::string other = baseline == nullptr ? "baseline" : escape_markdown(baseline->label);
  MarkdownTable table({"", "mean score, %", "against " + other, "tokens per pass", "rows per pass",
                       "tokens/s", "× " + other, "block diffusion at as many tokens per pass"});
  const std::string nothing(kNothing);
  if (baseline != nullptr) {
    const auto& mean = headline.baseline_mean;
    table.add({other, ScoreCells::mean(mean), nothing, rate_text(mean ? mean->tokens_per_pass : 0),
               rate_text(mean ? mean->rows_per_pass : 0), rate_text(mean ? mean->tokens_per_s : 0),
               nothing, nothing});
  }
  for (const HeadlineRow& row : headline.rows) {
    table.add({escape_markdown(row.entry->label), ScoreCells::mean(row.mean), gain_cell(row),
               rate_text(row.mean ? row.mean->tokens_per_pass : 0),
               rate_text(row.mean ? row.mean->rows_per_pass : 0),
               rate_text(row.mean ? row.mean->tokens_per_s : 0),
               rate_text(row.times_faster.value_or(0)), diffusion_cell(row)});
  }
  std::string over;
  for (const StudyTask* task : headline.tasks) {
    over += (over.empty() ? "" : ", ") + escape_markdown(task->label);
  }
  return headline_sentences(headline) + table.text() +
         fmt::format(
             "Means over {}; ± is one standard error, brackets hold 95 %, and p is "
             "McNemar's.\n\n",
             over);
}

// --- Sections ------------------------------------------------------------------------------------

using Entries = std::vector<const StudyEntry*>;

std::string likelihood_part(const Study& study, const Entries& entries) {
  std::vector<const StudyTask*> tasks;
  for (const StudyTask& task : study.tasks) {
    if (task.kind == ScoreKind::generated) continue;
    const auto names = [&](const StudyEntry* entry) { return entry->folders.count(task.name) > 0; };
    if (std::any_of(entries.begin(), entries.end(), names)) tasks.push_back(&task);
  }
  std::vector<std::string> heading = {""};
  for (const StudyTask* task : tasks) heading.push_back(heading_of(*task));
  MarkdownTable table(heading);
  ScoreCells cells;
  for (const StudyEntry* entry : entries) {
    std::vector<std::string> row = {escape_markdown(entry->label)};
    for (const StudyTask* task : tasks) row.push_back(cells.score_and_passes(*entry, *task));
    table.add(row);
  }
  return "## Likelihood\n\nOf texts that are given; ± is one standard error. In brackets: tokens "
         "per pass, where decoding said them.\n\n" +
         table.text() + cells.footnote();
}

std::string generation_part(const Study& study, const Entries& entries) {
  const auto tasks = tasks_of(study, ScoreKind::generated, entries);
  std::vector<std::string> heading = {""};
  for (const StudyTask* task : tasks) heading.push_back(heading_of(*task));
  heading.insert(heading.end(), {"mean, %", "tokens/s"});
  MarkdownTable table(heading);
  ScoreCells cells;
  for (const StudyEntry* entry : entries) {
    std::vector<std::string> row = {escape_markdown(entry->label)};
    for (const StudyTask* task : tasks) row.push_back(cells.score_and_passes(*entry, *task));
    const auto mean = mean_over(*entry, tasks);
    row.push_back(ScoreCells::mean_and_passes(mean));
    row.push_back(rate_text(mean ? mean->tokens_per_s : 0));
    table.add(row);
  }
  return "## Generation\n\nIn brackets: tokens per pass (T/NFE); passes over the prompt are not "
         "counted.\n\n" +
         table.text() + cells.footnote();
}

std::string strategies_part(const Study& study, const Entries& entries) {
  const auto tasks = tasks_of(study, ScoreKind::generated, entries);
  std::vector<std::string> heading = {"", "tokens per pass"};
  for (const StudyTask* task : tasks) heading.push_back(heading_of(*task));
  MarkdownTable table(heading);
  ScoreCells cells;
  for (const StudyEntry* entry : entries) {
    const auto mean = mean_over(*entry, tasks);
    std::vector<std::string> row = {escape_markdown(entry->label),
                                    rate_text(mean ? mean->tokens_per_pass : 0)};
    for (const StudyTask* task : tasks) row.push_back(cells.score(*entry, *task));
    table.add(row);
  }
  return "## Decoding strategies\n\n" + table.text() + cells.footnote();
}

/// The means of all entries that `belongs` picks, one behind the other.
template <class Belongs>
std::string cell_of(const Entries& entries, const std::vector<const StudyTask*>& tasks,
                    const Belongs& belongs) {
  std::string text;
  for (const StudyEntry* entry : entries) {
    if (!belongs(*entry)) continue;
    text += (text.empty() ? "" : "; ") + ScoreCells::mean_and_passes(mean_over(*entry, tasks));
  }
  return text.empty() ? std::string(kNothing) : text;
}

std::string masks_part(const Study& study, const Entries& entries) {
  const auto tasks = tasks_of(study, ScoreKind::generated, entries);
  std::set<int> lengths;
  for (const StudyEntry* entry : entries) lengths.insert(entry->draft_length);
  MarkdownTable table({"", "random masks, %", "full masks, %"});
  for (const int length : lengths) {
    std::vector<std::string> row = {fmt::format("K = {}", length)};
    for (const std::string_view masking : {"random", "full"}) {
      row.push_back(cell_of(entries, tasks, [&](const StudyEntry& entry) {
        return entry.draft_length == length && entry.masking == masking;
      }));
    }
    table.add(row);
  }
  return "## Full against random masks\n\nMean scores; in brackets: tokens per pass.\n\n" +
         table.text();
}

/// Figures in one paragraph stand side by side where there is room. They move to the report.
std::string show(std::vector<Plot> figures, Report& report) {
  std::string text;
  for (Plot& plot : figures) {
    text += fmt::format("![{}](figures/{}.svg)\n", escape_markdown(plot.title), plot.name);
    report.figures.push_back(std::move(plot));
  }
  return text + "\n";
}

std::string trade_off_part(const Study& study, const Entries& entries, Report& report) {
  const auto tasks = tasks_of(study, ScoreKind::generated, entries);
  MarkdownTable table({"", "mean score, %", "tokens per pass", "tokens/s"});
  for (const StudyEntry* entry : entries) {
    const auto mean = mean_over(*entry, tasks);
    table.add({escape_markdown(entry->label), ScoreCells::mean(mean),
               rate_text(mean ? mean->tokens_per_pass : 0),
               rate_text(mean ? mean->tokens_per_s : 0)});
  }
  return "## Quality against speed\n\n" + show(trade_off_figures(study), report) + table.text();
}

std::string trust_part(const Study& study, const Entries& entries, Report& report) {
  const auto tasks = tasks_of(study, ScoreKind::generated, entries);
  std::set<std::optional<double>> alphas;
  std::set<double> trusts;
  for (const StudyEntry* entry : entries) {
    alphas.insert(entry->alpha);
    trusts.insert(entry->trust_ar.value_or(1));
  }
  std::vector<std::string> heading = {"trust in AR (β)"};
  for (const auto& alpha : alphas) {
    heading.push_back(alpha ? fmt::format("α = {:g}, %", *alpha) : "mean score, %");
  }
  MarkdownTable table(heading);
  for (const double trust : trusts) {
    std::vector<std::string> row = {fmt::format("{:g}", trust)};
    for (const auto& alpha : alphas) {
      row.push_back(cell_of(entries, tasks, [&](const StudyEntry& entry) {
        return entry.trust_ar == trust && entry.alpha == alpha;
      }));
    }
    table.add(row);
  }
  return "## Trust in AR against trust in diffusion\n\n" + show(trust_figures(study), report) +
         "Mean scores; in brackets: tokens per pass.\n\n" + table.text();
}

std::string latency_part(const Study& study, Report& report) {
  std::set<int> all_rows;
  std::vector<std::string> heading = {"rows"};
  for (const LatencyCurve& curve : study.latency) {
    heading.push_back(escape_markdown(curve.label) + ", ms");
    for (const auto& point : curve.points) all_rows.insert(point.rows);
  }
  MarkdownTable table(heading);
  for (const int rows : all_rows) {
    std::vector<std::string> row = {std::to_string(rows)};
    for (const LatencyCurve& curve : study.latency) {
      const auto found = std::find_if(curve.points.begin(), curve.points.end(),
                                      [&](const auto& point) { return point.rows == rows; });
      const bool there = found != curve.points.end();
      const LatencyCurve::Point one = there ? curve.points.front() : LatencyCurve::Point();
      row.push_back(!there ? std::string(kNothing)
                    : one.rows != 1
                        ? rate_text(found->ms)
                        : fmt::format("{} ({:.2f})", rate_text(found->ms), found->ms / one.ms));
    }
    table.add(row);
  }
  return "## Time of a pass\n\n" + show(latency_figures(study.latency), report) +
         "In brackets: as a multiple of one row.\n\n" + table.text();
}

}  // namespace

Report make_report(const Study& study) {
  Report report;
  report.title = study.title;
  std::string& text = report.markdown;
  text = "# " + escape_markdown(study.title) + "\n\n" + headline_part(study);
  if (!study.notes.empty()) text += study.notes + "\n\n";

  const auto part = [&](Section section, const auto& write) {
    const Entries entries = entries_in(study, section);
    if (!entries.empty()) text += write(entries);
  };
  part(Section::likelihood, [&](const Entries& e) { return likelihood_part(study, e); });
  part(Section::generation, [&](const Entries& e) { return generation_part(study, e); });
  part(Section::strategies, [&](const Entries& e) { return strategies_part(study, e); });
  part(Section::masks, [&](const Entries& e) { return masks_part(study, e); });
  part(Section::recipes, [&](const Entries& e) { return recipes_part(study, e); });
  part(Section::trade_off, [&](const Entries& e) { return trade_off_part(study, e, report); });
  part(Section::trust, [&](const Entries& e) { return trust_part(study, e, report); });
  if (!study.latency.empty()) text += latency_part(study, report);
  part(Section::histogram, [&](const Entries& e) {
    return "## Tokens per pass\n\n" + show(histogram_figures(study), report) +
           pass_rates_table(study, e);
  });
  if (!study.facts.empty()) text += "## Circumstances\n\n";
  for (const std::string& fact : study.facts) text += "- " + escape_markdown(fact) + "\n";
  return report;
}

}  // namespace tidar
