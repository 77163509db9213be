#pragma once
// For tests: texts of grammars.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "constrain/automaton.h"
#include "constrain/expression.h"
#include "constrain/grammar.h"

namespace tidar {

inline Grammar grammar_of_expression(std::string_view text,
                                     Expression::Writing writing = Expression::Writing::plain,
                                     Expression::Extent extent = Expression::Extent::whole) {
  GrammarBuilder builder;
  const auto expression = Expression::parse(text, extent).value();
  builder.end_rule(expression.add_to(builder, builder.begin_of(0), writing));
  return builder.finish().value();
}

inline bool is_text_of(Automaton& automaton, std::string_view text) {
  auto state = automaton.begin();
  for (const char byte : text) state = automaton.next(state, static_cast<uint8_t>(byte));
  return automaton.may_end(state);
}

/// The fewest bytes that lead from a state to one where a text may end.
inline std::string shortest_end(Automaton& automaton, Automaton::State state) {
  std::map<Automaton::State, std::string> ways = {{state, ""}};
  std::vector<Automaton::State> reached = {state};
  for (size_t i = 0; i < reached.size(); ++i) {
    std::string way = ways[reached[i]];
    if (automaton.may_end(reached[i])) return way;
    for (int byte = 0; byte < 256; ++byte) {
      const auto next = automaton.next(reached[i], static_cast<uint8_t>(byte));
      if (next == Automaton::kDead) continue;
      if (ways.emplace(next, way + static_cast<char>(byte)).second) reached.push_back(next);
    }
  }
  TIDAR_CHECK(false && "no text ends");
  return "";
}

/// A text of the grammar, byte by byte; where it has some, what closes a part is taken as often as
/// all else together. What becomes long is brought to its end.
inline std::string random_text_of(Automaton& automaton, Rng& rng) {
  auto state = automaton.begin();
  std::string text;
  for (;;) {
    std::vector<uint8_t> bytes, closing;
    for (int byte = 0; byte < 256; ++byte) {
      const auto one = static_cast<uint8_t>(byte);
      if (automaton.next(state, one) == Automaton::kDead) continue;
      bytes.push_back(one);
      if (byte == '"' || byte == '}' || byte == ']') closing.push_back(one);
    }
    if (automaton.may_end(state) && (bytes.empty() || rng.below(6) == 0)) return text;
    if (text.size() > 200) return text + shortest_end(automaton, state);
    TIDAR_CHECK(!bytes.empty());
    if (text.size() > 10 && !closing.empty() && rng.below(2) == 0) bytes = closing;
    const uint8_t byte = bytes[static_cast<size_t>(rng.below(static_cast<int>(bytes.size())))];
    state = automaton.next(state, byte);
    text += static_cast<char>(byte);
  }
}

inline bool is_text_of(const Grammar& grammar, std::string_view text) {
  Automaton automaton(grammar);
  return is_text_of(automaton, text);
}

}  // namespace tidar
