#pragma once
// "Did you mean …?"

#include <span>
#include <string>
#include <string_view>

namespace tidar {

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other.
int edit_distance(std::string_view a, std::string_view b);

/// The candidate that is fewest edits away, or "" when none is close enough to be meant: at most a
/// third of the word's letters, and at least one, may differ. The first wins ties.
std::string nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace tidar
