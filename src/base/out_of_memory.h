#pragma once
// Memory that cannot be had. It is thrown, as operator new throws it: whoever builds something
// large catches it and says what the memory was for, main() the rest.

#include <cstddef>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tidar {

/// Of one large piece (base/buffer.h); small ones throw std::bad_alloc itself, without a size.
class OutOfMemory final : public std::bad_alloc {
 public:
  explicit OutOfMemory(size_t bytes) : bytes_(bytes) {}
  size_t bytes() const { return bytes_; }  ///< that could not be had at once
  const char* what() const noexcept override { return "out of memory"; }

 private:
  size_t bytes_;
};

/// "no memory for keys and values (1.5 GB were asked for at once)", of a std::bad_alloc, or of the
/// std::length_error of a container that would hold more than can be counted.
std::string describe(const std::exception& failure, std::string_view purpose);

/// Calls build(), which returns nothing. Where memory runs out: an Error that says what it was for,
/// and in `advice` what would take less.
template <class Build>
Result<void> with_memory_for(std::string_view purpose, std::string_view advice, Build&& build) {
  try {
    build();
    return {};
  } catch (const std::bad_alloc& failure) {
    return error("{}; {}", describe(failure, purpose), advice);
  } catch (const std::length_error& failure) {
    return error("{}; {}", describe(failure, purpose), advice);
  }
}

}  // namespace tidar
