#pragma once
// Figures as SVG. A figure is data; drawing it is a pure function. The same SVG is a file of its
// own, with fixed colours on white, and part of a page, whose style sheet may replace the colours
// by the classes: paper, grid, ink, quiet, s0 to s7. A script finds each mark as class "mark" with
// its text in "data-tip", and each series as class "series", like its key in the legend, with its
// number in "data-series".

#include <string>
#include <vector>

namespace tidar {

struct PlotPoint {
  double x = 0;
  double y = 0;
  double error = 0;   ///< of y, a bar up and down; 0: none; on an axis of logarithms below y
  std::string label;  ///< what pointing at it tells; may have several lines
  std::string tag{};  ///< some characters beside the mark, where there is room
};

struct PlotSeries {
  std::string label;
  std::vector<PlotPoint> points;  ///< in any order; joined from left to right
  int style = 0;                  ///< colour and mark; counted on from the end of the palette
};

struct PlotAxis {
  enum class Scale { linear, log2 };
  std::string label;
  Scale scale = Scale::linear;
  bool from_zero = false;  ///< whether a linear axis shows 0
};

struct Plot {
  enum class Kind {
    lines,
    bars,  ///< grouped by x, which are integers; y from 0
  };
  std::string name;   ///< of its file, without extension
  std::string title;  ///< short: one line
  std::string about;  ///< what it shows, for those who cannot see it
  Kind kind = Kind::lines;
  PlotAxis x;
  PlotAxis y;
  std::vector<PlotSeries> series;
};

/// A well-formed <svg> element, whatever the texts hold. Points that are not finite, or not
/// positive on an axis of logarithms, are left out; without any other point the figure says so.
std::string draw_svg(const Plot& plot);

}  // namespace tidar
