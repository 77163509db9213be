#include "apps/ranges.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <string>
#include <utility>

namespace tidar {
namespace {

/// Accepts the texts that are a T, the whole of them, for which `allowed` holds.
template <class T, class Allowed>
CLI::Validator accepts(std::string expected, Allowed allowed) {
  const auto refuse = [expected = std::move(expected), allowed](const std::string& text) {
    T value{};
    const char* const end = text.data() + text.size();
    const auto [stop, code] = std::from_chars(text.data(), end, value);
    if (code == std::errc{} && stop == end && allowed(value)) return std::string();
    return fmt::format("expected {}, found '{}'", expected, text);
  };
  return {refuse, ""};
}

}  // namespace

CLI::Validator whole_number(uint64_t least, uint64_t most) {
  return accepts<uint64_t>(fmt::format("a whole number from {} to {}", least, most),
                           [=](uint64_t value) { return value >= least && value <= most; });
}

CLI::Validator seed_number() { return whole_number(0, std::numeric_limits<uint64_t>::max()); }

CLI::Validator number(double least, double most) {
  return accepts<double>(fmt::format("a number from {} to {}", least, most),
                         [=](double value) { return value >= least && value <= most; });
}

CLI::Validator number_from(double least) {
  return accepts<double>(fmt::format("a number of at least {}", least),
                         [=](double value) { return value >= least && std::isfinite(value); });
}

CLI::Validator number_above(double bound) {
  return accepts<double>(fmt::format("a number above {}", bound),
                         [=](double value) { return value > bound && std::isfinite(value); });
}

}  // namespace tidar
