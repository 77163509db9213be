#include "report/report_text.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/check.h"
#include "report/markup.h"

namespace tidar {
namespace {

constexpr std::string_view kUnfinished = " \\*";

std::string in_brackets(double tokens_per_pass) {
  return tokens_per_pass > 0 ? fmt::format(" ({:.2f})", tokens_per_pass) : "";
}

}  // namespace

std::string percent_text(const Score& score) {
  std::string text = fmt::format("{:.1f}", 100 * score.mean);
  if (score.standard_error > 0) {
    text += fmt::format(" ± {:.1f}", 100 * score.standard_error);
  } else if (score.count > 0 && score.mean == 0) {
    text += fmt::format(" (to {:.1f})", 100 * share_interval(0, score.count).high);
  } else if (score.count > 0 && score.mean == 1) {
    text += fmt::format(" (from {:.1f})", 100 * share_interval(score.count, score.count).low);
  }
  return text;
}

std::string gain_text(const Estimate& gain) {
  return fmt::format("{:+.1f} ({:+.1f} to {:+.1f})", 100 * gain.value, 100 * gain.interval.low,
                     100 * gain.interval.high);
}

std::string ratio_text(const Estimate& ratio, int digits) {
  return fmt::format("{:.{}f} ({:.{}f} to {:.{}f})", ratio.value, digits, ratio.interval.low,
                     digits, ratio.interval.high, digits);
}

std::string chance_text(double chance) {
  return chance < 0.001 ? "p < 0.001" : fmt::format("p = {:#.2g}", chance);
}

std::string score_text(const Score& score, ScoreKind kind) {
  if (kind != ScoreKind::loss) return percent_text(score);
  std::string text = fmt::format("{:#.4g}", score.mean);
  if (score.standard_error > 0) text += fmt::format(" ± {:.2g}", score.standard_error);
  return text;
}

std::string rate_text(double rate) {
  if (!(rate > 0)) return std::string(kNothing);
  return rate < 100 ? fmt::format("{:.2f}", rate) : fmt::format("{:.0f}", rate);
}

std::string heading_of(const StudyTask& task) {
  return escape_markdown(
      fmt::format("{} ({}{})", task.label, task.score, task.kind == ScoreKind::loss ? "" : ", %"));
}

std::string tag_of(const StudyEntry& entry) {
  const bool by_confidence = entry.role != Role::tidar && entry.confidence.has_value();
  if (by_confidence) return fmt::format("τ = {:g}", *entry.confidence);
  return entry.draft_length > 0 ? fmt::format("K = {}", entry.draft_length) : "";
}

MarkdownTable::MarkdownTable(const std::vector<std::string>& heading) : columns_(heading.size()) {
  add(heading);
  text_ += "|---|";
  for (size_t i = 1; i < columns_; ++i) text_ += "---:|";
  text_ += "\n";
}

void MarkdownTable::add(const std::vector<std::string>& cells) {
  TIDAR_CHECK_EQ(cells.size(), columns_);
  text_ += fmt::format("| {} |\n", fmt::join(cells, " | "));
}

std::string ScoreCells::score(const StudyEntry& entry, const StudyTask& task) {
  const auto found = entry.results.find(task.name);
  if (found == entry.results.end()) return std::string(kNothing);
  const TaskResult& result = found->second;
  std::string text = score_text(result.score, task.kind);
  if (result.finished()) return text;
  const std::string note = escape_markdown(
      fmt::format("{}, {}: {} of {}", entry.label, task.label, result.done, result.all));
  if (std::find(unfinished_.begin(), unfinished_.end(), note) == unfinished_.end()) {
    unfinished_.push_back(note);
  }
  return text += kUnfinished;
}

std::string ScoreCells::score_and_passes(const StudyEntry& entry, const StudyTask& task) {
  std::string text = score(entry, task);
  const auto found = entry.results.find(task.name);
  return found == entry.results.end() ? text : text += in_brackets(found->second.tokens_per_pass);
}

std::string ScoreCells::mean(const std::optional<TaskMean>& mean) {
  if (!mean) return std::string(kNothing);
  std::string text = percent_text(mean->score);
  return mean->finished ? text : text += kUnfinished;
}

std::string ScoreCells::mean_and_passes(const std::optional<TaskMean>& mean) {
  return ScoreCells::mean(mean) + (mean ? in_brackets(mean->tokens_per_pass) : "");
}

std::string ScoreCells::footnote() const {
  if (unfinished_.empty()) return "";
  return fmt::format("\\* not finished: {}.\n\n", fmt::join(unfinished_, "; "));
}

}  // namespace tidar
