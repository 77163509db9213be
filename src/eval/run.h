#pragma once
// What all evaluations have in common: how they are watched, and what they come to.

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/scores.h"

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

/// What an evaluation comes to, of the items that have results.
struct EvalSummary {
  int64_t done = 0;
  int64_t all = 0;
  std::vector<std::pair<std::string, Score>> scores;    ///< "acc", …
  std::vector<std::pair<std::string, double>> numbers;  ///< "seconds", "tokens_per_pass", …
  std::vector<int64_t> accepted;  ///< accepted[a]: decoding passes that brought a tokens, if any
};

/// {"done", "all", "scores": {"acc": {"mean", "standard_error", "count"}}, "seconds", …,
/// "accepted"}, without a line end.
std::string to_json_text(const EvalSummary& summary);

}  // namespace tidar
