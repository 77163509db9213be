#include "report/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "report/markup.h"
#include "report/plot_marks.h"
#include "report/plot_scale.h"

namespace tidar {
namespace {

constexpr double kWidth = 480;
constexpr double kMargin = 14;
constexpr double kAreaHeight = 220;
constexpr double kTextSize = 12;
constexpr double kTitleSize = 15;
constexpr double kKeyHeight = 20;  // of a line of the legend
constexpr int kTickCount = 5;
constexpr int kSquare = 1;       // the mark of bars
constexpr int kMostGroups = 12;  // of bars whose every number fits below them

bool can_be_shown(const Plot& plot, const PlotPoint& point) {
  const auto fits = [](const PlotAxis& axis, double value) {
    return std::isfinite(value) && (axis.scale == PlotAxis::Scale::linear || value > 0);
  };
  return fits(plot.x, point.x) && fits(plot.y, point.y);
}

/// The figure with only the points that can be shown.
Plot shown_part(const Plot& plot) {
  Plot shown = plot;
  for (PlotSeries& series : shown.series) {
    std::erase_if(series.points,
                  [&](const PlotPoint& point) { return !can_be_shown(plot, point); });
    for (PlotPoint& point : series.points) {
      if (!std::isfinite(point.error)) point.error = 0;
    }
  }
  return shown;
}

struct Range {
  double least = std::numeric_limits<double>::infinity();
  double most = -std::numeric_limits<double>::infinity();

  void add(double value) {
    least = std::min(least, value);
    most = std::max(most, value);
  }
  bool empty() const { return least > most; }
};

PlotScale scale_of(const PlotAxis& axis, Range range) {
  if (axis.scale == PlotAxis::Scale::log2) {
    return PlotScale::log2(range.least, range.most, 2 * kTickCount);
  }
  if (axis.from_zero) range.add(0);
  return PlotScale::linear(range.least, range.most, kTickCount);
}

/// Half a group of room on either side, and a number below every group while they fit.
PlotScale scale_of_groups(const Range& range) {
  const double span = range.most - range.least + 1;
  const double step = span <= kMostGroups ? 1 : std::max(2.0, nice_step(span, kMostGroups));
  std::vector<double> ticks;
  for (double at = range.least; at <= range.most; at += 1) {
    if (std::fmod(at, step) == 0) ticks.push_back(at);
  }
  return PlotScale::exact(range.least - 0.5, range.most + 0.5, std::move(ticks));
}

struct Scales {
  PlotScale x;
  PlotScale y;
};

Scales scales_of(const Plot& plot) {
  Range x, y;
  for (const PlotSeries& series : plot.series) {
    for (const PlotPoint& point : series.points) {
      x.add(point.x);
      y.add(point.y - point.error);
      y.add(point.y + point.error);
    }
  }
  if (x.empty()) x.add(1), y.add(1);
  PlotAxis upright = plot.y;
  if (plot.kind == Plot::Kind::bars) upright.from_zero = true;
  return {plot.kind == Plot::Kind::bars ? scale_of_groups(x) : scale_of(plot.x, x),
          scale_of(upright, y)};
}

std::string text_at(std::string_view attributes, double x, double y, double size,
                    std::string_view text) {
  return fmt::format("<text {} x=\"{:.1f}\" y=\"{:.1f}\" font-size=\"{}\">{}</text>\n", attributes,
                     x, y, size, escape_xml(text));
}

constexpr std::string_view kInk = R"(class="ink" fill="#1b1f24")";
constexpr std::string_view kQuiet = R"(class="quiet" fill="#57606a")";

/// The keys of all series in as many lines as they need. `y` is where they begin, and then where
/// they end.
std::string draw_legend(const Plot& plot, double& y) {
  if (plot.series.size() < 2) return "";
  constexpr double kMarkRoom = 18, kGap = 14;
  std::string svg;
  double x = kMargin;
  for (size_t i = 0; i < plot.series.size(); ++i) {
    const PlotSeries& series = plot.series[i];
    const std::string label = fit_text(series.label, kTextSize, kWidth - 2 * kMargin - kMarkRoom);
    const double width = kMarkRoom + text_width(label, kTextSize);
    if (x > kMargin && x + width > kWidth - kMargin) {
      x = kMargin;
      y += kKeyHeight;
    }
    svg += fmt::format("<g {} tabindex=\"0\">\n", series_attributes(series, i, "key"));
    // Something to hit between the letters.
    svg += fmt::format(R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{}" fill="none")"
                       R"( pointer-events="all"/>)",
                       x - 3, y, width + 6, kKeyHeight);
    svg += mark_path(plot.kind == Plot::Kind::bars ? kSquare : series.style, x + 6,
                     y + kKeyHeight / 2);
    svg += text_at(kInk, x + kMarkRoom, y + kKeyHeight / 2 + 4, kTextSize, label) + "</g>\n";
    x += width + kGap;
  }
  y += kKeyHeight;
  return svg;
}

std::string draw_axes(const Plot& plot, const Scales& scales, const PlotArea& area) {
  std::string svg;
  const auto y_labels = scales.y.labels();
  for (size_t i = 0; i < y_labels.size(); ++i) {
    const double y = scales.y.pixel(scales.y.ticks()[i]);
    svg += fmt::format(
        R"(<path class="grid" d="M{:.1f} {:.1f}H{:.1f}" stroke="#d8dee4" stroke-width="1"/>)"
        "\n",
        area.left, y, area.right);
    svg += text_at(fmt::format("{} text-anchor=\"end\"", kQuiet), area.left - 7, y + 4, kTextSize,
                   y_labels[i]);
  }
  const auto x_labels = scales.x.labels();
  for (size_t i = 0; i < x_labels.size(); ++i) {
    const double x = scales.x.pixel(scales.x.ticks()[i]);
    if (plot.kind == Plot::Kind::lines) {
      svg += fmt::format(
          R"(<path class="grid" d="M{:.1f} {:.1f}V{:.1f}" stroke="#d8dee4" stroke-width="1"/>)"
          "\n",
          x, area.top, area.bottom);
    }
    svg += text_at(fmt::format("{} text-anchor=\"middle\"", kQuiet), x, area.bottom + 18, kTextSize,
                   x_labels[i]);
  }
  svg += fmt::format(
      R"(<path class="axis" d="M{:.1f} {:.1f}H{:.1f}" stroke="#8c959f" stroke-width="1"/>)"
      "\n",
      area.left, area.bottom, area.right);
  svg += text_at(kQuiet, kMargin, area.top - 12, kTextSize,
                 fit_text(plot.y.label, kTextSize, kWidth - 2 * kMargin));
  svg += text_at(fmt::format("{} text-anchor=\"middle\"", kQuiet), (area.left + area.right) / 2,
                 area.bottom + 38, kTextSize,
                 fit_text(plot.x.label, kTextSize, area.right - area.left));
  return svg;
}

/// How far the widest number reaches.
double widest(const PlotScale& scale) {
  double width = 0;
  for (const std::string& label : scale.labels()) {
    width = std::max(width, text_width(label, kTextSize));
  }
  return width;
}

}  // namespace

std::string draw_svg(const Plot& plot) {
  const Plot shown = shown_part(plot);
  Scales scales = scales_of(shown);
  double y = 34;
  const std::string legend = draw_legend(shown, y);
  PlotArea area;
  area.left = kMargin + widest(scales.y) + 7;
  area.top = y + 30;
  area.right = kWidth - kMargin - 6;
  area.bottom = area.top + kAreaHeight;
  scales.x.place(area.left, area.right);
  scales.y.place(area.bottom, area.top);
  const double height = area.bottom + 50;

  std::string svg = fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" class="plot" viewBox="0 0 {0} {1:.0f}")"
      R"( width="{0}" height="{1:.0f}" role="group" aria-label="{2}")"
      R"( font-family="system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Arial, sans-serif">)"
      "\n",
      kWidth, height, escape_xml(plot.title + ". " + plot.about));
  svg += fmt::format(R"(<rect class="paper" width="{}" height="{:.0f}" fill="#ffffff"/>)"
                     "\n",
                     kWidth, height);
  svg += text_at(fmt::format("{} font-weight=\"600\"", kInk), kMargin, 24, kTitleSize,
                 fit_text(plot.title, kTitleSize, kWidth - 2 * kMargin));
  const bool empty = std::all_of(shown.series.begin(), shown.series.end(),
                                 [](const PlotSeries& series) { return series.points.empty(); });
  if (empty) {
    svg += text_at(kQuiet, kMargin, area.top + kAreaHeight / 2, kTextSize, "No results yet.");
  } else {
    svg += legend + draw_axes(shown, scales, area);
    svg += shown.kind == Plot::Kind::bars ? draw_bars(shown, scales.x, scales.y, area)
                                          : draw_lines(shown, scales.x, scales.y, area);
  }
  return svg + "</svg>\n";
}

}  // namespace tidar
