#include "format/crc32c.h"

#include <gtest/gtest.h>

#include <array>
#include <string_view>

namespace tidar {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

TEST(Crc32c, HasThePublishedValues) {
  // RFC 3720, appendix B.4, and the usual check value.
  const std::array<std::byte, 32> zeros{};
  EXPECT_EQ(crc32c(zeros), 0x8A9136AAu);
  EXPECT_EQ(crc32c(bytes_of("123456789")), 0xE3069283u);
}

TEST(Crc32c, OfPiecesIsThatOfTheWhole) {
  const auto whole = bytes_of("the quick brown fox jumps over the lazy dog");
  for (size_t cut = 0; cut <= whole.size(); ++cut) {
    EXPECT_EQ(crc32c(whole.subspan(cut), crc32c(whole.first(cut))), crc32c(whole)) << cut;
  }
}

}  // namespace
}  // namespace tidar
