#include "format/json.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <set>
#include <span>
#include <utility>

#include "base/nearest.h"
#include "format/files.h"

namespace tidar {

namespace {

constexpr int kDeepest = 64;

// Watches the parser for what JSON itself allows and a config must not have.
class StrictWatch {
 public:
  // Returns whether the value is to be kept.
  bool operator()(int depth, Json::parse_event_t event, const Json& value) {
    const auto level = static_cast<size_t>(depth);
    if (event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start) {
      too_deep = too_deep || depth >= kDeepest;
      if (too_deep) return false;
      keys_.resize(std::max(keys_.size(), level + 1));
      keys_[level].clear();
    } else if (event == Json::parse_event_t::key && !too_deep) {
      // The keys of an object that starts at depth d are reported at depth d + 1.
      const auto& key = value.get_ref<const std::string&>();
      if (!keys_[level - 1].insert(key).second && twice.empty()) twice = in_quotes(key);
    }
    return !too_deep;
  }

  bool too_deep = false;
  std::string twice;  // the first field given twice, quoted

 private:
  std::vector<std::set<std::string>> keys_;
};

std::string describe(const Json& value) {
  switch (value.type()) {
    case Json::value_t::object:
      return "an object";
    case Json::value_t::array:
      return fmt::format("a list of {}", value.size());
    case Json::value_t::string:
      return "the text " + in_quotes(value.get_ref<const std::string&>());
    default:
      return value.dump();
  }
}

std::optional<double> number_in(const Json& value, NumberRange range) {
  if (!value.is_number()) return std::nullopt;
  const auto number = value.get<double>();
  if (!(number >= range.from && number <= range.to)) return std::nullopt;
  return number;
}

std::optional<int> integer_in(const Json& value, IntegerRange range) {
  // Beyond 2^63 numbers are kept as unsigned; converted to signed they would turn negative.
  if (!value.is_number_integer()) return {};
  if (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{INT32_MAX}) return {};
  const auto number = value.get<int64_t>();
  if (number < range.from || number > range.to) return {};
  return static_cast<int>(number);
}

std::string describe(IntegerRange range) {
  return fmt::format("an integer from {} to {}", range.from, range.to);
}

}  // namespace

Error json_error(std::string_view text, size_t bytes, const std::string& where) {
  const auto read = text.substr(0, std::min(bytes, text.size()));
  const auto line = std::count(read.begin(), read.end(), '\n') + 1;
  const auto last_break = read.rfind('\n');
  const auto column =
      last_break == std::string_view::npos ? read.size() : read.size() - last_break - 1;
  const auto near = read.substr(read.size() - std::min<size_t>(read.size(), 20));
  return error("{}, line {}, column {}: {} {}", where, line, column,
               bytes > text.size() ? "the JSON ends too early, after" : "not valid JSON near",
               in_quotes(near));
}

Result<Json> parse_json_object(std::string_view text, const std::string& where) {
  StrictWatch watch;
  Json value;
  try {
    value = Json::parse(text.begin(), text.end(), std::ref(watch));
  } catch (const Json::parse_error& failure) {
    return json_error(text, failure.byte, where);
  } catch (const Json::exception&) {
    return error("{}: holds a number that is too large for JSON readers", where);
  }
  if (watch.too_deep) return error("{}: is nested deeper than {} levels", where, kDeepest);
  if (!watch.twice.empty()) {
    return error("{}: field {} is given twice; remove one", where, watch.twice);
  }
  if (!value.is_object()) {
    return error("{}: expected a JSON object, found {}", where, describe(value));
  }
  return value;
}

JsonFields::JsonFields(const Json& object, std::string where)
    : object_(&object), where_(std::move(where)) {
  TIDAR_CHECK(object.is_object());
}

const Json* JsonFields::find(std::string_view key) const {
  const auto found = object_->find(key);
  return found == object_->end() || found->is_null() ? nullptr : &*found;
}

bool JsonFields::is_null(std::string_view key) const {
  const auto found = object_->find(key);
  return found != object_->end() && found->is_null();
}

std::vector<std::string> JsonFields::keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object_->items()) keys.push_back(key);
  return keys;
}

Result<void> JsonFields::refuse_others(std::span<const std::string_view> known) const {
  for (const std::string& key : keys()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    const std::vector<std::string> candidates(known.begin(), known.end());
    const std::string meant = nearest(key, candidates);
    return error("{}: unknown field {}; {}", where_, in_quotes(key),
                 meant.empty() ? fmt::format("known are {}", fmt::join(known, ", "))
                               : fmt::format("did you mean '{}'?", meant));
  }
  return {};
}

Error JsonFields::wrong(std::string_view key, std::string_view expected) const {
  const Json* value = find(key);
  return error("{}: field '{}' is {}; expected {}", where_, key,
               value == nullptr ? "missing" : describe(*value), expected);
}

Result<int> JsonFields::integer(std::string_view key, IntegerRange range,
                                std::optional<int> absent) const {
  const Json* value = find(key);
  if (value == nullptr && absent) return *absent;
  const auto number = value == nullptr ? std::nullopt : integer_in(*value, range);
  if (!number) return wrong(key, describe(range));
  return *number;
}

Result<int64_t> JsonFields::count(std::string_view key, int64_t from,
                                  std::optional<int64_t> absent) const {
  constexpr auto kMost = int64_t{1} << 53;
  const Json* value = find(key);
  if (value == nullptr && absent) return *absent;
  // What is kept as unsigned and does not fit turns negative, and so is refused.
  if (value != nullptr && value->is_number_integer()) {
    const auto number = value->get<int64_t>();
    if (number >= from && number <= kMost) return number;
  }
  return wrong(key, fmt::format("an integer from {} to {}", from, kMost));
}

Result<double> JsonFields::number(std::string_view key, NumberRange range,
                                  std::optional<double> absent) const {
  const Json* value = find(key);
  if (value == nullptr && absent) return *absent;
  const auto number = value == nullptr ? std::nullopt : number_in(*value, range);
  if (!number) return wrong(key, fmt::format("a number from {:g} to {:g}", range.from, range.to));
  return *number;
}

Result<bool> JsonFields::boolean(std::string_view key, std::optional<bool> absent) const {
  const Json* value = find(key);
  if (value == nullptr && absent) return *absent;
  if (value == nullptr || !value->is_boolean()) return wrong(key, "true or false");
  return value->get<bool>();
}

Result<std::string> JsonFields::text(std::string_view key,
                                     std::optional<std::string> absent) const {
  const Json* value = find(key);
  if (value == nullptr && absent) return *absent;
  if (value == nullptr || !value->is_string()) return wrong(key, "a text");
  return value->get<std::string>();
}

Result<std::vector<int>> JsonFields::integers(std::string_view key, IntegerRange range) const {
  const Json* value = find(key);
  std::vector<int> numbers;
  if (value == nullptr) return numbers;
  std::span<const Json> items(value, 1);
  if (value->is_array()) items = value->get_ref<const Json::array_t&>();
  for (const Json& item : items) {
    const auto number = integer_in(item, range);
    if (!number) return wrong(key, describe(range) + ", or a list of such");
    numbers.push_back(*number);
  }
  return numbers;
}

Result<std::vector<double>> JsonFields::numbers(std::string_view key, NumberRange range) const {
  const Json* value = find(key);
  std::vector<double> numbers;
  if (value == nullptr) return numbers;
  const auto wrong_list = [&] {
    return wrong(key, fmt::format("a list of numbers from {:g} to {:g}", range.from, range.to));
  };
  if (!value->is_array()) return wrong_list();
  for (const Json& item : *value) {
    const auto number = number_in(item, range);
    if (!number) return wrong_list();
    numbers.push_back(*number);
  }
  return numbers;
}

Result<std::vector<std::string>> JsonFields::texts(std::string_view key) const {
  const Json* value = find(key);
  std::vector<std::string> list;
  if (value == nullptr) return list;
  if (!value->is_array()) return wrong(key, "a list of texts");
  for (const Json& item : *value) {
    if (!item.is_string()) return wrong(key, "a list of texts");
    list.push_back(item.get<std::string>());
  }
  return list;
}

Result<std::optional<JsonFields>> JsonFields::object(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::optional<JsonFields>();
  if (!value->is_object()) return wrong(key, "an object");
  return std::optional(JsonFields(*value, fmt::format("{}: {}", where_, key)));
}

}  // namespace tidar
