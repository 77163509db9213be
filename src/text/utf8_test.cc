#include "text/utf8.h"

#include <gtest/gtest.h>

#include <string>

#include "base/rng.h"
#include "text/regex.h"

namespace tidar {
namespace {

/// The "UTF-8 decoder" of the WHATWG Encoding standard (section 8.1.1), as its state machine.
/// Rust's from_utf8_lossy follows the same practice.
std::string whatwg_decoded(std::string_view bytes) {
  const std::string replacement = "\xEF\xBF\xBD";
  std::string out, sequence;
  int needed = 0;
  uint8_t low = 0x80, high = 0xBF;
  for (size_t i = 0; i <= bytes.size(); ++i) {
    if (i == bytes.size()) return needed > 0 ? out + replacement : out;
    const auto byte = static_cast<uint8_t>(bytes[i]);
    if (needed == 0) {
      low = 0x80, high = 0xBF;
      sequence.assign(1, bytes[i]);
      if (byte <= 0x7F) {
        out += bytes[i];
      } else if (byte >= 0xC2 && byte <= 0xDF) {
        needed = 1;
      } else if (byte >= 0xE0 && byte <= 0xEF) {
        if (byte == 0xE0) low = 0xA0;
        if (byte == 0xED) high = 0x9F;
        needed = 2;
      } else if (byte >= 0xF0 && byte <= 0xF4) {
        if (byte == 0xF0) low = 0x90;
        if (byte == 0xF4) high = 0x8F;
        needed = 3;
      } else {
        out += replacement;
      }
    } else if (byte < low || byte > high) {
      needed = 0;
      out += replacement;
      --i;  // the byte is read again
    } else {
      low = 0x80, high = 0xBF;
      sequence += bytes[i];
      if (--needed == 0) out += sequence;
    }
  }
  return out;
}

std::string lossy(std::string_view bytes) {
  std::string out;
  append_lossy(out, bytes);
  return out;
}

/// Bytes that make long sequences, broken in every way, likely.
std::string random_bytes(Rng& rng, int size) {
  constexpr std::string_view likely =
      "a\x80\x8F\x90\x9F\xA0\xBF\xC1\xC2\xE0\xE1\xED\xF0\xF1\xF4\xF5";
  std::string bytes;
  for (int i = 0; i < size; ++i) {
    bytes += likely[static_cast<size_t>(rng.below(static_cast<int>(likely.size())))];
  }
  return bytes;
}

TEST(Utf8, KnownReplacements) {
  EXPECT_EQ(lossy("a\xFF"
                  "b"),
            "a\uFFFDb");
  EXPECT_EQ(lossy("\xF0\x9F\x98"), "\uFFFD");
  EXPECT_EQ(lossy("\xC0\x80"), "\uFFFD\uFFFD");
  EXPECT_EQ(lossy("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");
  // Unicode 15, table 3-8
  EXPECT_EQ(lossy("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64"),
            "a\uFFFD\uFFFD\uFFFDb\uFFFDc\uFFFD\uFFFDd");
}

TEST(Utf8, ReplacesAsTheEncodingStandardSays) {
  for (uint64_t seed = 0; seed < 20000; ++seed) {
    Rng rng(seed);
    const std::string bytes = random_bytes(rng, rng.below(12));
    ASSERT_EQ(lossy(bytes), whatwg_decoded(bytes)) << "seed " << seed;
    ASSERT_EQ(is_utf8(bytes), whatwg_decoded(bytes) == bytes) << "seed " << seed;
  }
}

TEST(Utf8, CompleteSizeCutsNothingThatMoreBytesCouldChange) {
  for (uint64_t seed = 0; seed < 20000; ++seed) {
    Rng rng(seed);
    const std::string bytes = random_bytes(rng, rng.below(9));
    const size_t complete = complete_utf8_size(bytes);
    ASSERT_LE(complete, bytes.size());
    // What stays behind is the longest tail that some continuation would turn into a character.
    const std::string more = bytes + random_bytes(rng, 4);
    ASSERT_EQ(lossy(more.substr(0, complete)) + lossy(more.substr(complete)), lossy(more));
    if (complete < bytes.size()) {
      bool completes = false;
      for (std::string_view end :
           {"\x80", "\xA0", "\x90", "\x80\x80", "\xA0\x80", "\x80\x80\x80", "\x90\x80\x80"}) {
        completes = completes || is_utf8(bytes.substr(complete) + std::string(end));
      }
      ASSERT_TRUE(completes) << "seed " << seed;
    } else {
      ASSERT_EQ(lossy(bytes + "\x80"), lossy(bytes) + "\uFFFD") << "seed " << seed;
    }
  }
}

std::string encoded(char32_t c) {
  if (c < 0x80) return std::string(1, static_cast<char>(c));
  const int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  const uint32_t marks[] = {0, 0xC0, 0xE0, 0xF0};
  std::string bytes(1, static_cast<char>(marks[more] | c >> (6 * more)));
  for (int i = more - 1; i >= 0; --i) {
    bytes.push_back(static_cast<char>(0x80 | (c >> (6 * i) & 0x3F)));
  }
  return bytes;
}

TEST(Utf8, ReadsEveryCodePoint) {
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    const std::string bytes = encoded(c);
    const Utf8Unit unit = utf8_front(bytes + "x");
    ASSERT_EQ(unit.kind, Utf8Unit::Kind::character) << static_cast<uint32_t>(c);
    ASSERT_EQ(unit.code_point, c);
    ASSERT_EQ(unit.size, bytes.size());
    std::string text = "\u4E2D";
    text += bytes;
    ASSERT_EQ(last_character_begin(text), 3u);
  }
}

TEST(Utf8, WhiteSpaceIsTheUnicodeProperty) {
  auto property = Regex::compile("\\p{White_Space}");
  ASSERT_TRUE(property.ok());
  Matcher matcher;
  Span match;
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    ASSERT_EQ(is_white_space(c), matcher.find(*property, encoded(c), 0, match))
        << static_cast<uint32_t>(c);
  }
}

TEST(Utf8, WhiteSpaceAtTheEnds) {
  const std::string text = " \u3000\t\u00A0x y\u2028\u0085 ";
  EXPECT_EQ(leading_space_size(text), 7u);
  EXPECT_EQ(trailing_space_size(text), 6u);
  EXPECT_EQ(leading_space_size(" \n"), 2u);
  EXPECT_EQ(trailing_space_size(" \n"), 2u);
  EXPECT_EQ(trailing_space_size("\u200B"), 0u);  // not White_Space, in spite of its name
}

}  // namespace
}  // namespace tidar
