#include "report/plot_marks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "report/markup.h"

namespace tidar {
namespace {

constexpr double kTagSize = 11;
constexpr double kRadius = 5;

struct Place {
  double x, y;
};

struct Box {
  double left, top, right, bottom;
};

bool overlap(const Box& a, const Box& b) {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

/// Finds places for tags, so that none hides a mark, a line or another tag.
class Tags {
 public:
  explicit Tags(const PlotArea& area) : area_(area) {}

  void keep_free(const Box& box) { taken_.push_back(box); }
  /// The stretch of a line, as small steps along it.
  void keep_free(Place from, Place to) {
    constexpr double kStep = 3;
    const double steps = std::ceil(std::hypot(to.x - from.x, to.y - from.y) / kStep);
    for (double i = 0; i <= steps; ++i) {
      const double part = steps > 0 ? i / steps : 0;
      const double x = from.x + part * (to.x - from.x), y = from.y + part * (to.y - from.y);
      taken_.push_back({x - 1, y - 1, x + 1, y + 1});
    }
  }

  /// The tag near its mark; "" where there is no room on any side.
  std::string draw(const std::string& text, Place mark) {
    const double width = text_width(text, kTagSize), height = kTagSize;
    const double near = kRadius + 2, beside = kRadius;
    const std::array<Place, 8> corners = {
        Place{mark.x + beside, mark.y - beside - height},          // above, to the right
        Place{mark.x + beside, mark.y + beside},                   // below, to the right
        Place{mark.x - beside - width, mark.y - beside - height},  // above, to the left
        Place{mark.x - beside - width, mark.y + beside},           // below, to the left
        Place{mark.x - width / 2, mark.y - near - height},
        Place{mark.x - width / 2, mark.y + near},
        Place{mark.x + near, mark.y - height / 2},
        Place{mark.x - near - width, mark.y - height / 2}};
    for (const auto& [left, top] : corners) {
      const Box box = {left, top, left + width, top + height};
      if (!is_free(box)) continue;
      taken_.push_back(box);
      return fmt::format(
          R"(<text class="ink halo" x="{:.1f}" y="{:.1f}" font-size="{}" fill="#1b1f24")"
          R"( stroke="#ffffff" stroke-width="3" paint-order="stroke">{}</text>)"
          "\n",
          left, top + height - 2, kTagSize, escape_xml(text));
    }
    return "";
  }

 private:
  bool is_free(const Box& box) const {
    // To the right there is some room behind the last line of the grid.
    if (box.left < area_.left || box.right > area_.right + 14 || box.top < area_.top ||
        box.bottom > area_.bottom) {
      return false;
    }
    return std::none_of(taken_.begin(), taken_.end(),
                        [&](const Box& other) { return overlap(box, other); });
  }

  PlotArea area_;
  std::vector<Box> taken_;
};

std::vector<PlotPoint> from_left_to_right(const PlotSeries& series) {
  std::vector<PlotPoint> points = series.points;
  std::stable_sort(points.begin(), points.end(),
                   [](const PlotPoint& a, const PlotPoint& b) { return a.x < b.x; });
  return points;
}

/// A mark, or a bar, that tells its text when it is pointed at.
std::string telling(std::string_view shape, const std::string& label) {
  const std::string text = escape_xml(label);
  return fmt::format(
      R"(<g class="mark" tabindex="0" role="img" data-tip="{}"><title>{}</title>{}</g>)"
      "\n",
      text, text, shape);
}

std::string error_bar(const PlotPoint& point, double x, const PlotScale& y) {
  if (!(point.error > 0)) return "";
  const double top = y.pixel(point.y + point.error), bottom = y.pixel(point.y - point.error);
  return fmt::format(
      R"(<path class="error" d="M{0:.1f} {1:.1f}V{2:.1f}M{3:.1f} {1:.1f}h6M{3:.1f} {2:.1f}h6")"
      R"( fill="none" stroke="currentColor" stroke-opacity="0.45" stroke-width="1.5"/>)"
      "\n",
      x, top, bottom, x - 3);
}

/// Marks, their error bars, and the lines between them are no place for tags.
void keep_free(const PlotSeries& series, const PlotScale& x, const PlotScale& y, Tags& tags) {
  const std::vector<PlotPoint> points = from_left_to_right(series);
  for (size_t i = 0; i < points.size(); ++i) {
    const PlotPoint& point = points[i];
    const Place at = {x.pixel(point.x), y.pixel(point.y)};
    tags.keep_free(Box{at.x - kRadius, at.y - kRadius, at.x + kRadius, at.y + kRadius});
    tags.keep_free(Place{at.x, y.pixel(point.y + point.error)},
                   Place{at.x, y.pixel(point.y - point.error)});
    if (i > 0) tags.keep_free(Place{x.pixel(points[i - 1].x), y.pixel(points[i - 1].y)}, at);
  }
}

}  // namespace

std::string style_colour(int style) {
  constexpr std::array<std::string_view, kPlotStyles> kColours = {
      "#0072b2", "#d55e00", "#009e73", "#aa4499", "#b8860b", "#56b4e9", "#595959", "#882255"};
  return std::string(kColours[static_cast<size_t>(style % kPlotStyles)]);
}

std::string mark_path(int style, double x, double y) {
  constexpr std::array<std::string_view, kPlotStyles> kPaths = {
      "m-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z",                         // circle
      "m-4.5 -4.5h9v9h-9z",                                            // square
      "m0 -5.8l5.6 9.8h-11.2z",                                        // triangle
      "m0 -6l6 6l-6 6l-6 -6z",                                         // diamond
      "m0 5.8l5.6 -9.8h-11.2z",                                        // triangle on its tip
      "m-1.8 -5.5h3.6v3.7h3.7v3.6h-3.7v3.7h-3.6v-3.7h-3.7v-3.6h3.7z",  // plus
      "m-5 -3l5 -3l5 3v6l-5 3l-5 -3z",                                 // hexagon
      "m-5.5 0l5.5 -3.5l5.5 3.5l-5.5 3.5z"};                           // flat diamond
  return fmt::format(
      R"(<path class="edge" d="M{:.1f} {:.1f}{}" fill="currentColor" stroke="#ffffff")"
      R"( stroke-width="1.2"/>)",
      x, y, kPaths[static_cast<size_t>(style % kPlotStyles)]);
}

std::string series_attributes(const PlotSeries& series, size_t number, std::string_view kind) {
  return fmt::format(R"(class="{} s{}" data-series="{}" color="{}")", kind,
                     series.style % kPlotStyles, number, style_colour(series.style));
}

std::string draw_lines(const Plot& plot, const PlotScale& x, const PlotScale& y,
                       const PlotArea& area) {
  Tags tags(area);
  for (const PlotSeries& series : plot.series) keep_free(series, x, y, tags);
  std::string svg;
  for (size_t i = 0; i < plot.series.size(); ++i) {
    const PlotSeries& series = plot.series[i];
    std::string line, errors, marks;
    for (const PlotPoint& point : from_left_to_right(series)) {
      const Place at = {x.pixel(point.x), y.pixel(point.y)};
      line += fmt::format("{}{:.1f} {:.1f}", line.empty() ? "M" : "L", at.x, at.y);
      errors += error_bar(point, at.x, y);
      marks += telling(mark_path(series.style, at.x, at.y), point.label);
      if (!point.tag.empty()) marks += tags.draw(point.tag, at);
    }
    svg += fmt::format("<g {}>\n", series_attributes(series, i, "series"));
    if (series.points.size() > 1) {
      svg += fmt::format(R"(<path d="{}" fill="none" stroke="currentColor" stroke-width="2")"
                         R"( stroke-linejoin="round"/>)"
                         "\n",
                         line);
    }
    svg += errors + marks + "</g>\n";
  }
  return svg;
}

std::string draw_bars(const Plot& plot, const PlotScale& x, const PlotScale& y,
                      const PlotArea& area) {
  const auto count = static_cast<double>(plot.series.size());
  const double group = 0.8 * (x.pixel(1) - x.pixel(0));
  const double width = group / count;
  std::string svg;
  for (size_t i = 0; i < plot.series.size(); ++i) {
    const PlotSeries& series = plot.series[i];
    svg += fmt::format("<g {}>\n", series_attributes(series, i, "series"));
    for (const PlotPoint& point : series.points) {
      const double left = x.pixel(point.x) - group / 2 + static_cast<double>(i) * width;
      const double top = y.pixel(point.y);
      // A bar of no height can be pointed at as well.
      const double height = std::max(0.8, area.bottom - top);
      svg += telling(fmt::format(R"(<rect x="{:.2f}" y="{:.1f}" width="{:.2f}" height="{:.1f}")"
                                 R"( fill="currentColor"/>)",
                                 left, area.bottom - height,
                                 std::max(0.5, width - std::min(1.0, width / 5)), height),
                     point.label);
    }
    svg += "</g>\n";
  }
  return svg;
}

}  // namespace tidar
