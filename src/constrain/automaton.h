#pragma once
// A grammar that is followed byte by byte, all its readings at once, as far as texts have come: a
// state is a set of readings, each a node and the calls that it stands in. States are numbered as
// they are met, and what leads from one to the next is looked up once.
//
// What would grow without end is bounded. A text that can be read in more than kMostReadings ways
// so far, or by more than kMostCalls calls behind one byte, goes on with that many of them, which
// allows less, but never what the grammar does not allow: each reading that is kept can be
// completed. And a table of states that is full gives way to a new one.

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "constrain/grammar.h"

namespace tidar {

/// Not thread-safe. The grammar must outlive it.
class Automaton {
 public:
  static constexpr size_t kMostReadings = 256;
  static constexpr size_t kMostCalls = 32;

  /// A state; only of this automaton.
  using State = int32_t;
  static constexpr State kDead = 0;  ///< nothing leads on from it, and no text ends in it

  explicit Automaton(const Grammar& grammar);

  State begin() const { return begin_; }
  /// The state behind a byte.
  State next(State state, uint8_t byte) {
    const State known = next_[static_cast<size_t>(state) * 256 + byte];
    return known >= 0 ? known : find_next(state, byte);
  }
  /// Whether a text may end here.
  bool may_end(State state) const { return states_[static_cast<size_t>(state)].may_end; }

  /// Whether so many states and calls were met that another automaton should go on.
  bool full() const { return states_.size() > kMostStates || frames_.size() > kMostFrames; }

  /// The state of `other`, an automaton of the same grammar, here.
  State adopt(const Automaton& other, State state);

 private:
  static constexpr size_t kMostStates = 4096;
  static constexpr size_t kMostFrames = 65536;

  using FrameId = int32_t;
  static constexpr FrameId kOutermost = 0;
  /// A call under way.
  struct Frame {
    NodeId after = 0;    // where it returns to
    FrameId caller = 0;  // the call that it was made in
    int32_t depth = 0;   // calls around its body
  };
  struct Reading {
    NodeId node = 0;  // it has bytes
    FrameId frame = kOutermost;
    friend bool operator==(const Reading&, const Reading&) = default;
  };
  struct StateEntry {
    size_t from = 0, to = 0;  // of readings_
    bool may_end = false;
  };

  std::span<const Reading> readings(State state) const {
    const StateEntry& entry = states_[static_cast<size_t>(state)];
    return std::span(readings_).subspan(entry.from, entry.to - entry.from);
  }
  State find_next(State state, uint8_t byte);
  /// The state of all that can be reached from `reached_` without a byte; empties it.
  State close();
  void reach(Reading reading);
  void call(const Grammar::Call& call, FrameId caller);
  FrameId frame_of(const Frame& frame);
  /// An order that says nothing of when calls were met: which readings are kept never depends on
  /// that.
  bool stands_before(const Reading& a, const Reading& b) const;
  FrameId adopt_frame(const Automaton& other, FrameId frame);
  State state_of(std::vector<Reading> found, bool may_end);

  const Grammar& grammar_;
  State begin_ = kDead;

  std::vector<StateEntry> states_;
  std::vector<Reading> readings_;  // of all states, each state's in order
  std::vector<State> next_;        // [states, 256]; -1: not looked up yet
  std::unordered_multimap<size_t, State> states_by_hash_;
  std::vector<Frame> frames_;
  std::unordered_map<uint64_t, FrameId> frames_by_call_;  // (after, caller)

  // Of a search under way.
  std::vector<Reading> reached_;
  std::unordered_set<uint64_t> seen_;
  std::vector<FrameId> called_;  // at most kMostCalls
};

}  // namespace tidar
