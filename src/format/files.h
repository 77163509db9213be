#pragma once
// Whole files: read under a limit, and written so that a crash leaves the old file or the new one.

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tidar {

/// A piece of untrusted text as an error sentence may show it: in single quotes, everything but
/// printable ASCII as \xNN, cut after 80 characters.
std::string in_quotes(std::string_view text);

/// Far above any config or index of a real model; what is larger is not one.
inline constexpr size_t kTextFileLimit = size_t{64} << 20;

/// The bytes of a regular file of at most `limit` bytes.
Result<std::string> read_text_file(const std::filesystem::path& path,
                                   size_t limit = kTextFileLimit);

/// Writes the parts, one after the other, to "<path>.partial", flushes that to disk and renames it:
/// `path` is always the old file or the whole new one, also after a power cut. On failure the
/// partial file is removed, and the Error says how much was written and why no more. One writer a
/// path at a time.
Result<void> write_file(const std::filesystem::path& path,
                        std::span<const std::span<const std::byte>> parts);

}  // namespace tidar
