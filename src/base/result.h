#pragma once
// Failures that untrusted input can cause: files, flags, requests. An Error is one sentence that a
// user can act on: what, where, what was expected, what was found. No exception crosses a room.

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "base/check.h"

namespace tidar {

struct Error {
  std::string message;
};

/// Builds an Error from a fmt pattern.
template <class... Args>
Error error(fmt::format_string<Args...> pattern, Args&&... args) {
  return Error{fmt::format(pattern, std::forward<Args>(args)...)};
}

/// Either a value or an Error. Asking for the one that is not there stops the program.
template <class T>
class [[nodiscard]] Result {
 public:
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

/// Success without a value, or an Error.
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

#define TIDAR_JOIN_(a, b) a##b
#define TIDAR_JOIN(a, b) TIDAR_JOIN_(a, b)
#define TIDAR_TRY_(result, declaration, expression)        \
  auto result = (expression);                              \
  if (!result.ok()) return ::tidar::Error(result.error()); \
  declaration = std::move(result).value()

/// TIDAR_TRY(auto file, open(path)): declares or assigns the value, or returns the Error.
#define TIDAR_TRY(declaration, expression) \
  TIDAR_TRY_(TIDAR_JOIN(try_, __LINE__), declaration, expression)

/// TIDAR_TRY_VOID(check(path)): returns the Error of a Result<void>, if there is one.
#define TIDAR_TRY_VOID(expression)                                                                \
  do {                                                                                            \
    if (auto try_void_ = (expression); !try_void_.ok()) return ::tidar::Error(try_void_.error()); \
  } while (false)
