#pragma once
// Prices as decoding measures them, beside passes that are timed at leisure.

#include <functional>
#include <string>
#include <vector>

#include "apps/pass_bench.h"
#include "format/json.h"
#include "net/network.h"
#include "plan/prices.h"
#include "report/plot.h"

namespace tidar {

/// What passes behind one number of cached keys cost.
struct PriceCurve {
  int context = 0;
  double measuring_s = 0;  ///< how long the prices took
  Prices prices;
  std::vector<PassTimes> passes;  ///< the timed ones, by rows, upwards

  /// What the prices foresee for the pass.
  double seconds(const PassSpec& spec) const {
    return prices.seconds({spec.rows, static_cast<double>(spec.asked)});
  }
};

/// Measures prices, and then times passes of `rows` (none: of the rows that were measured) as
/// PassBench::run() does; `asked` says how many of the rows are asked.
PriceCurve bench_prices(PassBench& bench, Network& network, int context, std::vector<int32_t> rows,
                        const std::function<int(int)>& asked, double seconds,
                        const std::function<void(int)>& on_round);

/// Lines of at most 80 columns.
std::string prices_table(const PriceCurve& curve);
OrderedJson to_json(const PriceCurve& curve);
/// Time over rows, a series a context.
Plot prices_plot(const std::vector<PriceCurve>& curves);

}  // namespace tidar
