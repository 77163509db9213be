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
  int drafter_passes = 0;      ///< of a second model
  int rows = 0;                ///< of the pass
  int masks = 0;               ///< of these, those of groups, for the draft that comes next
  int used_masks = 0;          ///< of these, those that the draft is made of
  bool guessed_right = false;  ///< a guessed group brought a token
  double prefill_s = 0;        ///< of steps while the prompt is read, or the text again
  double decode_s = 0;         ///< of steps after those
};

/// How the guesses at one place of a draft fared.
struct DraftPlace {
  int64_t drafted = 0;   ///< decoding passes that verified a guess at this place
  int64_t accepted = 0;  ///< of these, those in which it and all guesses before it were right
  friend bool operator==(const DraftPlace&, const DraftPlace&) = default;
};

/// `part` of `whole`; 0 where there is nothing.
inline double share_of(int64_t part, int64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

/// The sum over a request's steps, or over requests.
struct RequestStats {
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;  ///< of these, those whose keys other requests had left
  int64_t new_tokens = 0;
  int64_t passes = 0;              ///< decoding passes
  int64_t decoded = 0;             ///< new tokens that decoding passes brought
  std::vector<int64_t> accepted;   ///< accepted[a]: decoding passes that brought a tokens
  std::vector<DraftPlace> places;  ///< places[i]: the guess i + 1 places behind a certain token
  int64_t drafter_passes = 0;
  // Of decoding passes.
  int64_t rows = 0;
  int64_t masks = 0;          ///< of groups, for the draft that comes next
  int64_t used_masks = 0;     ///< those that a draft was made of
  int64_t used_groups = 0;    ///< passes whose next draft came from one of their groups
  int64_t guessed_right = 0;  ///< passes in which a guessed group brought a token
  double waiting_s = 0;       ///< from submit() to the first step, or to the end if there was none
  double prefill_s = 0;
  double decode_s = 0;

  /// Adds what a step, with at most one decoding pass, brought.
  void add(const StepStats& step);
  /// Adds what another request cost and brought.
  void add(const RequestStats& other);

  double tokens_per_pass() const { return share_of(decoded, passes); }
  double rows_per_pass() const { return share_of(rows, passes); }
  /// The share of rows that brought a token.
  double yield() const { return share_of(decoded, rows); }
  /// The share of passes whose next draft came from one of their groups.
  double groups_used() const { return share_of(used_groups, passes); }
  /// The share of masks that no draft came from.
  double masks_wasted() const { return share_of(masks - used_masks, masks); }
  /// Guesses, at all places.
  DraftPlace guesses() const;
};

/// What an engine did, all of its requests together.
struct EngineStats {
  int64_t passes = 0;
  int64_t rows = 0;            ///< of all passes
  double pass_s = 0;           ///< that they took
  int64_t prefix_queries = 0;  ///< tokens of prompts whose keys were looked for
  int64_t prefix_hits = 0;     ///< of these, those whose keys were found
  int64_t preemptions = 0;     ///< requests that gave their pages back to go on later
};

}  // namespace tidar
