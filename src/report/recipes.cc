#include "report/recipes.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "report/comparison.h"
#include "report/markup.h"
#include "report/paired.h"
#include "report/report_text.h"

namespace tidar {
namespace {

using Tasks = std::vector<const StudyTask*>;

/// "1.0012": losses differ by little.
constexpr int kDraftDigits = 3, kLossDigits = 4;

std::string cell(const std::optional<Estimate>& ratio, int digits) {
  return ratio ? ratio_text(*ratio, digits) : std::string(kNothing);
}

std::string answers_cell(const StudyEntry& entry, const StudyEntry& baseline, const Tasks& tasks) {
  const auto pairs = paired(entry, baseline, tasks);
  if (!pairs) return std::string(kNothing);
  const Disagreement differ = disagreement_of(*pairs);
  return fmt::format("{} / {}, {}", differ.only_first, differ.only_second,
                     chance_text(mcnemar(differ.only_first, differ.only_second)));
}

std::string seeds_cell(const StudyEntry& entry) {
  size_t seeds = 0;
  for (const auto& [task, folders] : entry.folders) seeds = std::max(seeds, folders.size());
  return std::to_string(seeds);
}

}  // namespace

std::string recipes_part(const Study& study, std::span<const StudyEntry* const> entries) {
  const Tasks given = tasks_of(study, ScoreKind::loss, entries);
  const Tasks answers = tasks_of(study, ScoreKind::generated, entries);
  const auto is_baseline = [](const StudyEntry* entry) { return entry->role == Role::baseline; };
  const auto found = std::find_if(entries.begin(), entries.end(), is_baseline);
  const StudyEntry* baseline = found == entries.end() ? nullptr : *found;

  std::vector<std::string> heading = {"", "seeds"};
  for (const StudyTask* task : given) heading.push_back(escape_markdown(task->label));
  heading.insert(heading.end(), {"tokens per pass, ×", "loss, ×", "answers"});
  MarkdownTable table(heading);
  for (const StudyEntry* entry : entries) {
    std::vector<std::string> row = {escape_markdown(entry->label), seeds_cell(*entry)};
    for (const StudyTask* task : given) {
      const auto result = entry->results.find(task->name);
      row.push_back(rate_text(result == entry->results.end() ? 0 : result->second.tokens_per_pass));
    }
    if (baseline == nullptr || entry == baseline) {
      row.insert(row.end(), 3, std::string(kNothing));
    } else {
      const auto pairs = paired(*entry, *baseline, given);
      row.push_back(cell(pairs ? passes_ratio(*pairs) : std::nullopt, kDraftDigits));
      row.push_back(cell(pairs ? loss_ratio(*pairs) : std::nullopt, kLossDigits));
      row.push_back(answers_cell(*entry, *baseline, answers));
    }
    table.add(row);
  }
  std::string text = "## Recipes\n\nTokens per pass of texts that are given.";
  if (baseline != nullptr) {
    text += fmt::format(
        " × is a multiple of what {} comes to, the geometric mean over those texts; answers are "
        "those that were right here alone / there alone. Brackets hold 95 %, over items and "
        "seeds, pair by pair; p is McNemar's.",
        escape_markdown(baseline->label));
  }
  return text + "\n\n" + table.text();
}

}  // namespace tidar
