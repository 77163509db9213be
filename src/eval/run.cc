#include "eval/run.h"

#include "format/json.h"

namespace tidar {

std::string to_json_text(const EvalSummary& summary) {
  OrderedJson json = {{"done", summary.done}, {"all", summary.all}};
  auto scores = OrderedJson::object();
  for (const auto& [name, score] : summary.scores) {
    scores[name] = {
        {"mean", score.mean}, {"standard_error", score.standard_error}, {"count", score.count}};
  }
  json["scores"] = std::move(scores);
  for (const auto& [name, number] : summary.numbers) json[name] = number;
  if (!summary.accepted.empty()) json["accepted"] = summary.accepted;
  return json.dump();
}

}  // namespace tidar
