#pragma once
// The parts of JSON texts as grammars. Where JSON leaves a choice that says nothing, there is one
// here, so that no output runs on without end:
//
//   white space  none, one space, or a line end and up to 20 spaces, where writers put it: behind
//                { [ , : and before } ]
//   numbers      up to 24 digits before the point and behind it, exponents from -199 to 199
//   strings      any escapes; of given strings, the one that escapes as little as may be

#include <cstdint>
#include <optional>

#include "constrain/grammar.h"
#include "format/json.h"

namespace tidar {

NodeId add_json_space(GrammarBuilder& grammar, NodeId from);
/// From `least` to `most`; where one is not given, up to as many digits.
NodeId add_json_integer(GrammarBuilder& grammar, NodeId from, std::optional<int64_t> least = {},
                        std::optional<int64_t> most = {});
NodeId add_json_number(GrammarBuilder& grammar, NodeId from);

/// A string of `least` to `most` characters; any number without `most`.
NodeId add_json_string(GrammarBuilder& grammar, NodeId from, int least = 0,
                       std::optional<int> most = {});

/// Just this value; objects with their keys in their order.
NodeId add_json_value(GrammarBuilder& grammar, NodeId from, const OrderedJson& value);

/// Any value: a rule that calls itself.
RuleId add_any_json(GrammarBuilder& grammar);
/// Any object, and any array, whose values are of that rule.
NodeId add_json_map(GrammarBuilder& grammar, NodeId from, RuleId values);
NodeId add_json_list(GrammarBuilder& grammar, NodeId from, RuleId values, int least = 0,
                     std::optional<int> most = {});

}  // namespace tidar
