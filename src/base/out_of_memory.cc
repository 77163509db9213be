#include "base/out_of_memory.h"

namespace tidar {

std::string describe(const std::exception& failure, std::string_view purpose) {
  std::string text = fmt::format("no memory for {}", purpose);
  if (const auto* lack = dynamic_cast<const OutOfMemory*>(&failure)) {
    const auto bytes = static_cast<double>(lack->bytes());
    text += bytes < 1e9 ? fmt::format(" ({:.1f} MB were asked for at once)", bytes / 1e6)
                        : fmt::format(" ({:.4g} GB were asked for at once)", bytes / 1e9);
  }
  if (dynamic_cast<const std::length_error*>(&failure) != nullptr) {
    text += " (more was asked for than can be counted)";
  }
  return text;
}

}  // namespace tidar
