#pragma once
// What a client is told instead of an answer: an HTTP status, and the error object that clients of
// OpenAI's interface read.

#include <string>
#include <utility>

#include "format/json.h"

namespace tidar {

struct Refusal {
  int status = 400;
  std::string message;  ///< one sentence that says what to do
  std::string param{};  ///< the field that is wrong; "": none is
  std::string code{};   ///< for programs: "context_length_exceeded"; "": none
  std::string allow{};  ///< status 405: the methods that there are
};

/// Status 400, because of a field.
inline Refusal refuse_field(std::string param, std::string message) {
  return {.message = std::move(message), .param = std::move(param)};
}

/// {"error": {"message", "type", "param", "code"}}; the type follows from the status.
OrderedJson to_json(const Refusal& refusal);

/// JSON as it is sent: text that is not UTF-8 becomes U+FFFD.
std::string to_text(const OrderedJson& json);

}  // namespace tidar
