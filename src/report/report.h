#pragma once
// A report of a study, as Markdown with figures. The page (page.h) is made of the same.

#include <string>
#include <vector>

#include "report/plot.h"
#include "report/study.h"

namespace tidar {

struct Report {
  std::string title;
  std::string markdown;       ///< refers to each figure as ![…](figures/<name>.svg)
  std::vector<Plot> figures;  ///< in their order in the text
};

/// Headline, notes, a part for each section that has entries, and the facts. Sections without
/// entries are left out; results that are missing are shown as "–".
Report make_report(const Study& study);

}  // namespace tidar
