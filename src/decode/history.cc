#include "decode/history.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"

namespace tidar {

History::History(const Penalties& penalties, int32_t forbidden, std::span<const int32_t> prompt,
                 std::shared_ptr<const Constraint> constraint)
    : repetition_(penalties.repetition),
      presence_(penalties.presence),
      frequency_(penalties.frequency),
      counts_(penalties.count()),
      constraint_(std::move(constraint)) {
  for (const LogitChange& bias : penalties.bias) entry(bias.token).bias = bias.add;
  if (forbidden >= 0) entry(forbidden).bias = -std::numeric_limits<float>::infinity();
  if (repetition_ != 1)
    for (const int32_t token : prompt) entry(token).in_text = true;
  for (const auto& [token, seen] : seen_) changes_[seen.change] = change_of(token, seen);
}

void History::append(int32_t token) {
  if (constraint_ != nullptr) {
    constraint_ = constraint_->after(token);
    TIDAR_CHECK(constraint_ != nullptr);
  }
  if (!counts_) return;
  Seen& seen = entry(token);
  seen.in_text = true;
  ++seen.emitted;
  changes_[seen.change] = change_of(token, seen);
}

ChangeRange History::add_changes_after(std::span<const int32_t> tokens, Asks& asks) const {
  ChangeRange added = asks.add_changes({});
  if (!counts_) return added;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto before = tokens.first(i);
    if (std::find(before.begin(), before.end(), tokens[i]) != before.end()) continue;
    const auto known = seen_.find(tokens[i]);
    Seen seen = known == seen_.end() ? Seen{} : known->second;
    seen.in_text = true;
    seen.emitted += static_cast<int32_t>(std::count(tokens.begin(), tokens.end(), tokens[i]));
    const LogitChange change = change_of(tokens[i], seen);
    added.to = asks.add_changes({&change, 1}).to;
  }
  return added;
}

int32_t History::add_allowed_after(std::span<const int32_t> tokens, Asks& asks) const {
  std::shared_ptr<const Constraint> constraint = constraint_;
  if (constraint == nullptr) return -1;
  for (const int32_t token : tokens) {
    constraint = constraint->after(token);
    TIDAR_CHECK(constraint != nullptr);
  }
  return asks.add_allowed(constraint->allowed());
}

size_t History::count_allowed(std::span<const int32_t> tokens) const {
  if (constraint_ == nullptr) return tokens.size();
  size_t count = 0;
  auto constraint = constraint_;
  while (count < tokens.size()) {
    constraint = constraint->after(tokens[count]);
    if (constraint == nullptr) break;
    ++count;
  }
  return count;
}

History::Seen& History::entry(int32_t token) {
  const auto [place, is_new] = seen_.try_emplace(token);
  if (is_new) {
    place->second.change = changes_.size();
    changes_.push_back({.token = token, .scale = 1, .add = 0});
  }
  return place->second;
}

LogitChange History::change_of(int32_t token, const Seen& seen) const {
  LogitChange change{.token = token, .scale = seen.in_text ? repetition_ : 1, .add = seen.bias};
  if (seen.emitted > 0) change.add -= presence_ + frequency_ * static_cast<float>(seen.emitted);
  return change;
}

}  // namespace tidar
