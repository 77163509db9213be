#include "report/markup.h"

#include <gtest/gtest.h>
#include <md4c-html.h>

#include "base/rng.h"

namespace tidar {
namespace {

TEST(Markup, XmlShowsEveryLetterAndObeysNone) {
  EXPECT_EQ(escape_xml("<b a=\"1\" c='2'>&"), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;");
  EXPECT_EQ(escape_xml("τ = 0,8"), "τ = 0,8");
  EXPECT_EQ(escape_xml("a\nb"), "a&#10;b");
  EXPECT_EQ(escape_xml(std::string_view("a\0b\x1b\tc", 6)), "a b  c");
  EXPECT_EQ(escape_xml("a\xEF\xBF\xBF\xEF\xBF\xBE!"), "a  !");
}

std::string html_of(const std::string& markdown) {
  std::string html;
  md_html(
      markdown.data(), static_cast<MD_SIZE>(markdown.size()),
      [](const MD_CHAR* text, MD_SIZE size, void* to) {
        static_cast<std::string*>(to)->append(text, size);
      },
      &html, MD_DIALECT_GITHUB & ~MD_FLAG_PERMISSIVEAUTOLINKS, 0);
  return html;
}

/// What a reader of the HTML sees.
std::string seen(std::string html) {
  const auto replace = [&](const std::string& from, const std::string& to) {
    for (size_t at = 0; (at = html.find(from, at)) != std::string::npos; at += to.size()) {
      html.replace(at, from.size(), to);
    }
  };
  replace("&lt;", "<");
  replace("&gt;", ">");
  replace("&quot;", "\"");
  replace("&amp;", "&");
  return html;
}

TEST(Markup, MarkdownShowsEveryLetterAndObeysNone) {
  // Letters, every mark, and what begins lists, headings and links.
  constexpr std::string_view kAlphabet = "ab1 \\`*_{}[]<>()#+-.!|&~$:/@=\"';^";
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    Rng rng(seed);
    std::string text;
    for (int i = 1 + rng.below(12); i > 0; --i) {
      text += kAlphabet[static_cast<size_t>(rng.below(static_cast<int>(kAlphabet.size())))];
    }
    text += "x";
    const size_t begin = text.find_first_not_of(' ');
    SCOPED_TRACE(text);
    // md4c drops blanks at the beginning; four of them would begin code.
    text.erase(0, begin);
    ASSERT_EQ(seen(html_of(escape_markdown(text))), "<p>" + text + "</p>\n");
    const std::string table = "|a|b|\n|---|---|\n|" + escape_markdown(text) + "|z|\n";
    ASSERT_NE(seen(html_of(table)).find("<td>" + text + "</td>\n<td>z</td>"), std::string::npos)
        << html_of(table);
  }
}

TEST(Markup, LineEndsOfMarkdownBecomeBlanks) {
  EXPECT_EQ(escape_markdown("a\n\n# b\r\t"), "a  \\# b  ");
}

TEST(Markup, FittedTextIsNoWiderAndEndsBetweenCharacters) {
  EXPECT_EQ(fit_text("short", 12, 100), "short");
  const std::string text = "Blockdiffusion, τ = 0,8 und 块扩散解码策略";
  for (double width = 20; width < 300; width += 7) {
    const std::string fitted = fit_text(text, 12, width);
    ASSERT_LE(text_width(fitted, 12), width);
    if (fitted == text) continue;
    ASSERT_TRUE(fitted.ends_with("…"));
    const std::string kept = fitted.substr(0, fitted.size() - std::string("…").size());
    ASSERT_TRUE(text.starts_with(kept));
    // The byte that follows begins a character.
    ASSERT_NE(static_cast<unsigned char>(text[kept.size()]) & 0xC0, 0x80);
  }
}

}  // namespace
}  // namespace tidar
