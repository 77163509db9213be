#include "text/jinja/arguments.h"

namespace tidar::jinja {

Result<int64_t> integer_or(const Value* value, int64_t absent, std::string_view what) {
  if (value == nullptr) return absent;
  if (value->is<bool>()) return static_cast<int64_t>(is_true(*value));
  if (value->integer() == nullptr) {
    return error("{} is {}; expected a whole number", what, kind_of(*value));
  }
  return *value->integer();
}

bool flag_or(const Value* value, bool absent) {
  return value == nullptr ? absent : is_true(*value);
}

Result<const MarkedText*> text_or_none(const Value* value, std::string_view what) {
  const MarkedText* none = nullptr;
  if (value == nullptr || value->is<None>()) return none;
  return needed_text(value, what);
}

Result<const MarkedText*> needed_text(const Value* value, std::string_view what) {
  if (value == nullptr) return error("{} is missing", what);
  if (value->text() == nullptr) return error("{} is {}; expected a text", what, kind_of(*value));
  return value->text();
}

}  // namespace tidar::jinja
