#pragma once
// What requests cost and bring: of a step, and of all of them.

#include <cstdint>
#include <vector>

namespace tidar {

/// What a request's steps cost and brought. Tokens that a pass committed but that were cut from the
/// output (behind an end-of-text token, a stop string or the length limit) are not counted.
struct StepStats {
  int tokens = 0;         ///< new ones
  bool decoding = false;  ///< a decoding pass brought them, not one that read the prompt
  /// Guesses that the pass verified, and how many of them were right, from the first on; those
  /// behind the end of the output included.
  int drafted = 0, accepted = 0;
  int drafter_passes = 0;  ///< of a second model
  double prefill_s = 0;    ///< of steps while the prompt is read
  double decode_s = 0;     ///< of steps after those
};

/// How the guesses at one place of a draft fared.
struct DraftPlace {
  int64_t drafted = 0;   ///< decoding passes that verified a guess at this place
  int64_t accepted = 0;  ///< of these, those in which it and all guesses before it were right
  friend bool operator==(const DraftPlace&, const DraftPlace&) = default;
};

/// The sum over a request's steps.
struct RequestStats {
  int64_t prompt_tokens = 0;
  int64_t new_tokens = 0;
  int64_t passes = 0;              ///< decoding passes
  int64_t decoded = 0;             ///< new tokens that decoding passes brought
  std::vector<int64_t> accepted;   ///< accepted[a]: decoding passes that brought a tokens
  std::vector<DraftPlace> places;  ///< places[i]: the guess i + 1 places behind a certain token
  int64_t drafter_passes = 0;
  double waiting_s = 0;  ///< from submit() to the first step
  double prefill_s = 0;
  double decode_s = 0;

  /// Adds what a step, with at most one decoding pass, brought.
  void add(const StepStats& step);

  double tokens_per_pass() const {
    return passes == 0 ? 0 : static_cast<double>(decoded) / static_cast<double>(passes);
  }
};

}  // namespace tidar
