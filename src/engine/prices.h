#pragma once
// What a pass costs by its size, as data that can be printed, kept in a file and replayed.

#include <cstdint>
#include <vector>

namespace tidar {

/// The size of a pass, as far as its cost depends on it.
struct PassSize {
  int rows = 0;
  double asked = 0;  ///< rows whose logits are computed; expected
};

/// A measured pass, or the measured answers to a pass.
struct PricePoint {
  int rows = 0;  ///< of the pass, or asked
  double seconds = 0;
};

/// The cost of passes and that of the logits which they are asked for: straight lines between the
/// points, and beyond the last one as between the last two. More rows never cost less.
class Prices {
 public:
  Prices() = default;
  /// Of both at least one point, rows ascending from 1. `points` are passes that are asked nothing.
  Prices(std::vector<PricePoint> points, std::vector<PricePoint> asks);
  /// Of logits that cost the same each.
  Prices(std::vector<PricePoint> points, double ask_s);

  const std::vector<PricePoint>& points() const { return points_; }
  const std::vector<PricePoint>& asks() const { return asks_; }

  /// Seconds of a pass of at least one row.
  double seconds(const PassSize& size) const;

  /// A pass of this size took so long: prices follow slowly what passes really take, those of such
  /// sizes twice as fast as the others (which become dearer with the context, too, and with what
  /// else runs on the machine). A single pass moves them by a few per cent at most.
  void observe(const PassSize& size, double seconds);

 private:
  std::vector<PricePoint> points_, asks_;
};

}  // namespace tidar
