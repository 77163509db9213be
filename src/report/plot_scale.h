#pragma once
// From numbers to places on an axis, and the ticks that readers like.

#include <string>
#include <vector>

namespace tidar {

/// A stretch of an axis in data and in pixels. from < to; pixels may run either way.
class PlotScale {
 public:
  /// Shows all of `least` to `most`, widened to whole ticks, of which there are about `count`.
  static PlotScale linear(double least, double most, int count);
  /// Powers of 2; 0 < least <= most.
  static PlotScale log2(double least, double most, int count);
  /// As wide as the numbers are, without being widened: for groups of bars.
  static PlotScale exact(double least, double most, std::vector<double> ticks);

  /// Where pixels begin and end.
  void place(double begin, double end) {
    begin_ = begin;
    end_ = end;
  }
  double pixel(double value) const;

  double from() const { return from_; }
  double to() const { return to_; }
  const std::vector<double>& ticks() const { return ticks_; }
  /// What the ticks are called.
  std::vector<std::string> labels() const;

 private:
  PlotScale(double from, double to, std::vector<double> ticks, bool logarithmic);

  double from_;
  double to_;
  std::vector<double> ticks_;
  bool logarithmic_;
  double begin_ = 0;
  double end_ = 1;
};

/// 1, 2 or 5 times a power of ten, so that about `count` of it make up `span`. span > 0.
double nice_step(double span, int count);

/// Numbers at equal steps with the same decimals, as few as tell neighbours apart: "0", "0.5", "1".
std::vector<std::string> tick_labels(const std::vector<double>& ticks);

}  // namespace tidar
