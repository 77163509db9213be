#include "apps/explained.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace tidar {
namespace {

constexpr size_t kColumns = 80;

/// Whether the pass held what was offered, and the next draft is made of its masks.
bool is_used(const Bundle& bundle, const StepReport& report) {
  const auto used = [&](const auto& group) {
    return group.accepted == bundle.group && report.uses(group);
  };
  return bundle.guessed ? std::any_of(report.guessed.begin(), report.guessed.end(), used)
                        : std::any_of(report.groups.begin(), report.groups.end(), used);
}

/// Five characters for 0.1 µs up to 100 s, in milliseconds.
std::string milliseconds(double seconds) {
  const double ms = 1e3 * seconds;
  return fmt::format("{:.{}f}", ms, ms < 10 ? 3 : ms < 100 ? 2 : ms < 1000 ? 1 : 0);
}

/// How many bundles, from the first on, were granted.
size_t granted_bundles(const Offer& offer, int granted) {
  int rows = offer.base.size.rows;
  size_t bundles = 0;
  while (bundles < offer.bundles.size() && rows + offer.bundles[bundles].size.rows <= granted) {
    rows += offer.bundles[bundles++].size.rows;
  }
  return bundles;
}

/// In tokens.
double granted_worth(const Explanation& explanation) {
  const Offer& offer = *explanation.offer;
  double worth = offer.base.worth;
  for (size_t i = 0; i < granted_bundles(offer, explanation.granted); ++i) {
    worth += offer.bundles[i].worth;
  }
  return worth;
}

std::string offered(const Explanation& explanation) {
  const Offer& offer = *explanation.offer;
  const size_t granted = granted_bundles(offer, explanation.granted);
  std::string text;
  for (size_t i = 0; i < offer.bundles.size(); ++i) {
    const Bundle& bundle = offer.bundles[i];
    const bool first_group = bundle.group > 0 && (i == 0 || offer.bundles[i - 1].group == 0);
    if (first_group && i > 0) text += ";";
    if (i > 0) text += " ";
    if (i == granted) text += "| ";
    if (bundle.group > 0) {
      text += fmt::format("{}{}{} ", bundle.group, bundle.guessed ? '+' : 'x', bundle.masks());
    }
    text += fmt::format("{:.0f}", 100 * bundle.chance);
    if (is_used(bundle, explanation.report)) text += "*";
  }
  return text.empty() ? "nothing is offered" : text;
}

std::string held_groups(const StepReport& report) {
  std::string text;
  for (const MaskGroup& group : report.groups) {
    text += fmt::format("{}{}x{}{}", text.empty() ? "" : " ", group.accepted, group.masks,
                        report.uses(group) ? "*" : "");
  }
  for (const GuessedGroup& group : report.guessed) {
    text += fmt::format("{}{}+{}{}", text.empty() ? "" : " ", group.accepted, group.masks,
                        report.uses(group) ? "*" : "");
  }
  return text;
}

/// What the pass was for.
std::string purpose(const Explanation& explanation) {
  if (explanation.offer) return offered(explanation);
  std::string groups = held_groups(explanation.report);
  if (explanation.report.decoding) return groups;
  return groups.empty() ? "reads the prompt" : "reads the prompt; " + groups;
}

}  // namespace

const std::string_view kExplainedHeading =
    "pass new right rows asked     ms priced worth  guesses %; groups x masks %";

std::string explained_line(int pass, const Explanation& explanation) {
  const StepReport& report = explanation.report;
  const std::string right =
      report.drafted > 0 ? fmt::format("{}/{}", report.accepted, report.drafted) : "-";
  const auto& expected_s = explanation.pass.expected_s;
  std::string line = fmt::format(
      "{:>4} {:>3} {:>5} {:>4} {:>5} {:>6} {:>6} {:>5}  {}", pass, report.committed.size(), right,
      report.rows, explanation.asked, milliseconds(explanation.pass.seconds),
      expected_s ? milliseconds(*expected_s) : "-",
      explanation.offer ? fmt::format("{:.2f}", granted_worth(explanation)) : "-",
      purpose(explanation));
  if (line.size() > kColumns) line = line.substr(0, kColumns - 3) + "...";
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

}  // namespace tidar
