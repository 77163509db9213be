#pragma once
// Text that others wrote, such as the labels of a study, inside XML, HTML and Markdown: shown
// letter by letter, never obeyed.

#include <string>
#include <string_view>

namespace tidar {

/// For XML and HTML, between tags or in double quotes. A line end stays one; other control
/// characters, which XML does not allow, become blanks.
std::string escape_xml(std::string_view text);

/// For a line of Markdown or a cell of a table: no mark-up, link, HTML, cell border or list begins
/// in it. Control characters and line ends become blanks.
std::string escape_markdown(std::string_view text);

/// About how wide a text is in a font without serifs of this size; rather too wide than too narrow.
double text_width(std::string_view text, double size);

/// The text, cut and ended by "…" where it would be wider.
std::string fit_text(std::string_view text, double size, double width);

}  // namespace tidar
