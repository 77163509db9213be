#pragma once
// What decoding teaches about drafts, and is kept from text to text.

#include <algorithm>
#include <cstdint>

#include "decode/acceptance.h"

namespace tidar {

/// Where drafts do not pay, they are tried again now and then, for texts change. In tokens: tries
/// may cost a share of what is decoded, a hundredth at most, and what they bring themselves. The
/// share becomes smaller with every try that is not worth its price, down to an eighth, and larger
/// with those that are; where a text begins it is a hundredth again.
class TryBudget {
 public:
  /// Worth of rows that are paid for, in tokens: they are carried whatever they cost.
  static constexpr double kPaidFor = 1e3;

  void begin_text() { share_ = kMost; }
  /// So many tokens were decoded.
  void earn(double tokens) { left_ += share_ * tokens; }
  /// Pays for a try, if it can. No more is ever saved than two of them cost.
  bool pay(double price) {
    left_ = std::min(left_, 2 * price);
    if (left_ < price) return false;
    left_ -= price;
    price_ = price;
    return true;
  }
  /// The try that was paid for last brought so many.
  void refund(double tokens) {
    left_ += tokens;
    share_ = tokens < price_ ? std::max(kLeast, kShrinks * share_) : std::min(kMost, 2 * share_);
  }

 private:
  static constexpr double kMost = 0.01, kLeast = kMost / 8, kShrinks = 0.7;
  double share_ = kMost;
  double left_ = 0;
  double price_ = 0;
};

/// How TiDAR goes on best, were all drafts to be of one length.
struct Course {
  int masks = 1;         ///< of a group; 1: drafts do not pay
  double rate = 0;       ///< tokens of all sequences a second
  double worth = 0;      ///< of having a draft, in tokens
  double try_price = 0;  ///< where drafts do not pay, what to try one costs, in tokens
  // For which it was found.
  int longest_draft = 0;
  int others_rows = 0;
  int64_t until = 0;  ///< pass from which on it is to be found anew
};

/// Of all sequences that share it; one thread decodes them. No token depends on it.
struct Experience {
  Acceptance acceptance;
  TryBudget tries;
  Course course;  ///< the last one found
  // Of guesses that are looked up in the text.
  PlaceChances looked_up;
  TryBudget lookup_tries;
};

}  // namespace tidar
