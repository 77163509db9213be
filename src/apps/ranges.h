#pragma once
// What values a flag takes whatever files there are, and how another one is refused: "--top-k:
// expected a whole number from 0 to 2147483647, found '-1'".

#include <CLI/CLI.hpp>
#include <cstdint>
#include <limits>
#include <string>

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

/// Texts that parse(text), which returns a Result, takes. Its Error is not to name the flag.
template <class Parse>
CLI::Validator parsed_by(Parse parse) {
  return {[parse](const std::string& text) {
            const auto parsed = parse(text);
            return parsed.ok() ? std::string() : parsed.error().message;
          },
          ""};
}

}  // namespace tidar
