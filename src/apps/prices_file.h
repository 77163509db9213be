#pragma once
// Prices in a file of JSON, a line a point:
//
//   {"version": 1, "of": "a model, and where", "passes": [{"rows": 1, "seconds": 0.004}, …],
//    "asks": [{"rows": 1, "seconds": 0.001}, …], "key": {"cached": 256, "seconds": 1e-8}}
//
// In both lists the first point is of one row, and rows grow. "key": the cached keys that rows of
// "passes" saw, and what each further one costs a row; left out, both are 0.

#include <filesystem>
#include <string>

#include "base/result.h"
#include "plan/prices.h"

namespace tidar {

struct PricesFile {
  std::string of;  ///< what they are the prices of: a model, and how and where it is computed
  Prices prices;
};

/// The Error says what is wrong with the file; that of another version is wrong as well.
Result<PricesFile> read_prices(const std::filesystem::path& path);

/// Appears whole or not at all.
Result<void> write_prices(const std::filesystem::path& path, const PricesFile& file);

}  // namespace tidar
