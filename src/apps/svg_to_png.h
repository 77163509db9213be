#pragma once
// Figures as PNG, by a program of its own: rsvg-convert.

#include <filesystem>

#include "base/result.h"

namespace tidar {

/// What became of a picture.
enum class PngOutcome {
  written,
  no_converter,  ///< rsvg-convert is not installed; nothing was written
};

/// Draws an SVG file as a PNG of 2.5 times its size; the file appears whole or not at all. An Error
/// when the converter fails.
Result<PngOutcome> svg_to_png(const std::filesystem::path& svg, const std::filesystem::path& png);

}  // namespace tidar
