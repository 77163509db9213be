#include "apps/price_bench.h"

#include "apps/output.h"
#include "base/stopwatch.h"
#include "engine/measure_prices.h"
#include "report/report_figures.h"

namespace tidar {
namespace {

/// The price of each pass beside that of the one before it.
struct PricedPass {
  const PassTimes* times = nullptr;
  double seconds = 0;
  double to_one_row = 0;  ///< 1 row, asked
  double a_row_more = 0;  ///< seconds; 0: there is none before it

  double off() const { return seconds / times->seconds.median() - 1; }
};

std::vector<PricedPass> priced(const PriceCurve& curve) {
  const double one = curve.prices.seconds({1, 1});
  std::vector<PricedPass> all;
  for (const PassTimes& times : curve.passes) {
    PricedPass pass{&times, curve.seconds(times.spec)};
    pass.to_one_row = pass.seconds / one;
    if (!all.empty()) {
      const PricedPass& before = all.back();
      const int rows = times.spec.rows - before.times->spec.rows;
      pass.a_row_more = (pass.seconds - before.seconds) / rows;
    }
    all.push_back(pass);
  }
  return all;
}

}  // namespace

PriceCurve bench_prices(PassBench& bench, Network& network, int context, std::vector<int32_t> rows,
                        const std::function<int(int)>& asked, double seconds,
                        const std::function<void(int)>& on_round) {
  PriceCurve curve;
  curve.context = context;
  const SequenceCache& cache = bench.cached(context);
  const Stopwatch watch;
  curve.prices = measure_prices(network, {.cache = &cache});
  curve.measuring_s = watch.seconds();
  if (rows.empty()) {
    for (const PricePoint& point : curve.prices.points()) rows.push_back(point.rows);
  }
  std::vector<PassSpec> specs;
  for (const int32_t count : rows) {
    specs.push_back({std::to_string(count), count, asked(count), context});
  }
  curve.passes = bench.run(specs, seconds, on_round);
  return curve;
}

std::string prices_table(const PriceCurve& curve) {
  Table table({"rows", "asked", "ms", "x 1 row", "ms a row more", "timed ms", "+-", "off"});
  for (const PricedPass& pass : priced(curve)) {
    const Samples& timed = pass.times->seconds;
    table.add({pass.times->spec.name, std::to_string(pass.times->spec.asked),
               fmt::format("{:.3f}", 1e3 * pass.seconds), fmt::format("{:.2f}", pass.to_one_row),
               pass.a_row_more == 0 ? "-" : fmt::format("{:.3f}", 1e3 * pass.a_row_more),
               fmt::format("{:.3f}", 1e3 * timed.median()),
               fmt::format("{:.0f}%", 100 * timed.spread()),
               fmt::format("{:+.0f}%", 100 * pass.off())});
  }
  return fmt::format("{} keys cached: prices measured in {:.2f} s\n{}", curve.context,
                     curve.measuring_s, table.text());
}

OrderedJson to_json(const PriceCurve& curve) {
  OrderedJson json;
  json["context"] = curve.context;
  json["measuring_s"] = curve.measuring_s;
  for (const PricePoint& point : curve.prices.asks()) {
    json["asks"].push_back({{"asked", point.rows}, {"ms", 1e3 * point.seconds}});
  }
  json["passes"] = OrderedJson::array();
  for (const PricedPass& pass : priced(curve)) {
    json["passes"].push_back({{"rows", pass.times->spec.rows},
                              {"asked", pass.times->spec.asked},
                              {"ms", 1e3 * pass.seconds},
                              {"ratio_to_one_row", pass.to_one_row},
                              {"ms_a_row_more", 1e3 * pass.a_row_more},
                              {"median_ms", 1e3 * pass.times->seconds.median()},
                              {"spread", pass.times->seconds.spread()},
                              {"samples", pass.times->seconds.count()}});
  }
  return json;
}

Plot prices_plot(const std::vector<PriceCurve>& curves) {
  std::vector<LatencyCurve> shown;
  for (const PriceCurve& curve : curves) {
    shown.push_back({fmt::format("{} keys cached", format_count(curve.context)), {}});
    for (const PassTimes& times : curve.passes) {
      shown.back().points.push_back({times.spec.rows, 1e3 * curve.seconds(times.spec)});
    }
  }
  Plot plot = latency_figures(shown).front();
  plot.y.scale = PlotAxis::Scale::linear;  // one model: its curves are not far from each other
  return plot;
}

}  // namespace tidar
