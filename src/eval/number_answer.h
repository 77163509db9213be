#pragma once
// Which number a text answers with, as lm-evaluation-harness's gsm8k reads it.

#include <optional>
#include <string>
#include <string_view>

namespace tidar {

/// Strict: what stands after the first "#### " that a number follows: -?[0-9.,]+
std::optional<std::string> strict_answer(std::string_view text);

/// Flexible: the last number: (-?[$0-9.,]{2,})|(-?[0-9]+). As there, a last "..." counts as one.
std::optional<std::string> flexible_answer(std::string_view text);

/// Whether two answers are the same text without commas, dollar signs, what stands up to the last
/// "#### ", and a full stop at the end; case does not matter.
bool same_answer(std::string_view a, std::string_view b);

}  // namespace tidar
