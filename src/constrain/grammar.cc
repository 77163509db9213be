#include "constrain/grammar.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace tidar {
namespace {

struct Encoded {
  std::array<uint8_t, 4> bytes{};
  size_t size = 0;
};

Encoded utf8_of(char32_t c) {
  const auto low = [&](int shift) { return static_cast<uint8_t>(0x80 | (c >> shift & 0x3F)); };
  if (c < 0x80) return {{static_cast<uint8_t>(c)}, 1};
  if (c < 0x800) return {{static_cast<uint8_t>(0xC0 | c >> 6), low(0)}, 2};
  if (c < 0x10000) return {{static_cast<uint8_t>(0xE0 | c >> 12), low(6), low(0)}, 3};
  return {{static_cast<uint8_t>(0xF0 | c >> 18), low(12), low(6), low(0)}, 4};
}

}  // namespace

GrammarBuilder::GrammarBuilder() { add_rule(); }

NodeId GrammarBuilder::add_node() {
  if (!full()) nodes_.emplace_back();
  return static_cast<NodeId>(nodes_.size()) - 1;
}

void GrammarBuilder::add_jump(NodeId from, NodeId to) {
  if (full() || from == to) return;
  node(from).jumps.push_back(to);
  ++edges_;
}

void GrammarBuilder::add_bytes(NodeId from, uint8_t first, uint8_t last, NodeId to) {
  if (full()) return;
  node(from).bytes.push_back({first, last, to});
  ++edges_;
}

NodeId GrammarBuilder::add_text(NodeId from, std::string_view bytes) {
  for (const char byte : bytes) {
    const NodeId next = add_node();
    add_bytes(from, static_cast<uint8_t>(byte), static_cast<uint8_t>(byte), next);
    from = next;
  }
  return from;
}

// What is encoded with the same number of bytes is cut until each part is a product of ranges of
// bytes: [0x80, 0x7FF] is [C2-DF][80-BF], [0x123, 0x456] is [C4][A3-BF] [C5-D0][80-BF] [D1][80-96].
void GrammarBuilder::add_code_points(NodeId from, std::span<const CodePointRange> ranges,
                                     NodeId to) {
  tails_.clear();
  for (const CodePointRange& range : ranges) {
    constexpr std::array<CodePointRange, 5> kSizes = {
        {{0, 0x7F}, {0x80, 0x7FF}, {0x800, 0xD7FF}, {0xE000, 0xFFFF}, {0x10000, kLastCodePoint}}};
    for (const CodePointRange& size : kSizes) {
      const char32_t first = std::max(range.from, size.from);
      const char32_t last = std::min(range.to, size.to);
      if (first <= last && !full()) add_sequences(from, first, last, to);
    }
  }
}

void GrammarBuilder::add_sequences(NodeId from, char32_t first, char32_t last, NodeId to) {
  const Encoded begin = utf8_of(first), end = utf8_of(last);
  for (size_t byte = 1; byte < begin.size; ++byte) {
    const auto below = static_cast<char32_t>(1) << (6 * (begin.size - byte));  // codes of a prefix
    if (first / below == last / below) continue;
    // The prefixes differ before this byte: only whole sets of what follows may be joined.
    if (first % below != 0) {
      const char32_t border = first - first % below + below;
      add_sequences(from, first, border - 1, to);
      return add_sequences(from, border, last, to);
    }
    if ((last + 1) % below != 0) {
      const char32_t border = last - last % below;
      add_sequences(from, first, border - 1, to);
      return add_sequences(from, border, last, to);
    }
  }
  // From the end, so that characters share their last bytes.
  NodeId target = to;
  for (size_t byte = begin.size; byte-- > 1;) {
    const uint8_t low = begin.bytes[byte], high = end.bytes[byte];
    const auto known = std::find_if(tails_.begin(), tails_.end(), [&](const Tail& tail) {
      return tail.first == low && tail.last == high && tail.target == target;
    });
    if (known != tails_.end()) {
      target = known->node;
      continue;
    }
    const NodeId before = add_node();
    add_bytes(before, low, high, target);
    tails_.push_back({low, high, target, before});
    target = before;
  }
  add_bytes(from, begin.bytes[0], end.bytes[0], target);
}

RuleId GrammarBuilder::add_rule() {
  rules_.push_back(add_node());
  return static_cast<RuleId>(rules_.size()) - 1;
}

void GrammarBuilder::end_rule(NodeId end) { node(end).ends_rule = true; }

NodeId GrammarBuilder::add_call(NodeId from, RuleId rule) {
  const NodeId after = add_node();
  if (full()) return after;
  node(from).calls.push_back({rule, after});
  ++edges_;
  return after;
}

// Rules whose first calls are all known not to come back to themselves are taken away, until none
// is left or all that are do.
bool GrammarBuilder::calls_itself_first() const {
  std::vector<std::vector<RuleId>> first_calls(rules_.size());
  std::vector<size_t> seen_by(nodes_.size(), rules_.size());
  for (size_t rule = 0; rule < rules_.size(); ++rule) {
    std::vector<NodeId> reached = {rules_[rule]};
    for (size_t i = 0; i < reached.size(); ++i) {
      const Node& node = nodes_[static_cast<size_t>(reached[i])];
      for (const Grammar::Call& call : node.calls) first_calls[rule].push_back(call.rule);
      for (const NodeId next : node.jumps) {
        if (std::exchange(seen_by[static_cast<size_t>(next)], rule) == rule) continue;
        reached.push_back(next);
      }
    }
  }
  std::vector<bool> harmless(rules_.size());
  for (bool any = true; any;) {
    any = false;
    for (size_t rule = 0; rule < rules_.size(); ++rule) {
      const auto is_harmless = [&](RuleId called) { return harmless[static_cast<size_t>(called)]; };
      const auto& calls = first_calls[rule];
      if (harmless[rule] || !std::all_of(calls.begin(), calls.end(), is_harmless)) continue;
      harmless[rule] = any = true;
    }
  }
  return std::find(harmless.begin(), harmless.end(), false) != harmless.end();
}

// From the ends of rules backwards. A height only ever falls, and whoever leads to a node whose
// height fell is looked at again.
void GrammarBuilder::find_heights() {
  struct Way {
    NodeId from;
    const Grammar::Call* call;  // nullptr: without one
  };
  std::vector<std::vector<Way>> ways(nodes_.size());  // that lead to each node
  std::vector<NodeId> changed;
  for (size_t id = 0; id < nodes_.size(); ++id) {
    const auto leads_to = [&](NodeId target, const Grammar::Call* call = nullptr) {
      ways[static_cast<size_t>(target)].push_back({static_cast<NodeId>(id), call});
    };
    for (const auto& edge : nodes_[id].bytes) leads_to(edge.target);
    for (const NodeId next : nodes_[id].jumps) leads_to(next);
    for (const Grammar::Call& call : nodes_[id].calls) {
      leads_to(call.after, &call);
      leads_to(begin_of(call.rule), &call);
    }
    if (!nodes_[id].ends_rule) continue;
    nodes_[id].height = 0;
    changed.push_back(static_cast<NodeId>(id));
  }
  const auto height = [&](NodeId id) { return node(id).height; };
  while (!changed.empty()) {
    const NodeId id = changed.back();
    changed.pop_back();
    for (const auto& [from, call] : ways[static_cast<size_t>(id)]) {
      const int through = call == nullptr
                              ? height(id)
                              : std::max(height(begin_of(call->rule)) + 1, height(call->after));
      if (through >= height(from)) continue;
      node(from).height = through;
      changed.push_back(from);
    }
  }
}

Result<Grammar> GrammarBuilder::finish() {
  if (full()) {
    return error(
        "too large: its automaton has more than {} states or {} edges; use smaller counts, or "
        "fewer and simpler parts",
        kMostNodes, kMostEdges);
  }
  if (calls_itself_first()) {
    return error(
        "endless: a part refers to itself with nothing between; put it into an object, or "
        "remove the reference");
  }
  find_heights();
  if (node(begin_of(0)).height > kDeepestCalls) {
    return error(
        "impossible: no finite text meets it, or only texts that are nested more than {} deep; "
        "let a part be null, or left out, where it refers to itself",
        kDeepestCalls);
  }
  Grammar grammar;
  grammar.nodes_ = std::move(nodes_);
  grammar.rules_ = std::move(rules_);
  return grammar;
}

}  // namespace tidar
