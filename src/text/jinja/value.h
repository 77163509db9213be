#pragma once
// What the names of a template stand for while it is rendered. Values are small and are copied;
// what they point to belongs to the Heap of the rendering or to the syntax tree, and dies with it.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "text/jinja/limits.h"
#include "text/marked_text.h"

namespace tidar::jinja {

struct List;
struct Map;
struct Namespace;
struct Loop;
struct Callable;

/// What a name or a field that is not there stands for. `name` is for errors.
struct Undefined {
  std::string_view name;
};
struct None {};

class Value {
 public:
  using Data = std::variant<Undefined, None, bool, int64_t, double, const MarkedText*, const List*,
                            const Map*, Namespace*, const Loop*, const Callable*>;
  // Implicit, so that functions return what they have.
  template <class T>
  Value(T data) : data_(data) {}
  Value() : data_(Undefined{}) {}

  const Data& data() const { return data_; }
  template <class T>
  bool is() const {
    return std::holds_alternative<T>(data_);
  }
  // What it points to or holds, or nullptr.
  const MarkedText* text() const { return pointer<const MarkedText*>(); }
  const List* list() const { return pointer<const List*>(); }
  const Map* map() const { return pointer<const Map*>(); }
  const int64_t* integer() const { return std::get_if<int64_t>(&data_); }

 private:
  template <class T>
  T pointer() const {
    const T* found = std::get_if<T>(&data_);
    return found == nullptr ? nullptr : *found;
  }
  Data data_;
};

/// A list, or a tuple, which differs by how it is printed.
struct List {
  std::vector<Value> items;
  bool tuple = false;
};

/// Keys are texts, in the order in which they came.
struct Map {
  std::vector<std::pair<const MarkedText*, Value>> entries;

  const Value* find(std::string_view key) const;
  /// A key that is there keeps its place.
  void set(const MarkedText* key, Value value);

 private:
  std::unordered_map<std::string_view, size_t> places_;
};

/// namespace(): the only thing that a template can change after it was made.
struct Namespace {
  std::unordered_map<std::string, Value> fields;
};

/// `loop`.
struct Loop {
  std::span<const Value> items;
  size_t index = 0;
};

/// The names that a block of a template sees: its own, then those of the block around it.
struct Scope {
  Scope* outer = nullptr;
  std::unordered_map<std::string_view, Value> names;

  const Value* find(std::string_view name) const;
};

struct MacroSyntax;

/// Something that is called: a function that every template knows, a method of a value, or a macro
/// with the names that it sees.
struct BuiltIn {
  std::string_view name;
};
struct Method {
  Value self;
  std::string_view name;
};
struct Closure {
  const MacroSyntax* macro = nullptr;
  Scope* scope = nullptr;
};
struct Callable {
  std::variant<BuiltIn, Method, Closure> what;
};

/// Owns what values point to, until the rendering ends: nothing is freed before, and circles do no
/// harm.
class Heap {
 public:
  explicit Heap(const Limits& limits) : budget_(limits) {}
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  Budget& budget() { return budget_; }

  // Errors: no bytes are left.
  Result<Value> text(MarkedText text);
  Result<Value> text(std::string_view bytes) { return text(MarkedText(bytes, Origin::author)); }
  Result<Value> list(std::vector<Value> items, bool tuple = false);
  Result<Value> map(Map map);
  Result<Value> callable(Callable callable);
  Result<Value> make_namespace(Namespace fields);
  Result<Loop*> loop(Loop loop);
  Result<Scope*> scope(Scope* outer);

 private:
  Budget budget_;
  std::deque<MarkedText> texts_;
  std::deque<List> lists_;
  std::deque<Map> maps_;
  std::deque<Namespace> namespaces_;
  std::deque<Loop> loops_;
  std::deque<Callable> callables_;
  std::deque<Scope> scopes_;
};

/// "a text", "a list": for errors.
std::string_view kind_of(const Value& value);

bool is_true(const Value& value);

/// A whole number or a fraction; True and False are 1 and 0. Nothing for all else.
bool is_number(const Value& value);
double number_of(const Value& value);

/// Whether two values are equal, as Python has it.
Result<bool> equal(Budget& budget, const Value& left, const Value& right);
/// Negative, 0 or positive. Errors: values that have no order.
Result<int> compare(Budget& budget, const Value& left, const Value& right);

/// Whether `part` is in `whole`: an item of a list, a key of a map, a part of a text.
Result<bool> contains(Heap& heap, const Value& whole, const Value& part);

/// What a loop goes over: the items of a list, the keys of a map, the characters of a text.
Result<std::vector<Value>> items_of(Heap& heap, const Value& value);

/// Field `name` of `value`, as in value.name: Undefined when there is none.
Result<Value> attribute_of(Heap& heap, const Value& value, std::string_view name);
/// value[key].
Result<Value> item_of(Heap& heap, const Value& value, const Value& key);

}  // namespace tidar::jinja
