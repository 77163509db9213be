#pragma once
// What passes of an evaluator cost, by trying.

#include <functional>

#include "cache/pages.h"
#include "plan/evaluator.h"
#include "plan/prices.h"

namespace tidar {

/// Seconds of a clock that nobody sets.
double steady_seconds();

/// Of the largest passes that are tried. Beyond them products are at their full speed, and prices
/// go on in a straight line.
inline constexpr int kMostPricedRows = 128;

struct PriceMeasuring {
  /// The most that it may take. A pass is begun only if it is sure to end in time, as far as a pass
  /// of n times the rows takes n times as long at most; but one pass is made in any case.
  double budget_s = 0.95;
  /// Its keys are seen by all rows, and are not changed; they leave a position free. nullptr: there
  /// are none. What few keys cost is little beside the products.
  const SequenceCache* cache = nullptr;
  /// Many keys, from which is found what a key costs. nullptr, or no more than `cache` has, or no
  /// time for them: keys cost nothing.
  const SequenceCache* many_keys = nullptr;
  std::function<double()> now = steady_seconds;
};

/// Times causal passes of 1 to kMostPricedRows rows, as far as the evaluator's limits and the
/// budget go, and the answers to them: few sizes once where a pass is slow, all of them several
/// times where it is not. What keys cost is found with passes of one size. Nothing is kept in
/// pages, but the next answer() must not be about a pass before this.
Prices measure_prices(Evaluator& evaluator, const PriceMeasuring& how = {});

}  // namespace tidar
