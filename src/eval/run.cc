#include "eval/run.h"

#include <nlohmann/json.hpp>

namespace tidar {

std::string to_json_text(const EvalSummary& summary) {
  nlohmann::ordered_json json = {{"done", summary.done}, {"all", summary.all}};
  auto scores = nlohmann::ordered_json::object();
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
