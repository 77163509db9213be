#include "report/plot.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace tidar {
namespace {

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

Plot plot_of(std::vector<PlotSeries> series) {
  return {.name = "a",
          .title = "Title",
          .about = "",
          .x = {.label = "across"},
          .y = {.label = "upwards"},
          .series = std::move(series)};
}

/// The number behind `name="` in the n-th place.
double attribute(const std::string& svg, const std::string& name, size_t n) {
  size_t at = 0;
  for (size_t i = 0; i <= n; ++i) at = svg.find(" " + name + "=\"", at + 1);
  return std::stod(svg.substr(at + name.size() + 3));
}

TEST(PlotSvg, HasAMarkForEveryPointAndAKeyForEverySeries) {
  const std::string svg = draw_svg(plot_of(
      {{"one", {{1, 2, 0.5, "first"}, {2, 3, 0, "second"}}, 0}, {"two", {{1, 1, 0, "third"}}, 1}}));
  EXPECT_EQ(count(svg, "class=\"mark\""), 3u);
  EXPECT_EQ(count(svg, "class=\"key "), 2u);
  EXPECT_EQ(count(svg, "class=\"series "), 2u);
  EXPECT_EQ(count(svg, "class=\"error\""), 1u);
  EXPECT_EQ(count(svg, "data-tip=\"second\""), 1u);
  for (const char* text : {">Title<", ">across<", ">upwards<", ">one<", ">two<"}) {
    EXPECT_EQ(count(svg, text), 1u) << text;
  }
}

TEST(PlotSvg, OneSeriesNeedsNoLegend) {
  EXPECT_EQ(count(draw_svg(plot_of({{"one", {{1, 2, 0, ""}}, 0}})), "class=\"key "), 0u);
}

TEST(PlotSvg, TextsCannotBecomeElements) {
  const std::string hostile = "\"><script>alert(1)</script>&";
  Plot plot = plot_of({{hostile, {{1, 2, 0, hostile, hostile}}, 0}, {hostile, {}, 1}});
  plot.title = plot.about = plot.x.label = plot.y.label = hostile;
  for (const auto kind : {Plot::Kind::lines, Plot::Kind::bars}) {
    plot.kind = kind;
    const std::string svg = draw_svg(plot);
    EXPECT_EQ(count(svg, "<script"), 0u);
    EXPECT_EQ(count(svg, "\"><script"), 0u);
    EXPECT_EQ(count(svg, "&\""), 0u);
    EXPECT_GE(count(svg, "&lt;script&gt;"), 5u);
  }
}

TEST(PlotSvg, PointsThatHaveNoPlaceAreLeftOut) {
  const double nan = std::nan(""), infinite = std::numeric_limits<double>::infinity();
  Plot plot = plot_of({{"one", {{nan, 1, 0, ""}, {1, infinite, 0, ""}, {0, 1, 0, ""}}, 0}});
  plot.x.scale = PlotAxis::Scale::log2;
  EXPECT_EQ(count(draw_svg(plot), "No results yet."), 1u);
  plot.series[0].points.push_back({4, 2, nan, "here"});
  const std::string svg = draw_svg(plot);
  EXPECT_EQ(count(svg, "class=\"mark\""), 1u);
  EXPECT_EQ(count(svg, "nan"), 0u);
  EXPECT_EQ(count(svg, "inf"), 0u);
  EXPECT_EQ(count(draw_svg(plot_of({})), "No results yet."), 1u);
}

TEST(PlotSvg, BarsAreAsHighAsTheirNumbers) {
  Plot plot = plot_of({{"one", {{1, 10, 0, "a"}, {2, 40, 0, "b"}}, 0}});
  plot.kind = Plot::Kind::bars;
  const std::string svg = draw_svg(plot);
  // The first rectangle is the paper.
  const double first = attribute(svg, "height", 2), second = attribute(svg, "height", 3);
  EXPECT_NEAR(second / first, 4, 0.01);
}

TEST(PlotSvg, BarsOfAGroupStandBesideEachOther) {
  Plot plot = plot_of({{"one", {{1, 10, 0, ""}}, 0}, {"two", {{1, 10, 0, ""}, {2, 5, 0, ""}}, 1}});
  plot.kind = Plot::Kind::bars;
  const std::string svg = draw_svg(plot);
  std::vector<std::pair<double, double>> bars;
  for (size_t at = svg.find("<rect x="); at != std::string::npos;
       at = svg.find("<rect x=", at + 1)) {
    const std::string bar = svg.substr(at + 5, 80);
    if (count(svg.substr(at, 120), "currentColor") == 0) continue;  // a key of the legend
    const double left = std::stod(bar.substr(bar.find("x=\"") + 3));
    bars.emplace_back(left, left + std::stod(bar.substr(bar.find("width=\"") + 7)));
  }
  ASSERT_EQ(bars.size(), 3u);
  EXPECT_LE(bars[0].second, bars[1].first);
  EXPECT_LE(bars[1].second, bars[2].first);
}

}  // namespace
}  // namespace tidar
