#include "eval/decoding_cost.h"

#include <algorithm>

namespace tidar {
namespace {

/// The sum of the lines' histograms.
std::vector<int64_t> accepted_by_all(const std::vector<Json>& lines) {
  std::vector<int64_t> all;
  for (const Json& line : lines) {
    const auto accepted = line.value("accepted", std::vector<int64_t>());
    all.resize(std::max(all.size(), accepted.size()));
    for (size_t a = 0; a < accepted.size(); ++a) all[a] += accepted[a];
  }
  return all;
}

double share(double part, double whole) { return whole > 0 ? part / whole : 0; }

}  // namespace

void put_cost(Json& line, const RequestStats& stats, double seconds) {
  line["tokens"] = stats.new_tokens;
  line["passes"] = stats.passes;
  line["rows"] = stats.rows;
  line["decoded"] = stats.decoded;
  line["accepted"] = stats.accepted;
  line["seconds"] = seconds;
}

double sum(const std::vector<Json>& lines, const char* field) {
  double all = 0;
  for (const Json& line : lines) all += line.value(field, 0.0);
  return all;
}

void add_cost(EvalSummary& summary, const std::vector<Json>& lines) {
  const double seconds = sum(lines, "seconds"), tokens = sum(lines, "tokens");
  const double passes = sum(lines, "passes"), rows = sum(lines, "rows");
  summary.numbers.emplace_back("tokens", tokens);
  summary.numbers.emplace_back("passes", passes);
  summary.numbers.emplace_back("tokens_per_pass", share(sum(lines, "decoded"), passes));
  if (rows > 0) summary.numbers.emplace_back("rows_per_pass", share(rows, passes));
  summary.numbers.emplace_back("tokens_per_s", share(tokens, seconds));
  summary.numbers.emplace_back("seconds", seconds);
  summary.accepted = accepted_by_all(lines);
}

}  // namespace tidar
