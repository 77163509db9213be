#pragma once
// What all evaluations have in common: how they are watched, and what they come to.

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/scores.h"
#include "format/json.h"

namespace tidar {

/// How an evaluation is watched; empty functions are not called.
struct RunHooks {
  std::function<void(int64_t done, int64_t all)> progress{};  ///< after each item
  std::function<bool()> stop{};  ///< whether to end before the next one

  void tell(int64_t done, int64_t all) const {
    if (progress) progress(done, all);
  }
  bool stopped() const { return stop && stop(); }
};

/// The seed of one sample of an item, of a run that has one: a hash of the three.
uint64_t seed_of_sample(uint64_t seed, uint64_t item, uint64_t sample);

/// What an evaluation comes to, of the items that have results.
struct EvalSummary {
  int64_t done = 0;
  int64_t all = 0;
  std::vector<std::pair<std::string, Score>> scores;    ///< "acc", …
  std::vector<std::pair<std::string, double>> numbers;  ///< "seconds", "tokens_per_pass", …
  std::vector<int64_t> accepted;  ///< accepted[a]: decoding passes that brought a tokens, if any
};

/// {"mean", "standard_error", "count"}
OrderedJson to_json(const Score& score);

/// {"done", "all", "scores": {"acc": {"mean", "standard_error", "count"}}, "seconds", …,
/// "accepted"}, without a line end.
std::string to_json_text(const EvalSummary& summary);

}  // namespace tidar
