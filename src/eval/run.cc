#include "eval/run.h"

#include "base/rng.h"

namespace tidar {

uint64_t seed_of_sample(uint64_t seed, uint64_t item, uint64_t sample) {
  const auto bits = philox(seed, item, sample);
  return uint64_t{bits[0]} << 32 | bits[1];
}

OrderedJson to_json(const Score& score) {
  return {{"mean", score.mean}, {"standard_error", score.standard_error}, {"count", score.count}};
}

std::string to_json_text(const EvalSummary& summary) {
  OrderedJson json = {{"done", summary.done}, {"all", summary.all}};
  auto scores = OrderedJson::object();
  for (const auto& [name, score] : summary.scores) {
    scores[name] = to_json(score);
  }
  json["scores"] = std::move(scores);
  for (const auto& [name, number] : summary.numbers) json[name] = number;
  if (!summary.accepted.empty()) json["accepted"] = summary.accepted;
  return json.dump();
}

}  // namespace tidar
