#pragma once
// Prices as decoding measures them, beside passes that are timed at leisure.

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "apps/pass_bench.h"
#include "apps/session.h"
#include "format/json.h"
#include "plan/prices.h"
#include "report/plot.h"

namespace tidar {

struct PriceTimes {
  Prices prices;
  double measuring_s = 0;  ///< how long they took
  /// The timed passes, context by context, by rows, upwards.
  std::vector<PassTimes> passes;

  /// What the prices foresee for the pass.
  double seconds(const PassSpec& spec) const {
    const PassSize size = {spec.rows, static_cast<double>(spec.asked)};
    return prices.seconds(size.behind(spec.cached));
  }
};

/// Measures prices, and then times passes behind so many cached keys (`contexts`) of `rows`,
/// upwards (none: of the rows that were measured), as far as the model has positions and as
/// PassBench::run() does; `asked` says how many of the rows are asked.
PriceTimes bench_prices(const Session& session, PassBench& bench, std::span<const int32_t> contexts,
                        std::vector<int32_t> rows, const std::function<int(int)>& asked,
                        double seconds, const std::function<void(int)>& on_round);

/// A table a context, in lines of at most 80 columns.
std::string prices_tables(const PriceTimes& times);
OrderedJson to_json(const PriceTimes& times);
/// The prices: time over rows, a series a context.
Plot prices_plot(const PriceTimes& times);

}  // namespace tidar
