#pragma once
// Ctrl-C, as a question that a loop can ask, so that what is half done can be saved or shown.

namespace tidar {

/// While one lives, the first SIGINT and the first SIGTERM only set a flag; the second of either
/// ends the program as usual, in case the loop that should ask is stuck. At most one at a time.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  /// Whether the signal has come since this was made.
  bool requested() const;
};

}  // namespace tidar
