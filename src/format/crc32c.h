#pragma once
// A checksum for files: it finds a flipped byte, wherever it is.

#include <cstddef>
#include <cstdint>
#include <span>

namespace tidar {

/// CRC-32C (Castagnoli) of the bytes, as RFC 3720 defines it. `before`: that of the bytes that
/// stand before them, so that what comes in pieces has the checksum of the whole.
uint32_t crc32c(std::span<const std::byte> bytes, uint32_t before = 0);

}  // namespace tidar
