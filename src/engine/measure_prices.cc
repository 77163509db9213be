#include "engine/measure_prices.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
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
/// Of the passes that many keys are shown. Attention to them is a fair share of these.
constexpr int kKeyRows = 16;
/// Larger passes read prompts, and ask little.
constexpr int kMostAsked = 64;
constexpr int kMostSamples = 9;
/// Of the budget, for the first pass of one size.
constexpr double kMostOfBudget = 0.5;
/// A small model may lie in caches near the cores, from which passes of other sizes drive it out.
/// While texts are decoded passes follow others of about their size. So before a pass is timed, it
/// is made until so much of the budget has gone by, but so many times at most.
constexpr double kWarmingOfBudget = 1e-3;
constexpr int kMostWarming = 8;

/// Others who compute on the machine only ever add to the time, and on a busy one to nearly every
/// time: so the least counts.
class Samples {
 public:
  void add(double value) {
    least_ = std::min(least_, value);
    most_ = std::max(most_, value);
    ++count_;
  }
  size_t count() const { return count_; }
  double least() const { return least_; }
  double most() const { return most_; }

 private:
  double least_ = std::numeric_limits<double>::infinity(), most_ = 0;
  size_t count_ = 0;
};

/// What passes of one size took.
struct SizeTimes {
  Samples pass, answers;
  double most() const { return pass.most() + (answers.count() > 0 ? answers.most() : 0); }
};

using Times = std::map<int, SizeTimes>;  // by rows

class Measurement {
 public:
  Measurement(Evaluator& evaluator, const PriceMeasuring& how)
      : evaluator_(evaluator), how_(how), begin_(how.now()) {}

  void run() {
    TIDAR_CHECK(possible(1));
    sample(1);
    // It brought weights and keys in, and may have taken several times as long as any other.
    if (how_.now() - begin_ < kMostOfBudget * how_.budget_s) {
      times_.clear();
      sample(1);
    }
    for (size_t round = 1; round <= kMostSamples; ++round) {
      for (const int rows : kSizes) {
        if (possible(rows) && samples_of(rows) < round && affordable(rows)) sample(rows);
        if (rows == kKeyRows) show_many_keys(round);
      }
    }
  }
  const Times& times() const { return times_; }

  KeyPrice key_price() const {
    KeyPrice price{.cached = keys_of(how_.cache)};
    const auto found = times_.find(kKeyRows);
    if (behind_many_.count() == 0 || found == times_.end()) return price;
    const double more_s = behind_many_.least() - found->second.pass.least();
    const int more_keys = keys_of(how_.many_keys) - price.cached;
    price.seconds = std::max(0.0, more_s / (double{kKeyRows} * more_keys));
    return price;
  }

 private:
  static int keys_of(const SequenceCache* cache) { return cache == nullptr ? 0 : cache->length(); }
  int cached() const { return keys_of(how_.cache); }

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

  /// Times a pass behind many keys, once a round. The first one also brings their memory in.
  void show_many_keys(size_t round) {
    const int keys = keys_of(how_.many_keys);
    const EvaluatorLimits& limits = evaluator_.limits();
    if (keys <= cached() || kKeyRows > limits.max_rows) return;
    if (keys + kKeyRows > limits.max_position || behind_many_.count() >= round) return;
    if (behind_many_.count() == 0) {
      if (!affordable(3 * kKeyRows)) return;
      evaluate(1, how_.many_keys);
    }
    if (affordable(2 * kKeyRows)) behind_many_.add(evaluate(kKeyRows, how_.many_keys));
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

  /// Seconds of a pass that is asked nothing.
  double evaluate(int rows, const SequenceCache* cache) {
    pass_.clear();
    cache == nullptr ? pass_.begin_sequence() : pass_.begin_sequence(*cache);
    tokens_.clear();
    for (int i = 0; i < rows; ++i) tokens_.push_back(i % evaluator_.limits().vocabulary);
    add_causal(pass_, tokens_, Keep::scratch);
    const double begin = how_.now();
    evaluator_.evaluate(pass_, {});
    return how_.now() - begin;
  }

  void sample(int rows) {
    SizeTimes& times = times_[rows];
    const double enough_s = kWarmingOfBudget * how_.budget_s;
    double warming_s = times.pass.count() == 0 ? enough_s : times.most();
    for (int i = 0; i < kMostWarming && warming_s < enough_s; ++i) {
      const Seconds warming = evaluate_and_answer(rows);
      warming_s += warming.pass + warming.answers;
    }
    const auto [pass_s, answers_s] = evaluate_and_answer(rows);
    times.pass.add(pass_s);
    if (rows <= kMostAsked) times.answers.add(answers_s);
  }

  struct Seconds {
    double pass = 0, answers = 0;
  };
  Seconds evaluate_and_answer(int rows) {
    Seconds seconds{.pass = evaluate(rows, how_.cache)};
    if (rows > kMostAsked) return seconds;
    asks_.clear();
    for (int i = 0; i < rows; ++i) asks_.add({.row = i, .draw = static_cast<uint64_t>(i)});
    answers_.resize(asks_.size());
    const double begin = how_.now();
    evaluator_.answer(asks_, answers_);
    seconds.answers = how_.now() - begin;
    return seconds;
  }

  Evaluator& evaluator_;
  const PriceMeasuring& how_;
  double begin_;
  Times times_;
  Samples behind_many_;  // passes of kKeyRows rows
  Pass pass_;
  std::vector<int32_t> tokens_;
  Asks asks_;
  std::vector<Answer> answers_;
};

/// Mends times that were held up by those beside them: a time is at most that of more rows, and not
/// much more than that of fewer rows in proportion (somewhat more, as they may outgrow a cache).
std::vector<PricePoint> smooth(const Times& times, Samples SizeTimes::*what) {
  std::vector<PricePoint> points;
  for (const auto& [rows, size] : times) {
    if ((size.*what).count() > 0) points.push_back({rows, (size.*what).least()});
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
  Measurement measurement(evaluator, how);
  measurement.run();
  const Times& times = measurement.times();
  return {smooth(times, &SizeTimes::pass), smooth(times, &SizeTimes::answers),
          measurement.key_price()};
}

}  // namespace tidar
