#pragma once
// What stands inside the axes of a figure: lines, marks with their error bars and tags, bars. Each
// function returns elements of SVG.

#include <string>

#include "report/plot.h"
#include "report/plot_scale.h"

namespace tidar {

/// The rectangle inside the axes, in pixels.
struct PlotArea {
  double left = 0;
  double top = 0;
  double right = 0;
  double bottom = 0;
};

/// How many colours there are; marks differ as well.
inline constexpr int kPlotStyles = 8;

/// Colours that remain apart for colour-blind readers (Okabe and Ito), on white.
std::string style_colour(int style);

/// The mark of a style around (x, y): a path of about 10 pixels.
std::string mark_path(int style, double x, double y);

/// `class="series s2" data-series="1" color="#…"`, for the group of a series or its key.
std::string series_attributes(const PlotSeries& series, size_t number, std::string_view kind);

/// The series as lines through marks. Scales are placed.
std::string draw_lines(const Plot& plot, const PlotScale& x, const PlotScale& y,
                       const PlotArea& area);

/// The series as groups of bars around whole x, from 0 up.
std::string draw_bars(const Plot& plot, const PlotScale& x, const PlotScale& y,
                      const PlotArea& area);

}  // namespace tidar
