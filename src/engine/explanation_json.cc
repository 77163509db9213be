#include "engine/explanation_json.h"

#include <utility>

namespace tidar {

OrderedJson to_json(const Explanation& explanation) {
  const StepReport& report = explanation.report;
  OrderedJson json = {{"decoding", report.decoding}, {"tokens", report.committed.size()},
                      {"rows", report.rows},         {"asked", explanation.asked},
                      {"drafted", report.drafted},   {"accepted", report.accepted}};
  json["groups"] = OrderedJson::array();
  for (const MaskGroup& group : report.groups) {
    json["groups"].push_back(
        {{"group", group.accepted}, {"masks", group.masks}, {"used", report.uses(group)}});
  }
  json["guessed"] = OrderedJson::array();
  for (const GuessedGroup& group : report.guessed) {
    json["guessed"].push_back({{"group", group.accepted},
                               {"token", group.token},
                               {"masks", group.masks},
                               {"used", report.uses(group)}});
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
      if (bundle.group > 0) one = {{"group", bundle.group}, {"masks", bundle.masks()}};
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
