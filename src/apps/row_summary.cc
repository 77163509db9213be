#include "apps/row_summary.h"

#include <fmt/format.h>

#include "apps/output.h"

namespace tidar {

std::vector<std::string> row_parts(const RequestStats& stats) {
  std::vector<std::string> parts;
  if (stats.passes == 0) return parts;
  parts.push_back(fmt::format("{:.1f} rows per pass", stats.rows_per_pass()));
  parts.push_back(fmt::format("{:.0f} % of rows brought a token", 100 * stats.yield()));
  const DraftPlace guesses = stats.guesses();
  if (guesses.drafted > 0) {
    parts.push_back(fmt::format("{} of {} right", format_count(guesses.accepted),
                                counted(guesses.drafted, "guess")));
  }
  if (stats.masks > 0) {
    parts.push_back(fmt::format("groups used in {} of {}", format_count(stats.used_groups),
                                counted(stats.passes, "pass")));
    parts.push_back(fmt::format("{:.0f} % of masks wasted", 100 * stats.masks_wasted()));
  }
  return parts;
}

void put_rows(OrderedJson& json, const RequestStats& stats) {
  const DraftPlace guesses = stats.guesses();
  json["rows"] = stats.rows;
  json["rows_per_pass"] = stats.rows_per_pass();
  json["rows_that_brought_a_token"] = stats.yield();
  json["guesses"] = guesses.drafted;
  json["guesses_right"] = guesses.accepted;
  json["groups_used"] = stats.groups_used();
  json["masks"] = stats.masks;
  json["masks_wasted"] = stats.masks_wasted();
}

}  // namespace tidar
