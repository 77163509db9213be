#pragma once
// JSON as values of a template.

#include <functional>
#include <string_view>

#include "base/result.h"
#include "format/json.h"
#include "text/jinja/value.h"

namespace tidar::jinja {

/// Who wrote the text of field `key` ("" in lists) of an object.
using OriginOf = std::function<Origin(std::string_view key, std::string_view text)>;

/// Bytes that are not UTF-8 become U+FFFD. Keys are the user's. Errors: nesting deeper than 100; no
/// bytes are left.
Result<Value> from_json(Heap& heap, const OrderedJson& json, const OriginOf& origin_of);

}  // namespace tidar::jinja
