#pragma once
// A set of texts as an automaton over their bytes: nodes that are joined by bytes, by jumps, and by
// calls of rules, which are automata of the same kind and may call one another. A rule that calls
// itself is what nests.

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tidar {

using NodeId = int32_t;
using RuleId = int32_t;

/// How deep the calls of rules may be nested in a text. Where a text is so deep, only what needs no
/// more depth may follow.
inline constexpr int kDeepestCalls = 64;

/// Code points [from, to].
struct CodePointRange {
  char32_t from = 0;
  char32_t to = 0;
  friend bool operator==(const CodePointRange&, const CodePointRange&) = default;
};
inline constexpr char32_t kLastCodePoint = 0x10FFFF;

/// Immutable.
class Grammar {
 public:
  /// Bytes [from, to] lead to `target`.
  struct ByteEdge {
    uint8_t from = 0;
    uint8_t to = 0;
    NodeId target = 0;
  };
  /// A text of the rule leads to `after`.
  struct Call {
    RuleId rule = 0;
    NodeId after = 0;
  };
  struct Node {
    std::vector<ByteEdge> bytes{};
    std::vector<NodeId> jumps{};
    std::vector<Call> calls{};
    bool ends_rule = false;
    /// Calls that must be nested within one another, at least, to reach the end of the node's rule;
    /// more than kDeepestCalls where that is too many, or where the end cannot be reached.
    int height = kDeepestCalls + 1;
  };

  const Node& node(NodeId id) const { return nodes_[static_cast<size_t>(id)]; }
  NodeId begin_of(RuleId rule) const { return rules_[static_cast<size_t>(rule)]; }
  /// A text is one of rule 0.
  NodeId begin() const { return begin_of(0); }
  size_t size() const { return nodes_.size(); }

 private:
  friend class GrammarBuilder;
  std::vector<Node> nodes_;
  std::vector<NodeId> rules_;  // where each begins
};

/// Builds one, from left to right: what adds something takes the node that it begins at and returns
/// the one that it ends at. Several things may begin at one node: any of them may follow.
///
/// A grammar that becomes too large grows no further; finish() tells. What adds without end must
/// ask full().
class GrammarBuilder {
 public:
  static constexpr size_t kMostNodes = 100'000;
  static constexpr size_t kMostEdges = 400'000;

  /// Rule 0 is there: its texts are those of the grammar.
  GrammarBuilder();

  bool full() const { return nodes_.size() > kMostNodes || edges_ > kMostEdges; }

  NodeId add_node();
  void add_jump(NodeId from, NodeId to);
  /// One of the bytes [first, last].
  void add_bytes(NodeId from, uint8_t first, uint8_t last, NodeId to);
  NodeId add_text(NodeId from, std::string_view bytes);
  /// One code point of the ranges, in UTF-8; surrogates, which have no UTF-8, are left out. Ranges
  /// are in ascending order and do not overlap.
  void add_code_points(NodeId from, std::span<const CodePointRange> ranges, NodeId to);

  /// A rule whose body comes later. Texts of a rule that is called must not be empty.
  RuleId add_rule();
  /// Where its body begins.
  NodeId begin_of(RuleId rule) const { return rules_[static_cast<size_t>(rule)]; }
  /// To be told once a rule.
  void end_rule(NodeId end);
  NodeId add_call(NodeId from, RuleId rule);

  /// The grammar whose texts are those of the first rule. An Error says that it is too large, that
  /// a rule calls itself before any byte, or that no text ends.
  Result<Grammar> finish();

 private:
  using Node = Grammar::Node;
  Node& node(NodeId id) { return nodes_[static_cast<size_t>(id)]; }
  void add_sequences(NodeId from, char32_t first, char32_t last, NodeId to);
  bool calls_itself_first() const;
  void find_heights();

  std::vector<Node> nodes_;
  std::vector<NodeId> rules_;
  size_t edges_ = 0;
  // A node that leads to `target` with one of the bytes [first, last]: what the characters of one
  // add_code_points() share.
  struct Tail {
    uint8_t first, last;
    NodeId target, node;
  };
  std::vector<Tail> tails_;
};

}  // namespace tidar
