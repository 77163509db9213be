#pragma once
// Broken invariants: states that only a mistake in this program can bring about. They stop the
// program at once and print both values. Bad input is never checked here: see result.h. Checks stay
// in optimised builds; they stand where they cost nothing beside the work that they guard.

#include <fmt/format.h>

#include <string_view>

namespace tidar {

/// Prints "file:line: what" to stderr and aborts. From any thread.
[[noreturn]] void fail_check(const char* file, int line, std::string_view what);

/// The same of two values that fmt can print; `text` is the comparison as the source has it.
template <class A, class B>
[[noreturn]] void fail_compare(const char* file, int line, const char* text, const A& a,
                               const B& b) {
  fail_check(file, line, fmt::format("{} does not hold: {} against {}", text, a, b));
}

}  // namespace tidar

/// TIDAR_CHECK(rows > 0): nothing is printed but the condition.
#define TIDAR_CHECK(condition)                                                              \
  do {                                                                                      \
    if (!(condition)) ::tidar::fail_check(__FILE__, __LINE__, #condition " does not hold"); \
  } while (false)

#define TIDAR_COMPARE_(a, op, b)                                                        \
  do {                                                                                  \
    const auto& check_a_ = (a);                                                         \
    const auto& check_b_ = (b);                                                         \
    if (!(check_a_ op check_b_))                                                        \
      ::tidar::fail_compare(__FILE__, __LINE__, #a " " #op " " #b, check_a_, check_b_); \
  } while (false)

/// TIDAR_CHECK_LE(pass.rows(), max_rows): prints both sides, and evaluates each once.
#define TIDAR_CHECK_EQ(a, b) TIDAR_COMPARE_(a, ==, b)
#define TIDAR_CHECK_LE(a, b) TIDAR_COMPARE_(a, <=, b)
#define TIDAR_CHECK_LT(a, b) TIDAR_COMPARE_(a, <, b)
#define TIDAR_CHECK_GE(a, b) TIDAR_COMPARE_(a, >=, b)
