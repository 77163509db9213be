#pragma once
// Of what run the results in a file are, so that those of another one are not mixed with them.

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace tidar {

/// What must be the same for results to stand in one file, in the order in which it is written:
/// {"model", "3f…"}, {"method", "tidar"}, …
using RunIdentity = std::vector<std::pair<std::string, std::string>>;

/// A file of results, and what says of which run they are.
struct IdentifiedResults {
  std::filesystem::path results;   ///< the file
  std::filesystem::path identity;  ///< JSON, written beside it
  std::string place;               ///< what errors call them: the file, or its folder
  std::string_view remedy;         ///< what to do where they are of another run
};

/// Writes the identity where the file has no results yet, is empty or missing. Otherwise an Error
/// when the results are of another run: it names the first thing in which the runs differ.
Result<void> keep_identity(const IdentifiedResults& files, const RunIdentity& identity);

}  // namespace tidar
