#pragma once
// What decoding teaches about drafts, and is kept from text to text.

#include <algorithm>
#include <cstdint>

#include "decode/acceptance.h"

namespace tidar {

/// Where drafts do not pay, they are tried again now and then, for texts change. In tokens: tries
/// may cost a hundredth of what is decoded, and what they bring themselves.
class TryBudget {
 public:
  /// Worth of rows that are paid for, in tokens: they are carried whatever they cost.
  static constexpr double kPaidFor = 1e3;

  /// So many tokens were decoded.
  void earn(double tokens) { left_ += kShare * tokens; }
  /// A try brought so many.
  void refund(double tokens) { left_ += tokens; }
  /// Pays for a try, if it can. No more is ever saved than two of them cost.
  bool pay(double price) {
    left_ = std::min(left_, 2 * price);
    if (left_ < price) return false;
    left_ -= price;
    return true;
  }

 private:
  static constexpr double kShare = 0.01;
  double left_ = 0;
};

/// How TiDAR goes on best, were all drafts to be of one length.
struct Course {
  int masks = 1;     ///< of a group; 1: drafts do not pay
  double rate = 0;   ///< tokens of all sequences a second
  double worth = 0;  ///< of having a draft, in tokens
  // For which it was found.
  int longest_draft = 0;
  int64_t pass = 0;
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
