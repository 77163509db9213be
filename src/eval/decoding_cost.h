#pragma once
// What decoding cost, in the lines of results and in their sum.

#include <vector>

#include "engine/request.h"
#include "eval/run.h"
#include "format/json.h"

namespace tidar {

/// Adds the fields "tokens", "passes", "rows" (of passes), "decoded", "accepted" and "seconds".
void put_cost(Json& line, const RequestStats& stats, double seconds);

/// The sum of a field of all lines; a line without it counts as 0.
double sum(const std::vector<Json>& lines, const char* field);

/// Adds the numbers "tokens", "passes", "rows_per_pass" where lines tell it, "tokens_per_pass",
/// "tokens_per_s" and "seconds", and the histogram of tokens per pass.
void add_cost(EvalSummary& summary, const std::vector<Json>& lines);

}  // namespace tidar
