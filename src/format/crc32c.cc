#include "format/crc32c.h"

#include <array>
#include <cstring>

namespace tidar {

namespace {

// Eight bytes at a time, each through a table of its own (Kounavis and Berry, 2005): five times
// faster than byte by byte, and a checkpoint has gigabytes.
constexpr size_t kAtOnce = 8;
using Tables = std::array<std::array<uint32_t, 256>, kAtOnce>;

constexpr Tables make_tables() {
  Tables tables{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78u : 0u);
    tables[0][i] = crc;
  }
  for (size_t t = 1; t < kAtOnce; ++t) {
    for (size_t i = 0; i < 256; ++i) {
      const uint32_t crc = tables[t - 1][i];
      tables[t][i] = crc >> 8 ^ tables[0][crc & 0xff];
    }
  }
  return tables;
}
constexpr Tables kTables = make_tables();

}  // namespace

uint32_t crc32c(std::span<const std::byte> bytes, uint32_t before) {
  uint32_t crc = ~before;
  for (; bytes.size() >= kAtOnce; bytes = bytes.subspan(kAtOnce)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data(), kAtOnce);
    word ^= crc;
    crc = 0;
    for (size_t i = 0; i < kAtOnce; ++i) crc ^= kTables[kAtOnce - 1 - i][word >> (8 * i) & 0xff];
  }
  for (const std::byte byte : bytes) {
    crc = crc >> 8 ^ kTables[0][(crc ^ static_cast<uint32_t>(byte)) & 0xff];
  }
  return ~crc;
}

}  // namespace tidar
