#include "apps/price_bench.h"

#include "apps/output.h"
#include "apps/price_source.h"
#include "base/stopwatch.h"
#include "report/report_figures.h"

namespace tidar {
namespace {

/// The price of each pass beside that of the one before it.
struct PricedPass {
  const PassTimes* times = nullptr;
  double seconds = 0;
  double to_one_row = 0;  ///< 1 row, asked, behind as many keys
  double a_row_more = 0;  ///< seconds; 0: there is none before it

  double off() const { return seconds / times->seconds.median() - 1; }
};

std::vector<PricedPass> priced(const PriceTimes& times) {
  std::vector<PricedPass> all;
  for (const PassTimes& timed : times.passes) {
    PricedPass pass{&timed, times.seconds(timed.spec)};
    const PassSize one = {1, 1};
    pass.to_one_row = pass.seconds / times.prices.seconds(one.behind(timed.spec.cached));
    if (!all.empty() && all.back().times->spec.cached == timed.spec.cached) {
      const PricedPass& before = all.back();
      const int rows = timed.spec.rows - before.times->spec.rows;
      pass.a_row_more = (pass.seconds - before.seconds) / rows;
    }
    all.push_back(pass);
  }
  return all;
}

Table empty_table() {
  return Table({"rows", "asked", "ms", "x 1 row", "ms a row more", "timed ms", "+-", "off"});
}

void add(Table& table, const PricedPass& pass) {
  const Samples& timed = pass.times->seconds;
  table.add({std::to_string(pass.times->spec.rows), std::to_string(pass.times->spec.asked),
             fmt::format("{:.3f}", 1e3 * pass.seconds), fmt::format("{:.2f}", pass.to_one_row),
             pass.a_row_more == 0 ? "-" : fmt::format("{:.3f}", 1e3 * pass.a_row_more),
             fmt::format("{:.3f}", 1e3 * timed.median()),
             fmt::format("{:.0f}%", 100 * timed.spread()),
             fmt::format("{:+.0f}%", 100 * pass.off())});
}

}  // namespace

PriceTimes bench_prices(const Session& session, PassBench& bench, std::span<const int32_t> contexts,
                        std::vector<int32_t> rows, const std::function<int(int)>& asked,
                        double seconds, const std::function<void(int)>& on_round) {
  PriceTimes times;
  const Stopwatch watch;
  times.prices = measure_prices_of(session);
  times.measuring_s = watch.seconds();
  if (rows.empty()) {
    for (const PricePoint& point : times.prices.points()) rows.push_back(point.rows);
  }
  std::vector<PassSpec> specs;
  for (const int32_t context : contexts) {
    for (const int32_t count : rows) {
      if (context + count > session.network().limits().max_position) break;
      specs.push_back({fmt::format("{} behind {}", count, context), count, asked(count), context});
    }
  }
  times.passes = bench.run(specs, seconds, on_round);
  return times;
}

std::string prices_tables(const PriceTimes& times) {
  std::string text;
  Table table = empty_table();
  const std::vector<PricedPass> passes = priced(times);
  for (size_t i = 0; i < passes.size(); ++i) {
    add(table, passes[i]);
    const int cached = passes[i].times->spec.cached;
    if (i + 1 < passes.size() && passes[i + 1].times->spec.cached == cached) continue;
    text += fmt::format("{}{} keys cached\n{}", text.empty() ? "" : "\n", cached, table.text());
    table = empty_table();
  }
  return text;
}

OrderedJson to_json(const PriceTimes& times) {
  OrderedJson json;
  json["measuring_s"] = times.measuring_s;
  const KeyPrice& key = times.prices.key();
  json["key"] = {{"cached", key.cached}, {"ms", 1e3 * key.seconds}};
  for (const PricePoint& point : times.prices.asks()) {
    json["asks"].push_back({{"asked", point.rows}, {"ms", 1e3 * point.seconds}});
  }
  json["passes"] = OrderedJson::array();
  for (const PricedPass& pass : priced(times)) {
    json["passes"].push_back({{"context", pass.times->spec.cached},
                              {"rows", pass.times->spec.rows},
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

Plot prices_plot(const PriceTimes& times) {
  std::vector<LatencyCurve> shown;
  for (const PassTimes& timed : times.passes) {
    const std::string name = fmt::format("{} keys cached", format_count(timed.spec.cached));
    if (shown.empty() || shown.back().label != name) shown.push_back({name, {}});
    shown.back().points.push_back({timed.spec.rows, 1e3 * times.seconds(timed.spec)});
  }
  Plot plot = latency_figures(shown).front();
  plot.y.scale = PlotAxis::Scale::linear;  // one model: its curves are not far from each other
  return plot;
}

}  // namespace tidar
