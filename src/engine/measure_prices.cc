#include "engine/measure_prices.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <vector>

#include "base/check.h"
#include "plan/layouts.h"

namespace tidar {
namespace {

/// In the order in which they are tried: first those that tell how far the budget goes, then those
/// between them, and last those that the others foretell.
constexpr std::array kSizes = {1, 4,  16,  64, 2, 8,  32, 48, 24, 12, 6,
                               3, 10, 128, 96, 5, 20, 40, 14, 28, 56};
static_assert(*std::max_element(kSizes.begin(), kSizes.end()) == kMostPricedRows);
/// Larger passes read prompts, and ask little.
constexpr int kMostAsked = 64;
constexpr int kMostSamples = 9;
/// Of the budget, for the first pass of one size.
constexpr double kMostOfBudget = 0.5;

/// The lower quartile: others who compute on the machine only ever add to the time.
class LowSamples {
 public:
  void add(double value) {
    values_.insert(std::upper_bound(values_.begin(), values_.end(), value), value);
  }
  size_t count() const { return values_.size(); }
  double low() const { return values_[(values_.size() - 1) / 4]; }
  double most() const { return values_.back(); }

 private:
  std::vector<double> values_;  // ascending
};

/// What passes of one size took.
struct SizeTimes {
  LowSamples pass, answers;
  double most() const { return pass.most() + (answers.count() > 0 ? answers.most() : 0); }
};

using Times = std::map<int, SizeTimes>;  // by rows

class Measurement {
 public:
  Measurement(Evaluator& evaluator, const PriceMeasuring& how)
      : evaluator_(evaluator), how_(how), begin_(how.now()) {}

  Times run() {
    TIDAR_CHECK(possible(1));
    sample(1);
    for (size_t round = 1; round <= kMostSamples; ++round) {
      for (const int rows : kSizes) {
        if (possible(rows) && samples_of(rows) < round && affordable(rows)) sample(rows);
      }
    }
    return std::move(times_);
  }

 private:
  int cached() const { return how_.cache == nullptr ? 0 : how_.cache->length(); }

  bool possible(int rows) const {
    const EvaluatorLimits& limits = evaluator_.limits();
    return rows <= limits.max_rows && cached() + rows <= limits.max_position;
  }

  size_t samples_of(int rows) const {
    const auto found = times_.find(rows);
    return found == times_.end() ? 0 : found->second.pass.count();
  }

  bool affordable(int rows) const {
    const bool first = samples_of(rows) == 0;
    const double left = how_.budget_s - (how_.now() - begin_);
    return most_of(rows) <= (first ? std::min(left, kMostOfBudget * how_.budget_s) : left);
  }

  /// What a pass of this size takes at most, by what passes took so far.
  double most_of(int rows) const {
    double most = 0;
    for (const auto& [measured, times] : times_) {
      if (measured >= rows) return times.most();
      most = times.most() * rows / measured;
    }
    return most;
  }

  void sample(int rows) {
    pass_.clear();
    how_.cache == nullptr ? pass_.begin_sequence() : pass_.begin_sequence(*how_.cache);
    tokens_.clear();
    for (int i = 0; i < rows; ++i) tokens_.push_back(i % evaluator_.limits().vocabulary);
    add_causal(pass_, tokens_, Keep::scratch);
    asks_.clear();
    for (int i = 0; i < rows; ++i) asks_.add({.row = i, .draw = static_cast<uint64_t>(i)});
    answers_.resize(asks_.size());

    const double begin = how_.now();
    evaluator_.evaluate(pass_, {});
    const double answered = how_.now();
    times_[rows].pass.add(answered - begin);
    if (rows > kMostAsked) return;
    evaluator_.answer(asks_, answers_);
    times_[rows].answers.add(how_.now() - answered);
  }

  Evaluator& evaluator_;
  const PriceMeasuring& how_;
  double begin_;
  Times times_;
  Pass pass_;
  std::vector<int32_t> tokens_;
  Asks asks_;
  std::vector<Answer> answers_;
};

/// Mends times that were held up by those beside them: a time is at most that of more rows, and not
/// much more than that of fewer rows in proportion (somewhat more, as they may outgrow a cache).
std::vector<PricePoint> smooth(const Times& times, LowSamples SizeTimes::*what) {
  std::vector<PricePoint> points;
  for (const auto& [rows, size] : times) {
    if ((size.*what).count() > 0) points.push_back({rows, (size.*what).low()});
  }
  for (size_t i = points.size(); i-- > 1;) {
    points[i - 1].seconds = std::min(points[i - 1].seconds, points[i].seconds);
  }
  constexpr double kOutgrown = 1.25;
  double least_a_row = points.front().seconds;
  for (PricePoint& point : points) {
    point.seconds = std::min(point.seconds, kOutgrown * least_a_row * point.rows);
    least_a_row = std::min(least_a_row, point.seconds / point.rows);
  }
  return points;
}

}  // namespace

double steady_seconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

Prices measure_prices(Evaluator& evaluator, const PriceMeasuring& how) {
  const Times times = Measurement(evaluator, how).run();
  return {smooth(times, &SizeTimes::pass), smooth(times, &SizeTimes::answers)};
}

}  // namespace tidar
