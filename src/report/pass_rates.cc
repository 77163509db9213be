#include "report/pass_rates.h"

#include <fmt/format.h>

#include <vector>

#include "base/check.h"
#include "report/comparison.h"
#include "report/markup.h"
#include "report/report_text.h"

namespace tidar {
namespace {

std::string cell(const StudyEntry& entry, const StudyTask& task) {
  const auto found = entry.runs.find(task.name);
  if (found == entry.runs.end()) return std::string(kNothing);
  const auto rates = pass_rates(found->second, entry.draft_length);
  if (!rates) return std::string(kNothing);
  return fmt::format("{:.2f} / {:.2f} / {:.0f} % of {:.2f}", rates->decoding, rates->all,
                     100 * rates->decoding / rates->ceiling, rates->ceiling);
}

}  // namespace

std::optional<PassRates> pass_rates(std::span<const TaskResult> runs, int draft_length) {
  TIDAR_CHECK_GE(draft_length, 1);
  int64_t tokens = 0, decoded = 0, passes = 0, prompts = 0, fewest = 0;
  for (const TaskResult& run : runs) {
    for (const auto& [name, item] : run.items) {
      if (item.answers > 1) return std::nullopt;
      tokens += item.tokens;
      decoded += item.decoded;
      passes += item.passes;
      prompts += item.tokens > 0 ? 1 : 0;
      fewest += (item.decoded + draft_length - 1) / draft_length;
    }
  }
  if (passes == 0 || fewest == 0) return std::nullopt;
  const auto share = [](int64_t a, int64_t b) {
    return static_cast<double>(a) / static_cast<double>(b);
  };
  return PassRates{share(decoded, passes), share(tokens, passes + prompts), share(decoded, fewest)};
}

std::string pass_rates_table(const Study& study, std::span<const StudyEntry* const> entries) {
  const auto tasks = tasks_of(study, ScoreKind::generated, entries);
  std::vector<std::string> heading = {""};
  for (const StudyTask* task : tasks) heading.push_back(escape_markdown(task->label));
  MarkdownTable table(heading);
  bool tells = false;
  for (const StudyEntry* entry : entries) {
    if (entry->draft_length == 0) continue;
    std::vector<std::string> row = {escape_markdown(entry->label)};
    for (const StudyTask* task : tasks) {
      row.push_back(cell(*entry, *task));
      tells = tells || row.back() != kNothing;
    }
    table.add(row);
  }
  if (!tells) return "";
  return "Without the pass over the prompt, as the paper counts / with it / the first as a share "
         "of what answers so short allow, were every draft right.\n\n" +
         table.text();
}

}  // namespace tidar
