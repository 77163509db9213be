#include "constrain/automaton.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "constrain/grammar_testing.h"
#include "constrain/json_schema.h"

namespace tidar {
namespace {

Automaton::State after(Automaton& automaton, Automaton::State state, std::string_view bytes) {
  for (const char byte : bytes) state = automaton.next(state, static_cast<uint8_t>(byte));
  return state;
}

/// Parentheses in each other, and in any of them, behind ab and behind xy, what takes ten more
/// calls: d…d f e…e.
Grammar parentheses() {
  GrammarBuilder grammar;
  RuleId deep = grammar.add_rule();
  grammar.end_rule(grammar.add_text(grammar.begin_of(deep), "f"));
  for (int i = 0; i < 9; ++i) {
    const RuleId around = grammar.add_rule();
    const NodeId inside = grammar.add_text(grammar.begin_of(around), "d");
    grammar.end_rule(grammar.add_text(grammar.add_call(inside, deep), "e"));
    deep = around;
  }
  const RuleId letter = grammar.add_rule();
  grammar.end_rule(grammar.add_text(grammar.begin_of(letter), "ab"));
  const NodeId inside = grammar.add_text(grammar.begin_of(0), "("), last = grammar.add_node();
  grammar.add_jump(inside, last);
  grammar.add_jump(grammar.add_call(inside, 0), last);
  grammar.add_jump(grammar.add_call(grammar.add_call(inside, letter), deep), last);
  grammar.add_jump(grammar.add_call(grammar.add_text(inside, "xy"), deep), last);
  grammar.end_rule(grammar.add_text(last, ")"));
  return grammar.finish().value();
}

// What could not be completed within the depth that there may be is not begun.
TEST(Automaton, WhatCanBeBegunCanBeCompleted) {
  const Grammar grammar = parentheses();
  Automaton automaton(grammar);
  const std::string deep(9, 'd'), end(9, 'e');
  int most = 0, most_with_deep = 0;
  auto state = automaton.begin();
  for (int depth = 1; depth <= kDeepestCalls + 2; ++depth) {
    state = after(automaton, state, "(");
    if (state == Automaton::kDead) break;
    most = depth;
    const std::string closing(static_cast<size_t>(depth), ')');
    EXPECT_TRUE(automaton.may_end(after(automaton, state, closing))) << depth;
    for (const std::string begin : {"ab", "xy"}) {
      const bool begun = after(automaton, state, begin.substr(0, 1)) != Automaton::kDead;
      const auto ended =
          after(automaton, state, fmt::format("{}{}f{}{}", begin, deep, end, closing));
      EXPECT_EQ(automaton.may_end(ended), begun) << depth << begin;
      if (begun) most_with_deep = depth;
    }
  }
  EXPECT_EQ(most, kDeepestCalls + 1) << "the outermost is no call";
  EXPECT_EQ(most_with_deep, most - 10);
}

/// One value in others, some deep, in an object.
std::string nested_object(Rng& rng) {
  std::string begin = "{\"a\":", end = "}";
  for (int depth = rng.below(12); depth > 0; --depth) {
    const bool list = rng.below(2) == 0;
    begin += list ? "[1,[],{}," : "{\"b\":[],\"c\":";
    end.insert(0, list ? "]" : "}");
  }
  return begin + "\"x\"" + end;
}

// Its calls, too, which the other one met in another order.
TEST(Automaton, AdoptsWhereATextStands) {
  const Grammar grammar = grammar_of_any_object().value();
  Rng rng(5);
  for (int round = 0; round < 100; ++round) {
    Automaton one(grammar), other(grammar);
    EXPECT_TRUE(is_text_of(other, nested_object(rng)));
    const std::string text = nested_object(rng);
    const auto cut = static_cast<size_t>(rng.below(static_cast<int>(text.size())));
    const auto there = other.adopt(one, after(one, one.begin(), text.substr(0, cut)));
    EXPECT_EQ(there, after(other, other.begin(), text.substr(0, cut)));
    EXPECT_TRUE(other.may_end(after(other, there, text.substr(cut))));
  }
}

}  // namespace
}  // namespace tidar
