#pragma once
// Moments in 8 bits (Dettmers et al., "8-bit Optimizers via Block-wise Quantization", arXiv
// 2110.02861): blocks of numbers share a scale, their largest magnitude, and each number is the
// nearest of 256 dynamic values times that.
//
// The values of a dynamic map are 0, 1, and the middles of bins: of the seven decades below 1, the
// lowest is cut into 2 equal bins, the next one into 4 and so on to 128; with a sign into half as
// many on either side of 0. So numbers near the block's largest keep a percent, and those that are
// a million times smaller are still there.

#include <array>
#include <cstdint>
#include <span>

namespace tidar {

/// Numbers that share a scale, at most.
inline constexpr int64_t kMomentBlock = 256;

/// Which numbers a map has.
enum class CodeSign : uint8_t {
  either,    ///< above -1 and up to 1
  positive,  ///< 0 to 1; only 0 becomes 0: what divides a step must not vanish
};

/// One map, and how numbers find their codes. Immutable.
class DynamicCodes {
 public:
  explicit DynamicCodes(CodeSign sign);

  /// What codes stand for, ascending.
  const std::array<float, 256>& values() const { return values_; }

  /// Codes of a block of finite numbers; the value is their scale, 0 where all are 0. A number
  /// halfway between two values becomes the one nearer to 0.
  float encode(std::span<const float> numbers, uint8_t* codes) const;
  /// The numbers that codes stand for: value * scale.
  void decode(const uint8_t* codes, float scale, std::span<float> numbers) const;

 private:
  // Magnitudes are looked up by their exponent and this many bits behind it: so close together lie
  // the points of this grid that there is one border between values at most from one to the next.
  static constexpr int kFractionBits = 7;
  static constexpr int kOctaves = 25;  // 2^-25 lies below the lowest border

  int level_of(float magnitude) const;
  void set_levels(std::span<const double> levels);

  CodeSign sign_;
  std::array<float, 256> values_{};
  // Levels are the values that are not negative.
  std::array<float, 256> borders_{};  ///< between a level and the next one
  std::array<uint8_t, (kOctaves << kFractionBits) + 1> levels_of_grid_{};
};

}  // namespace tidar
