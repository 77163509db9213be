#include "plan/pass.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace tidar {

void Pass::begin_sequence() {
  PassSequence& sequence = sequences.emplace_back();
  sequence.first_row = rows();
  if (!spare_pages_.empty()) {
    sequence.pages = std::move(spare_pages_.back());
    spare_pages_.pop_back();
  }
  next_pages_.clear();
}

void Pass::begin_sequence(const SequenceCache& cache) {
  begin_sequence();
  PassSequence& sequence = sequences.back();
  sequence.cached = cache.length();
  const auto held = static_cast<size_t>(pages_for(cache.length()));
  const auto pages = cache.pages();
  sequence.pages.assign(pages.begin(), pages.begin() + static_cast<std::ptrdiff_t>(held));
  next_pages_.assign(pages.rbegin(), pages.rend() - static_cast<std::ptrdiff_t>(held));
  if (cache.pending()) moves.push_back(*cache.pending());
}

int32_t Pass::add_row(int32_t token, int32_t position, const Sight& sight, Keep keep) {
  TIDAR_CHECK(!sequences.empty());
  PassSequence& sequence = sequences.back();
  if (keep == Keep::page) {
    TIDAR_CHECK_EQ(sequence.stored, sequence.rows);
    const auto page = static_cast<size_t>((sequence.cached + sequence.stored) / kPageSlots);
    if (page == sequence.pages.size()) {
      TIDAR_CHECK(!next_pages_.empty());
      sequence.pages.push_back(next_pages_.back());
      next_pages_.pop_back();
    }
    ++sequence.stored;
  }
  ++sequence.rows;
  tokens.push_back(token);
  positions.push_back(position);
  sights.push_back(sight);
  keeps.push_back(keep);
  return rows() - 1;
}

void Pass::clear() {
  for (PassSequence& sequence : sequences) {
    sequence.pages.clear();
    spare_pages_.push_back(std::move(sequence.pages));
  }
  sequences.clear();
  tokens.clear();
  positions.clear();
  sights.clear();
  keeps.clear();
  moves.clear();
  asks.clear();
  next_pages_.clear();
}

int32_t Pass::next_key() const {
  TIDAR_CHECK(!sequences.empty());
  return sequences.back().keys();
}

namespace {

void check_sight(const Sight& sight, int32_t keys) {
  const auto& [prefix, block] = sight;
  TIDAR_CHECK_GE(prefix.from, 0);
  TIDAR_CHECK_LE(prefix.from, prefix.to);
  TIDAR_CHECK_LE(prefix.to, keys);
  TIDAR_CHECK_GE(block.from, 0);
  TIDAR_CHECK_LE(block.from, block.to);
  TIDAR_CHECK_LE(block.to, keys);
  TIDAR_CHECK_LT(0, prefix.size() + block.size());
  if (prefix.size() > 0 && block.size() > 0) TIDAR_CHECK_LE(prefix.to, block.from);
}

void check_sequence(const Pass& pass, const PassSequence& sequence) {
  TIDAR_CHECK_GE(sequence.cached, 0);
  TIDAR_CHECK_GE(sequence.stored, 0);
  TIDAR_CHECK_LE(sequence.stored, sequence.rows);
  TIDAR_CHECK_EQ(static_cast<int>(sequence.pages.size()),
                 pages_for(sequence.cached + sequence.stored));
  for (int32_t i = 0; i < sequence.rows; ++i) {
    const int32_t index = sequence.first_row + i;
    const auto row = static_cast<size_t>(index);
    check_sight(pass.sights[row], sequence.keys());
    TIDAR_CHECK_EQ(pass.keeps[row] == Keep::page, i < sequence.stored);
    TIDAR_CHECK_GE(pass.positions[row], 0);
    TIDAR_CHECK_GE(pass.tokens[row], 0);
  }
}

// The sequence that holds the page of a slot; nullptr: none of the pass.
const PassSequence* holder_of(const Pass& pass, Slot slot) {
  for (const PassSequence& sequence : pass.sequences)
    if (std::ranges::find(sequence.pages, slot / kPageSlots) != sequence.pages.end())
      return &sequence;
  return nullptr;
}

void check_move(const Pass& pass, const SlotMove& move) {
  TIDAR_CHECK_GE(move.from, 0);
  TIDAR_CHECK_GE(move.to, 0);
  const PassSequence* const sequence = holder_of(pass, move.to);
  TIDAR_CHECK(sequence != nullptr && "moved to a page of the pass");
  const auto page = std::ranges::find(sequence->pages, move.to / kPageSlots);
  const auto key = (page - sequence->pages.begin()) * kPageSlots + move.to % kPageSlots;
  TIDAR_CHECK_LT(key, sequence->cached);
  const PassSequence* const source = holder_of(pass, move.from);
  TIDAR_CHECK((source == nullptr || source == sequence) && "moved within a sequence");
  const auto meets = [&](const SlotMove& other) {
    return other.from == move.to || (&other != &move && other.to == move.to);
  };
  TIDAR_CHECK(std::ranges::none_of(pass.moves, meets) && "moved from and to, or twice to a slot");
}

}  // namespace

void Pass::check() const {
  TIDAR_CHECK_EQ(positions.size(), tokens.size());
  TIDAR_CHECK_EQ(sights.size(), tokens.size());
  TIDAR_CHECK_EQ(keeps.size(), tokens.size());
  int32_t next_row = 0;
  for (const PassSequence& sequence : sequences) {
    TIDAR_CHECK_EQ(sequence.first_row, next_row);
    next_row += sequence.rows;
    TIDAR_CHECK_LE(next_row, rows());
    check_sequence(*this, sequence);
  }
  TIDAR_CHECK_EQ(next_row, rows());
  for (const SlotMove& move : moves) check_move(*this, move);
  asks.check(rows());
}

}  // namespace tidar
