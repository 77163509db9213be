#pragma once
// JSON schemas as grammars: the subset that clients of OpenAI's interface use for structured
// outputs, and a little more.
//
//   type        object, array, string, number, integer, boolean, null, or a list of them
//   objects     properties, in their order; those that "required" does not name may be left out
//               (without "required": none may); additionalProperties, a schema or true, of
//               objects without properties: any keys
//   arrays      items, minItems, maxItems
//   strings     pattern; format; minLength, maxLength
//   integers    minimum, maximum, exclusiveMinimum, exclusiveMaximum
//   anything    enum, const, anyOf, $ref into the same schema, also recursive; allOf of one
//
// Keywords that only describe are passed over. Any other one is an Error: an output must never
// break a rule that was not understood.

#include <string_view>

#include "base/result.h"
#include "constrain/grammar.h"
#include "format/json.h"

namespace tidar {

inline constexpr size_t kLongestSchema = 256 * 1024;  // bytes

/// Parses the text of a schema, with properties in their order.
Result<OrderedJson> parse_schema(std::string_view text);

/// The texts that a schema allows. The Error says where in the schema what is wrong.
Result<Grammar> grammar_of_schema(const OrderedJson& schema);

/// Any JSON object.
Result<Grammar> grammar_of_any_object();

}  // namespace tidar
