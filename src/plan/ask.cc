#include "plan/ask.h"

#include <cmath>

#include "base/check.h"

namespace tidar {

namespace {

void check_range(const ChangeRange& range, size_t pool) {
  TIDAR_CHECK_GE(range.from, 0);
  TIDAR_CHECK_LE(range.from, range.to);
  TIDAR_CHECK_LE(static_cast<size_t>(range.to), pool);
}

}  // namespace

void Ask::check(int32_t rows, size_t pool) const {
  TIDAR_CHECK_GE(row, 0);
  TIDAR_CHECK_LT(row, rows);
  TIDAR_CHECK_GE(other_row, -1);
  TIDAR_CHECK_LT(other_row, rows);
  TIDAR_CHECK(kind != AskKind::logits || other_row < 0);
  TIDAR_CHECK(std::isfinite(trust));
  if (kind == AskKind::score) TIDAR_CHECK_GE(token, 0);
  TIDAR_CHECK_GE(top, 0);
  check_range(changes, pool);
  check_range(own_changes, pool);
}

ChangeRange Asks::add_changes(std::span<const LogitChange> changes) {
  const auto from = static_cast<int32_t>(changes_.size());
  changes_.insert(changes_.end(), changes.begin(), changes.end());
  return {from, static_cast<int32_t>(changes_.size())};
}

size_t Asks::add(const Ask& ask) {
  asks_.push_back(ask);
  return asks_.size() - 1;
}

void Asks::append(const Asks& other) {
  const int32_t before = add_changes(other.changes_).from;
  for (Ask ask : other.asks_) {
    for (ChangeRange* range : {&ask.changes, &ask.own_changes}) {
      range->from += before;
      range->to += before;
    }
    add(ask);
  }
}

void Asks::clear() {
  asks_.clear();
  changes_.clear();
}

void Asks::check(int32_t rows) const {
  for (const Ask& ask : asks_) ask.check(rows, changes_.size());
}

}  // namespace tidar
