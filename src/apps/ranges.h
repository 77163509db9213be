#pragma once
// What numbers a flag takes, and how another one is refused: "--top-k: expected a whole number from
// 0 to 2147483647, found '-1'".

#include <CLI/CLI.hpp>
#include <cstdint>
#include <limits>

namespace tidar {

/// Decimal whole numbers from `least` to `most`, both included.
CLI::Validator whole_number(uint64_t least, uint64_t most = std::numeric_limits<int32_t>::max());
/// Every seed: whole numbers of 64 bits.
CLI::Validator seed_number();

/// Numbers from `least` to `most`, both included.
CLI::Validator number(double least, double most);
/// Finite numbers of at least `least`.
CLI::Validator number_from(double least);
/// Finite numbers above `bound`.
CLI::Validator number_above(double bound);

}  // namespace tidar
