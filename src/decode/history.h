#pragma once
// What a text says about the tokens that follow it: penalties, biases and the forbidden mask token,
// as the changes that an Ask names.

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "decode/decoder.h"

namespace tidar {

/// The changes that hold after a prompt and the output so far. A change depends on the text alone,
/// not on the order of calls that told of it, so every method gets bitwise the same ones.
class History {
 public:
  /// `forbidden` is a token that is never chosen, or -1.
  History(const Penalties& penalties, int32_t forbidden, std::span<const int32_t> prompt);

  /// Whether the changes depend on the output.
  bool counts() const { return counts_; }

  /// Tells that `token` was added to the output.
  void append(int32_t token);

  /// Adds the changes to the pool of `asks`, one a token at most: for Ask::changes.
  ChangeRange add_changes(Asks& asks) const { return asks.add_changes(changes_); }

  /// Adds those changes that would be others, had `tokens` been added to the output: for
  /// Ask::own_changes.
  ChangeRange add_changes_after(std::span<const int32_t> tokens, Asks& asks) const;

 private:
  struct Seen {
    float bias = 0;
    int32_t emitted = 0;   // times in the output
    bool in_text = false;  // in prompt or output
    size_t change = 0;     // index in changes_
  };

  Seen& entry(int32_t token);
  LogitChange change_of(int32_t token, const Seen& seen) const;

  float repetition_, presence_, frequency_;
  bool counts_;
  std::unordered_map<int32_t, Seen> seen_;
  std::vector<LogitChange> changes_;
};

}  // namespace tidar
