#pragma once
// Finds stop strings in a stream of text, and holds back what could be the beginning of one.

#include <string>
#include <string_view>
#include <vector>

namespace tidar {

/// What has been released is never taken back, and never holds any part of a stop string. The
/// outcome does not depend on how the text is cut into pieces: the stop string that is complete
/// first ends the text, and of several that are complete at the same character the longest.
class StopStrings {
 public:
  /// No string may be empty.
  explicit StopStrings(std::vector<std::string> strings);

  /// Adds text and returns what may be shown now. Nothing after a stop string.
  std::string push(std::string_view piece);
  /// What was held back, when no more text comes. Nothing after a stop string.
  std::string finish();

  /// Whether a stop string has been found.
  bool found() const { return found_; }

 private:
  std::vector<std::string> strings_;
  std::string held_;
  bool found_ = false;
};

}  // namespace tidar
