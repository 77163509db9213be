#pragma once
// Tokens per pass in three ways, since each alone can mislead: the TiDAR paper leaves the pass over
// the prompt out, whoever waits for an answer does not, and short answers cap both.

#include <optional>
#include <span>
#include <string>

#include "report/study.h"

namespace tidar {

struct PassRates {
  /// T/NFE of the paper: what the passes behind the prompt's brought, over the number of these.
  double decoding = 0;
  /// All tokens over all passes; that of the prompt counts as one.
  double all = 0;
  /// What `decoding` would be if every draft were right: an answer of 10 tokens behind its first,
  /// drafted 4 at a time, takes three passes.
  double ceiling = 0;
};

/// Of all items of these runs, drafted `draft_length` at a time (>= 1, the certain token among
/// them); nothing where no item tells its passes, or one was answered several times: what is told
/// of it is a sum then, which knows no ceiling.
std::optional<PassRates> pass_rates(std::span<const TaskResult> runs, int draft_length);

/// Markdown: a table of these entries' rates for each task that is generated; those without a draft
/// length are left out. "" where no run tells what it would show.
std::string pass_rates_table(const Study& study, std::span<const StudyEntry* const> entries);

}  // namespace tidar
