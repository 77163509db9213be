#pragma once
// Failures that untrusted input can cause: files, flags, requests. An Error is one sentence that a
// user can act on: what, where, what was expected, what was found. Nothing is thrown across rooms
// but what the system refuses: memory (out_of_memory.h) and threads (threads.h). What only a
// mistake in this program can cause is not an Error either: see check.h.
//
//   Result<Config> read(path) {
//     TIDAR_TRY(const std::string text, read_text_file(path));  // or returns that Error
//     if (text.empty()) return error("{}: is empty; expected a JSON object", path);
//     return parse(text);
//   }

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "base/check.h"

namespace tidar {

struct Error {
  /// Without a capital letter, a full stop or the program's name: whoever shows it adds those.
  std::string message;
};

/// Builds an Error from a pattern, which the compiler holds against the arguments.
template <class... Args>
Error error(fmt::format_string<Args...> pattern, Args&&... args) {
  return Error{fmt::format(pattern, std::forward<Args>(args)...)};
}

/// Either a value or an Error. Asking for the one that is not there stops the program, and prints
/// the Error where it is that. Moves where T moves. Ignoring one is a warning of the compiler.
template <class T>
class [[nodiscard]] Result {
 public:
  // Implicit, so that a function returns a value or error(…) as it is.
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & {
    if (!ok()) fail_check(__FILE__, __LINE__, "value() of an Error: " + error().message);
    return *std::get_if<0>(&state_);
  }
  const T& value() const& { return const_cast<Result*>(this)->value(); }
  T&& value() && { return std::move(value()); }

  const Error& error() const {
    TIDAR_CHECK(!ok());
    return *std::get_if<1>(&state_);
  }

  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(value()); }

 private:
  std::variant<T, Error> state_;
};

/// Success without a value (`return {};`), or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const {
    TIDAR_CHECK(!ok());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

}  // namespace tidar

#define TIDAR_JOINED_(a, b) a##b
#define TIDAR_JOIN_(a, b) TIDAR_JOINED_(a, b)
#define TIDAR_TRY_(result, declaration, expression)        \
  auto result = (expression);                              \
  if (!result.ok()) return ::tidar::Error(result.error()); \
  declaration = std::move(result).value()

/// TIDAR_TRY(auto file, open(path)): declares or assigns the value, or returns the Error. It is
/// more than one statement: `if` and `for` want braces around it. The caller may return any
/// Result<U>.
#define TIDAR_TRY(declaration, expression) \
  TIDAR_TRY_(TIDAR_JOIN_(try_, __LINE__), declaration, expression)

/// TIDAR_TRY_VOID(check(path)): returns the Error of a Result, if there is one; a value is dropped.
#define TIDAR_TRY_VOID(expression)                                                                \
  do {                                                                                            \
    if (auto try_void_ = (expression); !try_void_.ok()) return ::tidar::Error(try_void_.error()); \
  } while (false)
