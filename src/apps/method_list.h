#pragma once
// Lists of methods that are compared: those that equal AR and need no second model.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "decode/methods.h"
#include "format/json.h"

namespace tidar {

/// A step of K drafts holds K (K + 1) rows.
inline constexpr int kLongestDraft = 64;

/// "ar,tidar,tidar:last": names of methods, behind tidar perhaps groups as --groups takes them
/// without commas (none named: auto). The Error says what was expected.
Result<std::vector<Method>> parse_methods(const std::string& text);

/// Lengths between commas, each from 1 to `most`.
Result<std::vector<int32_t>> parse_draft_lengths(const std::string& text, int most);

/// Each method with each draft length that it has; as it is, where it has none or none is given.
std::vector<Method> with_draft_lengths(const std::vector<Method>& methods,
                                       std::span<const int32_t> draft_lengths);

/// 0 where the method drafts nothing.
int draft_length_of(const Method& method);
/// As --groups would say them; "" where the method has none.
std::string groups_of(const Method& method);
bool is_ar(const Method& method);

/// Adds "method", and "draft_length" and "groups" where it has them.
void put_method(OrderedJson& json, const Method& method);

}  // namespace tidar
