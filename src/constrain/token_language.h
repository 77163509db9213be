#pragma once
// The texts of a grammar as sequences of tokens: which tokens may come next is found by following
// the bytes of all of them from where the text stands, once for each state of its automaton.

#include <cstdint>
#include <memory>
#include <vector>

#include "base/constraint.h"
#include "constrain/grammar.h"
#include "constrain/token_trie.h"

namespace tidar {

/// Holds outputs to the grammar. `eos` are the tokens that end a text, just where the grammar lets
/// it end, and are nothing else. What was found is kept for all texts, as long as any of them, or
/// the result, is there: up to some 16 MiB for sets of tokens, and 16 MiB for states.
std::shared_ptr<const Constraint> constrain(Grammar grammar, std::shared_ptr<const TokenTrie> trie,
                                            std::vector<int32_t> eos);

}  // namespace tidar
