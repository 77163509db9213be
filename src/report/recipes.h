#pragma once
// The section of a report that sets ways of training beside each other.

#include <span>
#include <string>

#include "report/study.h"

namespace tidar {

/// Markdown: for each entry tokens a pass of texts that are given, its drafts and its loss as
/// multiples of the baseline's, and whose answers were right where the other's were wrong. The
/// baseline is the entry of that role among `entries`; without one there are no comparisons.
std::string recipes_part(const Study& study, std::span<const StudyEntry* const> entries);

}  // namespace tidar
