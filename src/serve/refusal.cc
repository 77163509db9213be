#include "serve/refusal.h"

namespace tidar {
namespace {

std::string_view type_of(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 404:
    case 405:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    default:
      return status >= 500 ? "server_error" : "invalid_request_error";
  }
}

OrderedJson text_or_null(const std::string& text) {
  return text.empty() ? OrderedJson() : OrderedJson(text);
}

}  // namespace

OrderedJson to_json(const Refusal& refusal) {
  return {{"error",
           {{"message", refusal.message},
            {"type", type_of(refusal.status)},
            {"param", text_or_null(refusal.param)},
            {"code", text_or_null(refusal.code)}}}};
}

std::string to_text(const OrderedJson& json) {
  return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

}  // namespace tidar
