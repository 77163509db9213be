#pragma once
// What a pass costs by its size, as data that can be printed, kept in a file and replayed.

#include <cstdint>
#include <optional>
#include <vector>

namespace tidar {

/// The size of a pass, or of a part of it, as far as its cost depends on it. Expected numbers may
/// be fractions.
struct PassSize {
  int rows = 0;
  double asked = 0;         ///< rows whose logits are computed with the pass
  double asked_later = 0;   ///< and once those have been answered (Evaluator::answer)
  double askers_later = 0;  ///< whose these are; below 1: the chance that there is anything to ask
  double seen_keys = 0;     ///< cached keys that its rows see, summed over the rows

  /// The same behind so many cached keys, all of which each of its rows sees.
  PassSize behind(int keys) const {
    PassSize size = *this;
    size.seen_keys += static_cast<double>(rows) * keys;
    return size;
  }
  PassSize& operator+=(const PassSize& more) {
    rows += more.rows;
    asked += more.asked;
    asked_later += more.asked_later;
    askers_later += more.askers_later;
    seen_keys += more.seen_keys;
    return *this;
  }
  friend PassSize operator+(PassSize a, const PassSize& b) { return a += b; }
};

/// What a pass cost, all of its sequences together.
struct PassCost {
  PassSize size;
  std::optional<double> expected_s;  ///< by the prices before the pass; nullopt: there are none
  double seconds = 0;                ///< that it took
};

/// A measured pass, or the measured answers to a pass.
struct PricePoint {
  int rows = 0;  ///< of the pass, or asked
  double seconds = 0;
};

/// What a cached key costs: passes were measured behind `cached` keys, and one more takes so many
/// seconds for each row that sees it.
struct KeyPrice {
  int cached = 0;
  double seconds = 0;
};

/// The cost of passes and that of the logits which they are asked for: straight lines between the
/// points, and beyond the last one as between the last two; below one row, and where there is one
/// point only, in proportion. More rows never cost less. To them comes what the rows see more or
/// less than the keys behind which passes were measured.
class Prices {
 public:
  Prices() = default;  ///< of nothing: to be assigned before it is asked
  /// Of both at least one point, rows ascending from 1. `points` are passes that are asked nothing.
  Prices(std::vector<PricePoint> points, std::vector<PricePoint> asks, KeyPrice key = {});
  /// Of logits that cost the same each.
  Prices(std::vector<PricePoint> points, double ask_s);

  const std::vector<PricePoint>& points() const { return passes_.points; }
  const std::vector<PricePoint>& asks() const { return asks_.points; }
  const KeyPrice& key() const { return key_; }

  /// Seconds of a pass of at least one row.
  double seconds(const PassSize& size) const;

  /// A pass of this size took so long: prices follow slowly what passes really take. What lasts
  /// (other work on the machine) moves all of them alike, so that sizes which are not carried now
  /// do not look cheap; those of such sizes move further where they are off more than others are. A
  /// single pass moves them by a few per cent at most.
  void observe(const PassSize& size, double seconds);

 private:
  struct Curve {
    std::vector<PricePoint> points;
    std::vector<uint32_t> lines;  // [rows]: the point where the line of so many begins

    explicit Curve(std::vector<PricePoint> points_ = {});
    double seconds(double rows) const;
    size_t line_of(double rows) const;
    void scale(double rows, double all, double near);
  };

  Curve passes_, asks_;
  KeyPrice key_;
  double drift_ = 0;  // by how much passes took longer than expected of late, as a share
};

/// `kept` as a later and perhaps smaller measurement, `checked`, finds it: each point at the lower
/// of two prices where `checked` has one of that size, and the others lowered by the median share
/// by which those were, none above what more rows cost; a key at the lower of its prices, if
/// `checked` has one behind as many cached keys. Programs that run beside a measurement only ever
/// add to it, and what keeps one size from its speed mostly keeps all of them from it.
Prices lowered(const Prices& kept, const Prices& checked);

}  // namespace tidar
