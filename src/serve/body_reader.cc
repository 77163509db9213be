#include "serve/body_reader.h"

#include <fmt/format.h>

#include <limits>
#include <utility>

namespace tidar {
namespace {

/// The value of an integer, also where it is written 16.0; nothing for what is none.
std::optional<int64_t> whole(const OrderedJson& json) {
  if (json.is_number_unsigned() &&
      json.get<uint64_t>() > uint64_t{std::numeric_limits<int64_t>::max()}) {
    return std::nullopt;
  }
  if (json.is_number_integer()) return json.get<int64_t>();
  if (!json.is_number_float()) return std::nullopt;
  const double number = json.get<double>();
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (!(number >= -kExact && number <= kExact)) return std::nullopt;
  const auto integer = static_cast<int64_t>(number);
  return static_cast<double>(integer) == number ? std::optional(integer) : std::nullopt;
}

}  // namespace

Body parse_body(std::string_view text) {
  Body body;
  // It says what is wrong and where, in the words of every other JSON that is read here.
  const auto checked = parse_json_object(text, "the body");
  if (checked.ok()) {
    body.json = OrderedJson::parse(text);
  } else {
    body.refusal = Refusal{.message = checked.error().message + "; send one JSON object"};
  }
  return body;
}

const OrderedJson* BodyReader::find(const char* key) const {
  const auto found = body_.find(key);
  return found == body_.end() || found->is_null() ? nullptr : &*found;
}

void BodyReader::read(const char* key, bool& value) {
  const OrderedJson* const field = find(key);
  if (field == nullptr) return;
  if (!field->is_boolean()) return wrong(key, "true or false");
  value = field->get<bool>();
}

void BodyReader::read(const char* key, std::string& value) {
  const OrderedJson* const field = find(key);
  if (field == nullptr) return;
  if (!field->is_string()) return wrong(key, "a text");
  value = field->get<std::string>();
}

void BodyReader::read(const char* key, int& value, IntegerRange range) {
  const OrderedJson* const field = find(key);
  if (field == nullptr) return;
  const auto number = whole(*field);
  if (!number || *number < range.from || *number > range.to) {
    return wrong(key, fmt::format("an integer from {} to {}", range.from, range.to));
  }
  value = static_cast<int>(*number);
}

void BodyReader::read(const char* key, float& value, NumberRange range) {
  const OrderedJson* const field = find(key);
  if (field == nullptr) return;
  const double number =
      field->is_number() ? field->get<double>() : std::numeric_limits<double>::quiet_NaN();
  if (!(number >= range.from && number <= range.to)) {
    return wrong(key, fmt::format("a number from {} to {}", range.from, range.to));
  }
  value = static_cast<float>(number);
}

void BodyReader::read_seed(const char* key, std::optional<uint64_t>& value) {
  const OrderedJson* const field = find(key);
  if (field == nullptr) return;
  if (!field->is_number_integer()) return wrong(key, "an integer");
  value = field->get<uint64_t>();
}

void BodyReader::read_texts(const char* key, std::vector<std::string>& value, size_t most) {
  const OrderedJson* const field = find(key);
  if (field == nullptr) return;
  const std::string expected = fmt::format("a text or a list of up to {} texts, none empty", most);
  const OrderedJson list = field->is_array() ? *field : OrderedJson::array({*field});
  if (list.size() > most) return wrong(key, expected);
  value.clear();
  for (const OrderedJson& text : list) {
    if (!text.is_string() || text.get_ref<const std::string&>().empty()) {
      return wrong(key, expected);
    }
    value.push_back(text.get<std::string>());
  }
}

void BodyReader::wrong(const char* key, std::string_view expected) {
  refuse(refuse_field(key, fmt::format("'{}' must be {}", key, expected)));
}

void BodyReader::refuse(Refusal refusal) {
  if (ok()) refusal_ = std::move(refusal);
}

std::optional<std::vector<int32_t>> token_ids(const OrderedJson& list) {
  if (!list.is_array()) return std::nullopt;
  std::vector<int32_t> ids;
  ids.reserve(list.size());
  for (const OrderedJson& item : list) {
    if (!item.is_number_integer()) return std::nullopt;
    const auto id = whole(item);
    if (!id || *id < 0 || *id > std::numeric_limits<int32_t>::max()) return std::nullopt;
    ids.push_back(static_cast<int32_t>(*id));
  }
  return ids;
}

}  // namespace tidar
