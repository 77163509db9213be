#pragma once
// The pieces of a report's Markdown: numbers as its tables show them, and the tables.

#include <string>
#include <string_view>
#include <vector>

#include "report/comparison.h"
#include "report/study.h"

namespace tidar {

/// What stands where there is no result.
inline constexpr std::string_view kNothing = "–";

/// "41.2 ± 0.9": a share of right answers in percent. "0.0 (to 0.9)", "100.0 (from 99.1)": where no
/// or all of the counted answers were right, Wilson's bound. Without an error only the mean.
std::string percent_text(const Score& score);
/// "+0.3 (-1.2 to +1.8)": a difference of shares in percent points.
std::string gain_text(const Estimate& gain);
/// "1.12 (1.08 to 1.17)": a multiple, with so many digits.
std::string ratio_text(const Estimate& ratio, int digits);
/// "p = 0.031", two digits; no more than that it is less than 0.001.
std::string chance_text(double chance);
/// Of any kind: shares in percent, losses with four digits.
std::string score_text(const Score& score, ScoreKind kind);
/// "5.49"; kNothing for 0, which says that it was not told.
std::string rate_text(double rate);
/// "Word problems (strict, %)"
std::string heading_of(const StudyTask& task);
/// "K = 8", "τ = 0.8": what parts an entry from others of its series; "" when nothing is known.
std::string tag_of(const StudyEntry& entry);

/// A table of Markdown. Cells are Markdown already; the first column is flush left, others right.
class MarkdownTable {
 public:
  explicit MarkdownTable(const std::vector<std::string>& heading);
  /// As many cells as the heading has.
  void add(const std::vector<std::string>& cells);
  /// Ends with an empty line.
  std::string text() const { return text_ + "\n"; }

 private:
  size_t columns_;
  std::string text_;
};

/// Cells of scores, and the footnote for those of runs that are not finished.
class ScoreCells {
 public:
  /// "41.2 ± 0.9 \*"; kNothing without a result.
  std::string score(const StudyEntry& entry, const StudyTask& task);
  /// "41.2 ± 0.9 (5.49)": with tokens per pass, where they are told.
  std::string score_and_passes(const StudyEntry& entry, const StudyTask& task);
  /// The same of means over tasks; one of runs that are not finished is marked.
  static std::string mean(const std::optional<TaskMean>& mean);
  static std::string mean_and_passes(const std::optional<TaskMean>& mean);

  /// "\* not finished: …", ended by an empty line; "" when all are.
  std::string footnote() const;

 private:
  std::vector<std::string> unfinished_;
};

}  // namespace tidar
