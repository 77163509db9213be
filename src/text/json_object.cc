#include "text/json_object.h"

#include <algorithm>

namespace tidar {
namespace {

using simdjson::dom::element;

std::string_view kind_of(element value) {
  switch (value.type()) {
    case simdjson::dom::element_type::ARRAY:
      return "an array";
    case simdjson::dom::element_type::OBJECT:
      return "an object";
    case simdjson::dom::element_type::STRING:
      return "a string";
    case simdjson::dom::element_type::BOOL:
      return "true or false";
    case simdjson::dom::element_type::NULL_VALUE:
      return "null";
    default:
      return "a number";
  }
}

}  // namespace

Result<JsonObject> JsonObject::of(element value, std::string path) {
  simdjson::dom::object fields;
  if (value.get(fields)) return error("{} must be an object, found {}", path, kind_of(value));
  return JsonObject(fields, std::move(path));
}

std::string JsonObject::path_of(std::string_view key) const {
  return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
}

std::optional<element> JsonObject::find(std::string_view key) const {
  element value;
  if (fields_.at_key(key).get(value) || value.is_null()) return std::nullopt;
  return value;
}

Error JsonObject::wrong(std::string_view key, std::string_view expected) const {
  const auto value = find(key);
  return error("{} must be {}, found {}", path_of(key), expected,
               value ? kind_of(*value) : "nothing");
}

Result<std::string_view> JsonObject::text(std::string_view key) const {
  const auto value = find(key);
  std::string_view text;
  if (!value || value->get(text)) return wrong(key, "a string");
  return text;
}

Result<JsonObject> JsonObject::object(std::string_view key) const {
  const auto value = find(key);
  if (!value) return wrong(key, "an object");
  return of(*value, path_of(key));
}

Result<simdjson::dom::array> JsonObject::array(std::string_view key) const {
  const auto value = find(key);
  simdjson::dom::array items;
  if (!value || value->get(items)) return wrong(key, "an array");
  return items;
}

Result<std::vector<JsonObject>> JsonObject::objects(std::string_view key) const {
  TIDAR_TRY(const auto items, array(key));
  std::vector<JsonObject> objects;
  for (element item : items) {
    TIDAR_TRY(JsonObject object, of(item, fmt::format("{}[{}]", path_of(key), objects.size())));
    objects.push_back(std::move(object));
  }
  return objects;
}

Result<int32_t> JsonObject::integer(std::string_view key, int64_t limit) const {
  const auto value = find(key);
  int64_t number = 0;
  if (!value || value->get(number)) return wrong(key, "an integer");
  if (number < 0 || number >= limit) {
    return error("{} must be between 0 and {}, found {}", path_of(key), limit - 1, number);
  }
  return static_cast<int32_t>(number);
}

Result<bool> JsonObject::flag(std::string_view key, bool fallback) const {
  const auto value = find(key);
  if (!value) return fallback;
  bool flag = false;
  if (value->get(flag)) return wrong(key, "true or false");
  return flag;
}

Result<void> JsonObject::only(std::initializer_list<std::string_view> known) const {
  std::vector<std::string_view> seen;
  for (const auto& field : fields_) {
    const std::string_view key = field.key;
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      return error("the field {} is not supported", path_of(key));
    }
    if (std::find(seen.begin(), seen.end(), key) != seen.end()) {
      return error("the field {} is given twice", path_of(key));
    }
    seen.push_back(key);
  }
  return {};
}

Error JsonObject::unsupported(std::string_view what) const {
  return error("{}: {} is not supported", path_, what);
}

}  // namespace tidar
