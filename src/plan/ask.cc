#include "plan/ask.h"

#include <cmath>
#include <utility>

#include "base/check.h"

namespace tidar {

namespace {

void check_range(const ChangeRange& range, size_t pool) {
  TIDAR_CHECK_GE(range.from, 0);
  TIDAR_CHECK_LE(range.from, range.to);
  TIDAR_CHECK_LE(static_cast<size_t>(range.to), pool);
}

}  // namespace

void Ask::check(int32_t rows, size_t changes_there, size_t sets_there) const {
  TIDAR_CHECK_GE(row, 0);
  TIDAR_CHECK_LT(row, rows);
  TIDAR_CHECK_GE(other_row, -1);
  TIDAR_CHECK_LT(other_row, rows);
  TIDAR_CHECK(kind != AskKind::logits || other_row < 0);
  TIDAR_CHECK(std::isfinite(trust));
  if (kind == AskKind::score) TIDAR_CHECK_GE(token, 0);
  TIDAR_CHECK_GE(top, 0);
  check_range(changes, changes_there);
  check_range(own_changes, changes_there);
  TIDAR_CHECK(allowed < 0 || static_cast<size_t>(allowed) < sets_there);
}

ChangeRange Asks::add_changes(std::span<const LogitChange> changes) {
  const auto from = static_cast<int32_t>(changes_.size());
  changes_.insert(changes_.end(), changes.begin(), changes.end());
  return {from, static_cast<int32_t>(changes_.size())};
}

int32_t Asks::add_allowed(std::shared_ptr<const TokenSet> tokens) {
  if (tokens == nullptr) return -1;
  allowed_.push_back(std::move(tokens));
  return static_cast<int32_t>(allowed_.size()) - 1;
}

size_t Asks::add(const Ask& ask) {
  asks_.push_back(ask);
  return asks_.size() - 1;
}

void Asks::append(const Asks& other) {
  const int32_t before = add_changes(other.changes_).from;
  const auto sets_before = static_cast<int32_t>(allowed_.size());
  allowed_.insert(allowed_.end(), other.allowed_.begin(), other.allowed_.end());
  for (Ask ask : other.asks_) {
    if (ask.allowed >= 0) ask.allowed += sets_before;
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
  allowed_.clear();
}

void Asks::begin_part_of(const Asks& other) {
  asks_.clear();
  changes_ = other.changes_;
  allowed_ = other.allowed_;
}

void Asks::check(int32_t rows) const {
  for (const Ask& ask : asks_) ask.check(rows, changes_.size(), allowed_.size());
}

}  // namespace tidar
