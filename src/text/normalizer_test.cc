#include "text/normalizer.h"

#include <gtest/gtest.h>
#include <utf8proc.h>

#include <cstdlib>

#include "base/rng.h"
#include "base/stopwatch.h"

namespace tidar {
namespace {

/// The library's own normalisation of the whole text at once.
std::string reference(const std::string& text, NormalForm form) {
  utf8proc_uint8_t* mapped = nullptr;
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.c_str());
  switch (form) {
    case NormalForm::nfc:
      mapped = utf8proc_NFC(bytes);
      break;
    case NormalForm::nfd:
      mapped = utf8proc_NFD(bytes);
      break;
    case NormalForm::nfkc:
      mapped = utf8proc_NFKC(bytes);
      break;
    case NormalForm::nfkd:
      mapped = utf8proc_NFKD(bytes);
      break;
  }
  std::string normalized(reinterpret_cast<const char*>(mapped));
  std::free(mapped);
  return normalized;
}

void append(std::string& text, utf8proc_int32_t c) {
  utf8proc_uint8_t bytes[4];
  const auto size = utf8proc_encode_char(c, bytes);
  text.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
}

/// Where normal forms do something: ASCII, accented letters, marks, Hangul, compatibility forms,
/// and anything else.
utf8proc_int32_t random_character(Rng& rng) {
  constexpr utf8proc_int32_t ranges[][2] = {
      {0x20, 0x7F},     {0xA0, 0x180},    {0x300, 0x370},   {0x5B0, 0x5C0},    {0x930, 0x960},
      {0x1100, 0x1200}, {0xAC00, 0xAD00}, {0xF900, 0xFB50}, {0x1E00, 0x1F00},  {0x1D15E, 0x1D166},
      {0x2000, 0x2130}, {0x3040, 0x30A0}, {0x1, 0xD800},    {0xE000, 0x110000}};
  const auto& range = ranges[rng.below(static_cast<int>(std::size(ranges)))];
  return range[0] + rng.below(range[1] - range[0]);
}

constexpr NormalForm kForms[] = {NormalForm::nfc, NormalForm::nfd, NormalForm::nfkc,
                                 NormalForm::nfkd};

TEST(Normalizer, IsWhatTheLibraryMakesOfTheWholeText) {
  for (uint64_t seed = 0; seed < 20000; ++seed) {
    Rng rng(seed);
    std::string text;
    for (int i = rng.below(12); i >= 0; --i) append(text, random_character(rng));
    for (NormalForm form : kForms) {
      ASSERT_EQ(normalize(text, form), reference(text, form)) << "seed " << seed;
    }
  }
}

TEST(Normalizer, EveryCharacterAloneAndBehindALetter) {
  for (utf8proc_int32_t c = 1; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    append(text, c);
    text += "e";
    append(text, c);
    for (NormalForm form : kForms) ASSERT_EQ(normalize(text, form), reference(text, form)) << c;
  }
}

TEST(Normalizer, FormsFollowOneAnother) {
  std::string scratch;
  const Normalizer both({NormalForm::nfkd, NormalForm::nfc});
  EXPECT_EQ(both.apply("\uFB01\u00E9 e\u0301", scratch), "fi\u00E9 \u00E9");
  EXPECT_EQ(Normalizer().apply("e\u0301", scratch), "e\u0301");
}

TEST(Normalizer, KeepsZeroBytes) {
  const std::string text("a\0e\u0301\0", 6);
  EXPECT_EQ(normalize(text, NormalForm::nfc), std::string("a\0\u00E9\0", 5));
}

TEST(Normalizer, LongRunsOfMarksTakeNoLongerThanTheirLength) {
  std::string marks, below, above;
  for (int i = 0; i < 100'000; ++i) {
    marks += "\u0301\u0323\u0300";
    below += "\u0323";
    above += "\u0301\u0300";  // of one class: they stay in order
  }
  const Stopwatch watch;
  const std::string sorted = normalize(marks, NormalForm::nfd);
  EXPECT_LT(watch.seconds(), 10);
  const std::string expected = below + above;
  EXPECT_TRUE(sorted == expected);
}

}  // namespace
}  // namespace tidar
