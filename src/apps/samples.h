#pragma once
// Repeated measurements of one thing. On a machine that does other things, too, the median is what
// repeats from run to run; a mean would follow the worst of them.

#include <vector>

namespace tidar {

class Samples {
 public:
  void add(double value) {
    values_.push_back(value);
    total_ += value;
  }
  int count() const { return static_cast<int>(values_.size()); }
  /// Kept, as it is asked after each of what may be 100,000 values.
  double total() const { return total_; }
  /// At least one value is needed, here and below.
  double median() const { return quantile(0.5); }
  /// Half of the distance between the quartiles, as a share of the median: half of all values lie
  /// within about this much of the median.
  double spread() const { return (quantile(0.75) - quantile(0.25)) / 2 / median(); }

 private:
  /// Between values, in proportion.
  double quantile(double share) const;

  std::vector<double> values_;
  double total_ = 0;
};

}  // namespace tidar
