#include "report/page.h"

#include <fmt/format.h>
#include <md4c-html.h>

#include <string_view>

#include "base/check.h"
#include "report/markup.h"

namespace tidar {
namespace {

std::string html_of(const std::string& markdown) {
  std::string html;
  const auto append = [](const MD_CHAR* text, MD_SIZE size, void* to) {
    static_cast<std::string*>(to)->append(text, size);
  };
  const int outcome =
      md_html(markdown.data(), static_cast<MD_SIZE>(markdown.size()), append, &html,
              MD_FLAG_TABLES | MD_FLAG_STRIKETHROUGH | MD_FLAG_NOHTML, MD_HTML_FLAG_SKIP_UTF8_BOM);
  TIDAR_CHECK_EQ(outcome, 0);  // md4c fails only where memory does
  return html;
}

/// Calls replace(tag) for each `<name …>` and puts its value in the tag's place. Within the tags
/// that md4c writes, '<', '>' and '"' of texts are escaped.
template <class Replace>
std::string replace_tags(std::string_view html, std::string_view opening, const Replace& replace) {
  std::string replaced;
  for (size_t at = 0;;) {
    const size_t begin = html.find(opening, at);
    if (begin == std::string_view::npos) return replaced += html.substr(at);
    const size_t end = html.find('>', begin) + 1;
    TIDAR_CHECK(end > begin);
    replaced += html.substr(at, begin - at);
    replaced += replace(html.substr(begin, end - begin));
    at = end;
  }
}

/// The value of an attribute as it is written, still escaped; "" when it is not there.
std::string_view attribute(std::string_view tag, std::string_view name) {
  const std::string before = fmt::format(" {}=\"", name);
  const size_t begin = tag.find(before);
  if (begin == std::string_view::npos) return "";
  const std::string_view rest = tag.substr(begin + before.size());
  return rest.substr(0, rest.find('"'));
}

std::string image(std::string_view tag, const Report& report) {
  const std::string_view source = attribute(tag, "src");
  for (const Plot& plot : report.figures) {
    if (source == fmt::format("figures/{}.svg", plot.name)) return draw_svg(plot);
  }
  return std::string(attribute(tag, "alt"));
}

std::string link(std::string_view tag) {
  const std::string_view target = attribute(tag, "href");
  const bool harmless =
      target.starts_with("https://") || target.starts_with("http://") || target.starts_with("#");
  return harmless ? std::string(tag) : "<a>";
}

/// Wide tables scroll by themselves, so that the page does not.
std::string with_scrolling_tables(std::string_view html) {
  const std::string opened = replace_tags(html, "<table", [](std::string_view tag) {
    return "<div class=\"table\">" + std::string(tag);
  });
  return replace_tags(opened, "</table",
                      [](std::string_view tag) { return std::string(tag) + "</div>"; });
}

/// A policy that allows what the page itself holds and nothing else, even if some text should
/// find a way to become an element.
constexpr std::string_view kPolicy =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-report'";

}  // namespace

std::string make_page(const Report& report) {
  std::string body = with_scrolling_tables(html_of(report.markdown));
  body = replace_tags(body, "<a ", link);
  body = replace_tags(body, "<img ", [&](std::string_view tag) { return image(tag, report); });
  std::string page = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
  page += fmt::format("<meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n", kPolicy);
  page += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
  page += "<meta name=\"color-scheme\" content=\"light dark\">\n";
  page += fmt::format("<title>{}</title>\n", escape_xml(report.title));
  page +=
      fmt::format("<style>\n{}</style>\n</head>\n<body>\n<main>\n{}</main>\n", kPageStyle, body);
  page += fmt::format("<script nonce=\"report\">\n{}</script>\n</body>\n</html>\n", kPageScript);
  return page;
}

}  // namespace tidar
