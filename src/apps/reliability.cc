#include "apps/reliability.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "apps/output.h"

namespace tidar {

void Reliability::count(Bins& bins, double chance, bool hit) {
  const auto tenth = static_cast<size_t>(std::clamp(chance * 10, 0.0, 9.0));
  Bin& bin = bins[tenth];
  bin.chance += chance;
  bin.tries += 1;
  bin.hits += hit ? 1 : 0;
}

void Reliability::add(const Explanation& explanation) {
  if (!explanation.offer) return;
  const StepReport& report = explanation.report;
  int guesses = 0;  // offered
  for (const Bundle& bundle : explanation.offer->bundles) {
    if (bundle.group > 0) continue;
    const int place = guesses++;
    const bool verified = place < report.drafted && place <= report.accepted;
    if (verified) count(guesses_, bundle.chance, place < report.accepted);
  }
  for (const Bundle& bundle : explanation.offer->bundles) {
    if (bundle.group == 0) continue;
    if (bundle.guessed) {
      for (const GuessedGroup& held : report.guessed) {
        if (held.accepted != bundle.group) continue;
        const bool right = report.guessed_right && report.accepted + 1 == bundle.group;
        count(guessed_, bundle.chance, right);
      }
      continue;
    }
    // The last group's case is that all guesses are right: it is undecided while some are not
    // verified.
    const bool decided = bundle.group <= report.drafted || report.drafted == guesses;
    if (decided) count(groups_, bundle.chance, bundle.group == report.accepted + 1);
  }
}

PlotSeries Reliability::series_of(const char* label, const Bins& bins) {
  PlotSeries series;
  int64_t all = 0;
  for (const Bin& bin : bins) {
    if (bin.tries == 0) continue;
    all += bin.tries;
    const auto tries = static_cast<double>(bin.tries);
    const double share = static_cast<double>(bin.hits) / tries;
    // As if one more had happened and one not: few tries are not certain, even where all agree.
    const double careful = (static_cast<double>(bin.hits) + 1) / (tries + 2);
    series.points.push_back(
        {.x = bin.chance / tries,
         .y = share,
         .error = std::sqrt(careful * (1 - careful) / tries),
         .label = fmt::format("{} of {}: {:.3f}\nforeseen: {:.3f}", format_count(bin.hits),
                              format_count(bin.tries), share, bin.chance / tries)});
  }
  series.label = fmt::format("{} {}", format_count(all), label);
  return series;
}

Plot Reliability::plot() const {
  Plot plot;
  plot.name = "reliability";
  plot.title = "Chances that were offered, and what happened";
  plot.about =
      "How often guesses were right and cases of groups happened, over the chance that was given "
      "to them before, beside a line where both are the same";
  plot.x = {.label = "chance", .from_zero = true};
  plot.y = {.label = "frequency", .from_zero = true};
  plot.series = {series_of("guesses", guesses_),
                 series_of("groups", groups_),
                 series_of("guessed groups", guessed_),
                 {}};
  plot.series.back().label = "as foreseen";
  plot.series.back().points = {PlotPoint(), PlotPoint()};
  plot.series.back().points[1].x = plot.series.back().points[1].y = 1;
  for (size_t i = 0; i < plot.series.size(); ++i) plot.series[i].style = static_cast<int>(i);
  return plot;
}

}  // namespace tidar
