// For clang-tidy alone, where clang is too old for the builtin that std::source_location stands on:
// the class without its knowledge. No program is compiled with it.

#pragma once

#include <cstdint>

#if !__has_builtin(__builtin_source_location)

// NOLINTBEGIN(cert-dcl58-cpp,readability-identifier-naming): it is the standard's name.
namespace std {

struct source_location {
  static constexpr source_location current() noexcept { return {}; }
  constexpr uint_least32_t line() const noexcept { return 0; }
  constexpr uint_least32_t column() const noexcept { return 0; }
  constexpr const char* file_name() const noexcept { return ""; }
  constexpr const char* function_name() const noexcept { return ""; }
};

}  // namespace std
// NOLINTEND(cert-dcl58-cpp,readability-identifier-naming)

#endif
