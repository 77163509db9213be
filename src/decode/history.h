#pragma once
// What a text says about the tokens that follow it: penalties, biases and the forbidden mask token,
// as the changes that an Ask names, and the constraint, as the tokens that it allows.

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "decode/decoder.h"

namespace tidar {

/// What holds after a prompt and the output so far. A change depends on the text alone,
/// not on the order of calls that told of it, so every method gets bitwise the same ones.
class History {
 public:
  /// `forbidden` is a token that is never chosen, or -1; `constraint` that of the output, or
  /// nullptr.
  History(const Penalties& penalties, int32_t forbidden, std::span<const int32_t> prompt,
          std::shared_ptr<const Constraint> constraint = nullptr);

  /// Whether the changes depend on the output. What is allowed does wherever there is a constraint.
  bool counts() const { return counts_; }

  /// Tells that `token`, which is allowed, was added to the output.
  void append(int32_t token);

  /// Adds the changes to the pool of `asks`, one a token at most: for Ask::changes.
  ChangeRange add_changes(Asks& asks) const { return asks.add_changes(changes_); }

  /// Adds those changes that would be others, had `tokens` been added to the output: for
  /// Ask::own_changes.
  ChangeRange add_changes_after(std::span<const int32_t> tokens, Asks& asks) const;

  /// What the next token and those behind it are held to; nullptr: nothing.
  const std::shared_ptr<const Constraint>& constraint() const { return constraint_; }

  /// Adds the set of tokens that are allowed next: for Ask::allowed.
  int32_t add_allowed(Asks& asks) const { return add_allowed_after({}, asks); }
  /// Adds those that are, had `tokens`, which are allowed, been added to the output.
  int32_t add_allowed_after(std::span<const int32_t> tokens, Asks& asks) const;
  /// How many of `tokens`, from the first on, may follow the output.
  size_t count_allowed(std::span<const int32_t> tokens) const;

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
  std::shared_ptr<const Constraint> constraint_;
};

}  // namespace tidar
