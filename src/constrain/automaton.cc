#include "constrain/automaton.h"

#include <algorithm>
#include <utility>

namespace tidar {
namespace {

/// Nodes that a search looks at beside those that it finds: where there are more, some readings are
/// not found.
constexpr size_t kMostSeen = 16'384;

uint64_t joined(int32_t high, int32_t low) {
  return uint64_t{static_cast<uint32_t>(high)} << 32 | static_cast<uint32_t>(low);
}

}  // namespace

Automaton::Automaton(const Grammar& grammar) : grammar_(grammar), frames_(1) {
  state_of({}, false);  // kDead
  reach({grammar.begin(), kOutermost});
  begin_ = close();
}

Automaton::State Automaton::find_next(State state, uint8_t byte) {
  // By index: what is reached may add readings.
  const StateEntry entry = states_[static_cast<size_t>(state)];
  for (size_t i = entry.from; i < entry.to; ++i) {
    for (const auto& edge : grammar_.node(readings_[i].node).bytes) {
      if (edge.from <= byte && byte <= edge.to) reach({edge.target, readings_[i].frame});
    }
  }
  const State next = close();
  next_[static_cast<size_t>(state) * 256 + byte] = next;
  return next;
}

// A reading that could not be completed within the depth of calls that there may be is none.
void Automaton::reach(Reading reading) {
  const int depth = frames_[static_cast<size_t>(reading.frame)].depth;
  if (depth + grammar_.node(reading.node).height > kDeepestCalls) return;
  if (seen_.size() >= kMostSeen) return;
  if (seen_.insert(joined(reading.node, reading.frame)).second) reached_.push_back(reading);
}

void Automaton::call(const Grammar::Call& call, FrameId caller) {
  const int depth = frames_[static_cast<size_t>(caller)].depth + 1;
  // Where the caller could not be completed behind it, the call leads nowhere either.
  const NodeId begin = grammar_.begin_of(call.rule);
  const int inside = depth + grammar_.node(begin).height;
  const int behind = depth - 1 + grammar_.node(call.after).height;
  if (std::max(inside, behind) > kDeepestCalls) return;
  const FrameId frame = frame_of({call.after, caller, depth});
  if (std::find(called_.begin(), called_.end(), frame) == called_.end()) {
    if (called_.size() == kMostCalls) return;
    called_.push_back(frame);
  }
  reach({begin, frame});
}

Automaton::State Automaton::close() {
  std::vector<Reading> found;
  bool may_end = false;
  for (size_t read = 0; read < reached_.size();) {  // it grows meanwhile
    const Reading reading = reached_[read++];
    const Grammar::Node& node = grammar_.node(reading.node);
    if (!node.bytes.empty() && found.size() < kMostReadings) found.push_back(reading);
    if (node.ends_rule && reading.frame == kOutermost) may_end = true;
    if (node.ends_rule && reading.frame != kOutermost) {
      const Frame& frame = frames_[static_cast<size_t>(reading.frame)];
      reach({frame.after, frame.caller});
    }
    for (const NodeId next : node.jumps) reach({next, reading.frame});
    for (const Grammar::Call& next : node.calls) call(next, reading.frame);
  }
  reached_.clear();
  seen_.clear();
  called_.clear();
  return state_of(std::move(found), may_end);
}

Automaton::FrameId Automaton::frame_of(const Frame& frame) {
  const auto [known, is_new] = frames_by_call_.try_emplace(joined(frame.after, frame.caller),
                                                           static_cast<FrameId>(frames_.size()));
  if (is_new) frames_.push_back(frame);
  return known->second;
}

bool Automaton::stands_before(const Reading& a, const Reading& b) const {
  if (a.node != b.node) return a.node < b.node;
  FrameId one = a.frame, other = b.frame;
  while (one != other && one != kOutermost && other != kOutermost) {
    const Frame &first = frames_[static_cast<size_t>(one)],
                &second = frames_[static_cast<size_t>(other)];
    if (first.after != second.after) return first.after < second.after;
    one = first.caller;
    other = second.caller;
  }
  return one == kOutermost && other != kOutermost;
}

Automaton::State Automaton::state_of(std::vector<Reading> found, bool may_end) {
  std::sort(found.begin(), found.end(),
            [this](const Reading& a, const Reading& b) { return stands_before(a, b); });
  size_t hash = may_end ? 1 : 0;
  for (const Reading& reading : found) {
    hash = (hash ^ joined(reading.node, reading.frame)) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 29;
  }
  const auto [begin, end] = states_by_hash_.equal_range(hash);
  for (auto known = begin; known != end; ++known) {
    const bool same = states_[static_cast<size_t>(known->second)].may_end == may_end &&
                      std::ranges::equal(readings(known->second), found);
    if (same) return known->second;
  }
  const auto state = static_cast<State>(states_.size());
  states_.push_back({readings_.size(), readings_.size() + found.size(), may_end});
  readings_.insert(readings_.end(), found.begin(), found.end());
  next_.resize(next_.size() + 256, -1);
  states_by_hash_.emplace(hash, state);
  return state;
}

Automaton::FrameId Automaton::adopt_frame(const Automaton& other, FrameId frame) {
  if (frame == kOutermost) return kOutermost;
  Frame copy = other.frames_[static_cast<size_t>(frame)];
  copy.caller = adopt_frame(other, copy.caller);
  return frame_of(copy);
}

Automaton::State Automaton::adopt(const Automaton& other, State state) {
  std::vector<Reading> found(other.readings(state).begin(), other.readings(state).end());
  for (Reading& reading : found) reading.frame = adopt_frame(other, reading.frame);
  return state_of(std::move(found), other.may_end(state));
}

}  // namespace tidar
