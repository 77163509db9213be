#include "text/jinja/value.h"

#include <algorithm>
#include <array>
#include <type_traits>

#include "text/jinja/methods.h"
#include "text/jinja/texts.h"

namespace tidar::jinja {
namespace {

/// What a value costs beside what it says.
constexpr size_t kObjectBytes = 64;

Error no_order(const Value& left, const Value& right) {
  return error("{} and {} have no order", kind_of(left), kind_of(right));
}

Result<bool> equal_lists(Budget& budget, const List& left, const List& right) {
  if (left.items.size() != right.items.size() || left.tuple != right.tuple) return false;
  for (size_t i = 0; i < left.items.size(); ++i) {
    TIDAR_TRY(const bool same, equal(budget, left.items[i], right.items[i]));
    if (!same) return false;
  }
  return true;
}

Result<bool> equal_maps(Budget& budget, const Map& left, const Map& right) {
  if (left.entries.size() != right.entries.size()) return false;
  for (const auto& [key, value] : left.entries) {
    const Value* other = right.find(key->bytes());
    if (other == nullptr) return false;
    TIDAR_TRY(const bool same, equal(budget, value, *other));
    if (!same) return false;
  }
  return true;
}

Result<int> compare_lists(Budget& budget, const List& left, const List& right) {
  const size_t both = std::min(left.items.size(), right.items.size());
  for (size_t i = 0; i < both; ++i) {
    TIDAR_TRY(const bool same, equal(budget, left.items[i], right.items[i]));
    if (!same) return compare(budget, left.items[i], right.items[i]);
  }
  return left.items.size() < right.items.size() ? -1 : left.items.size() > right.items.size();
}

Value loop_field(const Loop& loop, std::string_view name) {
  const auto count = static_cast<int64_t>(loop.items.size());
  const auto index = static_cast<int64_t>(loop.index);
  if (name == "index") return index + 1;
  if (name == "index0") return index;
  if (name == "revindex") return count - index;
  if (name == "revindex0") return count - index - 1;
  if (name == "first") return index == 0;
  if (name == "last") return index == count - 1;
  if (name == "length") return count;
  if (name == "previtem" && index > 0) return loop.items[loop.index - 1];
  if (name == "nextitem" && index < count - 1) return loop.items[loop.index + 1];
  return Undefined{name};
}

/// The place that Python's index means, or nothing.
template <class T>
bool place_of(int64_t index, T count, size_t& place) {
  const auto size = static_cast<int64_t>(count);
  if (index < 0) index += size;
  place = static_cast<size_t>(index);
  return index >= 0 && index < size;
}

}  // namespace

const Value* Map::find(std::string_view key) const {
  const auto found = places_.find(key);
  return found == places_.end() ? nullptr : &entries[found->second].second;
}

void Map::set(const MarkedText* key, Value value) {
  const auto [place, fresh] = places_.emplace(key->bytes(), entries.size());
  if (fresh) {
    entries.emplace_back(key, value);
  } else {
    entries[place->second].second = value;
  }
}

const Value* Scope::find(std::string_view name) const {
  for (const Scope* scope = this; scope != nullptr; scope = scope->outer) {
    const auto found = scope->names.find(name);
    if (found != scope->names.end()) return &found->second;
  }
  return nullptr;
}

Result<Value> Heap::text(MarkedText text) {
  TIDAR_TRY_VOID(budget_.spend_bytes(text.size() + kObjectBytes));
  const MarkedText* kept = &texts_.emplace_back(std::move(text));
  return Value(kept);
}

Result<Value> Heap::list(std::vector<Value> items, bool tuple) {
  TIDAR_TRY_VOID(budget_.spend_bytes(items.size() * sizeof(Value) + kObjectBytes));
  const List* kept = &lists_.emplace_back(List{std::move(items), tuple});
  return Value(kept);
}

Result<Value> Heap::map(Map map) {
  TIDAR_TRY_VOID(budget_.spend_bytes(map.entries.size() + 1, 2 * kObjectBytes));
  const Map* kept = &maps_.emplace_back(std::move(map));
  return Value(kept);
}

Result<Value> Heap::callable(Callable callable) {
  TIDAR_TRY_VOID(budget_.spend_bytes(kObjectBytes));
  const Callable* kept = &callables_.emplace_back(callable);
  return Value(kept);
}

Result<Value> Heap::make_namespace(Namespace fields) {
  TIDAR_TRY_VOID(budget_.spend_bytes(fields.fields.size() + 1, 2 * kObjectBytes));
  return Value(&namespaces_.emplace_back(std::move(fields)));
}

Result<Loop*> Heap::loop(Loop loop) {
  TIDAR_TRY_VOID(budget_.spend_bytes(kObjectBytes));
  return &loops_.emplace_back(loop);
}

Result<Scope*> Heap::scope(Scope* outer) {
  TIDAR_TRY_VOID(budget_.spend_bytes(2 * kObjectBytes));
  return &scopes_.emplace_back(Scope{outer, {}});
}

std::string_view kind_of(const Value& value) {
  constexpr std::array<std::string_view, std::variant_size_v<Value::Data>> kKinds = {
      "nothing", "none",  "a boolean",   "a whole number", "a fraction", "a text",
      "a list",  "a map", "a namespace", "a loop",         "a function"};
  return kKinds[value.data().index()];
}

bool is_true(const Value& value) {
  if (const bool* flag = std::get_if<bool>(&value.data())) return *flag;
  if (value.is<Undefined>() || value.is<None>()) return false;
  if (is_number(value)) return number_of(value) != 0;
  if (value.text() != nullptr) return !value.text()->empty();
  if (value.list() != nullptr) return !value.list()->items.empty();
  if (value.map() != nullptr) return !value.map()->entries.empty();
  return true;
}

bool is_number(const Value& value) {
  return value.is<bool>() || value.is<int64_t>() || value.is<double>();
}

double number_of(const Value& value) {
  if (const bool* flag = std::get_if<bool>(&value.data())) return *flag ? 1 : 0;
  if (const int64_t* integer = value.integer()) return static_cast<double>(*integer);
  const double* fraction = std::get_if<double>(&value.data());
  TIDAR_CHECK(fraction != nullptr);
  return *fraction;
}

Result<bool> equal(Budget& budget, const Value& left, const Value& right) {
  TIDAR_TRY_VOID(budget.spend_steps(1));
  if (is_number(left) && is_number(right)) {
    if (left.integer() != nullptr && right.integer() != nullptr) {
      return *left.integer() == *right.integer();
    }
    return number_of(left) == number_of(right);
  }
  if (left.data().index() != right.data().index()) return false;
  if (left.text() != nullptr) return left.text()->bytes() == right.text()->bytes();
  if (left.list() != nullptr) return equal_lists(budget, *left.list(), *right.list());
  if (left.map() != nullptr) return equal_maps(budget, *left.map(), *right.map());
  if (left.is<Undefined>() || left.is<None>()) return true;
  return std::visit(
      [&](auto data) {
        if constexpr (std::is_pointer_v<decltype(data)>) {
          return data == std::get<decltype(data)>(right.data());
        }
        return false;
      },
      left.data());
}

Result<int> compare(Budget& budget, const Value& left, const Value& right) {
  TIDAR_TRY_VOID(budget.spend_steps(1));
  if (left.integer() != nullptr && right.integer() != nullptr) {
    return *left.integer() < *right.integer() ? -1 : *left.integer() > *right.integer();
  }
  if (is_number(left) && is_number(right)) {
    return number_of(left) < number_of(right) ? -1 : number_of(left) > number_of(right);
  }
  if (left.text() != nullptr && right.text() != nullptr) {
    return left.text()->bytes().compare(right.text()->bytes());
  }
  if (left.list() != nullptr && right.list() != nullptr) {
    return compare_lists(budget, *left.list(), *right.list());
  }
  return no_order(left, right);
}

Result<bool> contains(Heap& heap, const Value& whole, const Value& part) {
  if (whole.is<Undefined>()) return false;
  if (const List* list = whole.list()) {
    for (const Value& item : list->items) {
      TIDAR_TRY(const bool same, equal(heap.budget(), item, part));
      if (same) return true;
    }
    return false;
  }
  if (const Map* map = whole.map()) {
    return part.text() != nullptr && map->find(part.text()->bytes()) != nullptr;
  }
  if (whole.text() == nullptr) return error("nothing can be in {}", kind_of(whole));
  if (part.text() == nullptr) return error("{} cannot be in a text", kind_of(part));
  return find_text(whole.text()->bytes(), part.text()->bytes()) != std::string_view::npos;
}

Result<std::vector<Value>> items_of(Heap& heap, const Value& value) {
  if (value.is<Undefined>()) return std::vector<Value>();
  std::vector<Value> items;
  if (const List* list = value.list()) {
    TIDAR_TRY_VOID(heap.budget().spend_bytes(list->items.size(), sizeof(Value)));
    return list->items;
  }
  if (const Map* map = value.map()) {
    TIDAR_TRY_VOID(heap.budget().spend_bytes(map->entries.size(), sizeof(Value)));
    for (const auto& [key, entry] : map->entries) items.emplace_back(key);
    return items;
  }
  if (const MarkedText* text = value.text()) {
    TIDAR_TRY_VOID(heap.budget().spend_bytes(character_count(text->bytes()), sizeof(Value)));
    for (const Span& character : characters_of(text->bytes())) {
      TIDAR_TRY(const Value item, heap.text(text->slice(character)));
      items.push_back(item);
    }
    return items;
  }
  return error("{} has no items", kind_of(value));
}

Result<Value> attribute_of(Heap& heap, const Value& value, std::string_view name) {
  if (const auto* undefined = std::get_if<Undefined>(&value.data())) {
    return error("'{}' is not defined, so it has no '{}'", undefined->name, name);
  }
  if (has_method(value, name)) return heap.callable({Method{value, name}});
  if (const Map* map = value.map()) {
    const Value* found = map->find(name);
    return found != nullptr ? *found : Value(Undefined{name});
  }
  if (const auto* space = std::get_if<Namespace*>(&value.data())) {
    const auto found = (*space)->fields.find(std::string(name));
    return found != (*space)->fields.end() ? found->second : Value(Undefined{name});
  }
  if (const auto* loop = std::get_if<const Loop*>(&value.data())) return loop_field(**loop, name);
  return Value(Undefined{name});
}

Result<Value> item_of(Heap& heap, const Value& value, const Value& key) {
  if (const MarkedText* name = key.text()) {
    const Value* found = value.map() == nullptr ? nullptr : value.map()->find(name->bytes());
    if (found != nullptr) return *found;
    return attribute_of(heap, value, name->bytes());
  }
  if (const auto* undefined = std::get_if<Undefined>(&value.data())) {
    return error("'{}' is not defined, so it has no items", undefined->name);
  }
  int64_t index = 0;
  if (key.integer() != nullptr) {
    index = *key.integer();
  } else if (key.is<bool>()) {
    index = is_true(key);
  } else {
    return Value(Undefined{"item"});
  }
  size_t place = 0;
  if (const List* list = value.list()) {
    return place_of(index, list->items.size(), place) ? list->items[place]
                                                      : Value(Undefined{"item"});
  }
  if (const MarkedText* text = value.text()) {
    const size_t count = character_count(text->bytes());
    TIDAR_TRY_VOID(heap.budget().spend_bytes(count, sizeof(Span)));
    if (!place_of(index, count, place)) return Value(Undefined{"item"});
    return heap.text(text->slice(characters_of(text->bytes())[place]));
  }
  return Value(Undefined{"item"});
}

}  // namespace tidar::jinja
