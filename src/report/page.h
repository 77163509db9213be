#pragma once
// A report as one HTML page that needs nothing else: no network, no other file.

#include <string>

#include "base/result.h"
#include "report/report.h"

namespace tidar {

/// The report's Markdown as HTML (md4c), its figures inline, with a style for light and dark
/// screens of any width, and a script for pointing at marks, hiding series and sorting tables. HTML
/// within the Markdown is shown as text; images that are not figures of the report become their
/// descriptions; links lead to http(s) addresses and to places in the page only.
std::string make_page(const Report& report);

/// What CMake embeds: page.css and page.js.
extern const char* const kPageStyle;
extern const char* const kPageScript;

}  // namespace tidar
