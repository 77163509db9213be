#include "apps/explained.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace tidar {
namespace {

constexpr size_t kColumns = 80;

/// Whether the next draft is made of some of these masks.
bool is_used(int32_t first_row, int masks, const StepReport& report) {
  const int32_t row = report.used.first_row;
  return report.used.masks > 0 && first_row <= row && row < first_row + masks;
}
bool is_used(const MaskGroup& group, const StepReport& report) {
  return is_used(group.first_row, group.masks, report);
}
bool is_used(const GuessedGroup& group, const StepReport& report) {
  return is_used(group.token_row + 1, group.masks, report);
}

/// Whether the pass held what was offered, and the next draft is made of its masks.
bool is_used(const Bundle& bundle, const StepReport& report) {
  const auto used = [&](const auto& group) {
    return group.accepted == bundle.group && is_used(group, report);
  };
  return bundle.guessed ? std::any_of(report.guessed.begin(), report.guessed.end(), used)
                        : std::any_of(report.groups.begin(), report.groups.end(), used);
}

/// Of a group; a guessed one's token is not among them.
int masks_of(const Bundle& bundle) { return bundle.size.rows - (bundle.guessed ? 1 : 0); }

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
      text += fmt::format("{}{}{} ", bundle.group, bundle.guessed ? '+' : 'x', masks_of(bundle));
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
                        is_used(group, report) ? "*" : "");
  }
  for (const GuessedGroup& group : report.guessed) {
    text += fmt::format("{}{}+{}{}", text.empty() ? "" : " ", group.accepted, group.masks,
                        is_used(group, report) ? "*" : "");
  }
  return text;
}

/// What the pass was for.
std::string purpose(const Explanation& explanation) {
  if (explanation.offer) return offered(explanation);
  const std::string groups = held_groups(explanation.report);
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

OrderedJson to_json(const Explanation& explanation) {
  const StepReport& report = explanation.report;
  OrderedJson json = {{"decoding", report.decoding}, {"tokens", report.committed.size()},
                      {"rows", report.rows},         {"asked", explanation.asked},
                      {"drafted", report.drafted},   {"accepted", report.accepted}};
  json["groups"] = OrderedJson::array();
  for (const MaskGroup& group : report.groups) {
    json["groups"].push_back(
        {{"group", group.accepted}, {"masks", group.masks}, {"used", is_used(group, report)}});
  }
  json["guessed"] = OrderedJson::array();
  for (const GuessedGroup& group : report.guessed) {
    json["guessed"].push_back({{"group", group.accepted},
                               {"token", group.token},
                               {"masks", group.masks},
                               {"used", is_used(group, report)}});
  }
  json["offer"] = OrderedJson();
  if (explanation.offer) {
    OrderedJson& offer = json["offer"];
    offer = {{"guesses", OrderedJson::array()},
             {"groups", OrderedJson::array()},
             {"guessed", OrderedJson::array()},
             {"granted", explanation.granted}};
    for (const Bundle& bundle : explanation.offer->bundles) {
      OrderedJson one;
      if (bundle.group > 0) one = {{"group", bundle.group}, {"masks", masks_of(bundle)}};
      one["chance"] = bundle.chance;
      one["worth"] = bundle.worth;
      const char* const kind = bundle.guessed ? "guessed" : bundle.group > 0 ? "groups" : "guesses";
      offer[kind].push_back(std::move(one));
    }
  }
  const PassCost& pass = explanation.pass;
  json["pass"] = {{"rows", pass.size.rows},
                  {"asked", pass.size.asked + pass.size.asked_later},
                  {"expected_s", pass.expected_s ? OrderedJson(*pass.expected_s) : OrderedJson()},
                  {"seconds", pass.seconds}};
  return json;
}

}  // namespace tidar
