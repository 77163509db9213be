#include "text/jinja/from_json.h"

#include <string>
#include <utility>
#include <vector>

#include "text/utf8.h"

namespace tidar::jinja {
namespace {

constexpr int kMaxValueDepth = 100;

class Reader {
 public:
  Reader(Heap& heap, const OriginOf& origin_of) : heap_(heap), origin_of_(origin_of) {}

  Result<Value> read(const OrderedJson& json, std::string_view key, int depth) {
    if (depth > kMaxValueDepth)
      return error("more than {} objects or lists within each other", kMaxValueDepth);
    switch (json.type()) {
      case OrderedJson::value_t::null:
        return Value(None{});
      case OrderedJson::value_t::boolean:
        return Value(json.get<bool>());
      case OrderedJson::value_t::number_integer:
        return Value(json.get<int64_t>());
      case OrderedJson::value_t::number_unsigned:
        return read_unsigned(json.get<uint64_t>());
      case OrderedJson::value_t::number_float:
        return Value(json.get<double>());
      case OrderedJson::value_t::string:
        return read_text(json, key);
      case OrderedJson::value_t::array:
        return read_list(json, depth);
      case OrderedJson::value_t::object:
        return read_map(json, depth);
      default:
        return error("a value that is no JSON");
    }
  }

 private:
  static Result<Value> read_unsigned(uint64_t value) {
    if (value > static_cast<uint64_t>(INT64_MAX)) return Value(static_cast<double>(value));
    return Value(static_cast<int64_t>(value));
  }

  Result<Value> make_text(std::string_view bytes, Origin origin) {
    std::string repaired;
    append_lossy(repaired, bytes);
    return heap_.text(MarkedText(repaired, origin));
  }

  Result<Value> read_text(const OrderedJson& json, std::string_view key) {
    const auto& text = json.get_ref<const std::string&>();
    return make_text(text, origin_of_(key, text));
  }

  Result<Value> read_list(const OrderedJson& json, int depth) {
    std::vector<Value> items;
    for (const OrderedJson& item : json) {
      TIDAR_TRY(const Value value, read(item, "", depth + 1));
      items.push_back(value);
    }
    return heap_.list(std::move(items));
  }

  Result<Value> read_map(const OrderedJson& json, int depth) {
    Map map;
    for (const auto& [name, item] : json.items()) {
      TIDAR_TRY(const Value key, make_text(name, Origin::user));
      TIDAR_TRY(const Value value, read(item, name, depth + 1));
      map.set(key.text(), value);
    }
    return heap_.map(std::move(map));
  }

  Heap& heap_;
  const OriginOf& origin_of_;
};

}  // namespace

Result<Value> from_json(Heap& heap, const OrderedJson& json, const OriginOf& origin_of) {
  return Reader(heap, origin_of).read(json, "", 0);
}

}  // namespace tidar::jinja
