#pragma once
// The figures of a report, from the numbers of a study.

#include <span>
#include <vector>

#include "report/plot.h"
#include "report/study.h"

namespace tidar {

/// Mean score against tokens per pass, and against tokens/s (Figures 4 and 5 of the TiDAR paper).
std::vector<Plot> trade_off_figures(const Study& study);

/// Mean score and tokens per pass over the trust in AR, a line for each weight α of the AR loss in
/// training (Figure 6).
std::vector<Plot> trust_figures(const Study& study);

/// Milliseconds of a pass over its rows, and the same as multiples of one row (Figure 1).
std::vector<Plot> latency_figures(std::span<const LatencyCurve> curves);

/// Of each task: the share of passes that brought so many tokens.
std::vector<Plot> histogram_figures(const Study& study);

}  // namespace tidar
