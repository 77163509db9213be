#include "text/jinja/methods.h"

#include <array>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/texts.h"

namespace tidar::jinja {
namespace {

using Call = Result<Value> (*)(Heap&, const Value& self, const Arguments&);

struct Entry {
  std::string_view name;
  Call call;
};

constexpr size_t kWide = 64;  // bytes of a value in a list, about

// Texts.

template <Ends ends>
Result<Value> strip(Heap& heap, const Value& self, const Arguments& arguments) {
  TIDAR_TRY(const auto given, arguments.bind<1>("strip()", {"chars"}));
  TIDAR_TRY(const MarkedText* chars, text_or_none(given[0], "what strip() takes away"));
  const MarkedText& text = *self.text();
  if (chars == nullptr) return heap.text(text.slice(stripped(text.bytes(), ends)));
  const std::string_view characters = chars->bytes();
  return heap.text(text.slice(stripped(text.bytes(), ends, &characters)));
}

template <Case to>
Result<Value> change_case(Heap& heap, const Value& self, const Arguments& arguments) {
  TIDAR_TRY_VOID(arguments.bind<0>("upper() and its like", {}));
  TIDAR_TRY_VOID(heap.budget().spend_bytes(self.text()->size()));
  return heap.text(with_case(*self.text(), to));
}

Result<Value> pieces(Heap& heap, const MarkedText& text, const std::vector<Span>& spans) {
  TIDAR_TRY_VOID(heap.budget().spend_bytes(spans.size(), kWide));
  std::vector<Value> items;
  for (const Span& span : spans) {
    TIDAR_TRY(const Value item, heap.text(text.slice(span)));
    items.push_back(item);
  }
  return heap.list(std::move(items));
}

Result<Value> split_text(Heap& heap, const Value& self, const Arguments& arguments) {
  TIDAR_TRY(const auto given, arguments.bind<2>("split()", {"sep", "maxsplit"}));
  TIDAR_TRY(const MarkedText* separator, text_or_none(given[0], "the separator of split()"));
  TIDAR_TRY(const int64_t limit, integer_or(given[1], -1, "maxsplit"));
  const MarkedText& text = *self.text();
  TIDAR_TRY_VOID(heap.budget().spend_bytes(text.size(), sizeof(Span)));
  if (separator == nullptr) return pieces(heap, text, split(text.bytes(), nullptr, limit));
  if (separator->empty()) return error("the separator of split() is empty");
  const std::string_view bytes = separator->bytes();
  return pieces(heap, text, split(text.bytes(), &bytes, limit));
}

Result<Value> split_into_lines(Heap& heap, const Value& self, const Arguments& arguments) {
  TIDAR_TRY_VOID(arguments.bind<0>("splitlines()", {}));
  TIDAR_TRY_VOID(heap.budget().spend_bytes(self.text()->size(), sizeof(Span)));
  return pieces(heap, *self.text(), split_lines(self.text()->bytes()));
}

Result<Value> replace(Heap& heap, const Value& self, const Arguments& arguments) {
  TIDAR_TRY(const auto given, arguments.bind<3>("replace()", {"old", "new", "count"}));
  TIDAR_TRY(const MarkedText* pattern, needed_text(given[0], "what replace() looks for"));
  TIDAR_TRY(const MarkedText* content, needed_text(given[1], "what replace() puts in"));
  TIDAR_TRY(const int64_t count, integer_or(given[2], -1, "the count of replace()"));
  TIDAR_TRY(MarkedText result, replaced(heap.budget(), *self.text(), *pattern, *content, count));
  return heap.text(std::move(result));
}

/// Whether a text begins or ends with one text, or with one of several.
template <bool at_begin>
Result<Value> touches(Heap& /*heap*/, const Value& self, const Arguments& arguments) {
  TIDAR_TRY(const auto given, arguments.bind<1>("startswith() or endswith()", {"prefix"}));
  if (given[0] == nullptr) return error("startswith() or endswith() is not told what to look for");
  const std::string& text = self.text()->bytes();
  const std::vector<Value> one = {*given[0]};
  const List* several = given[0]->list();
  for (const Value& value : several != nullptr ? several->items : one) {
    TIDAR_TRY(const MarkedText* part, needed_text(&value, "what startswith() looks for"));
    if (at_begin ? text.starts_with(part->bytes()) : text.ends_with(part->bytes()))
      return Value(true);
  }
  return Value(false);
}

template <bool at_begin>
Result<Value> remove_end(Heap& heap, const Value& self, const Arguments& arguments) {
  TIDAR_TRY(const auto given, arguments.bind<1>("removeprefix() or removesuffix()", {"part"}));
  TIDAR_TRY(const MarkedText* part, needed_text(given[0], "what is to be removed"));
  const MarkedText& text = *self.text();
  Span kept{0, text.size()};
  if (at_begin && text.bytes().starts_with(part->bytes())) kept.begin = part->size();
  if (!at_begin && text.bytes().ends_with(part->bytes())) kept.end -= part->size();
  return heap.text(text.slice(kept));
}

Result<Value> find_part(Heap& /*heap*/, const Value& self, const Arguments& arguments) {
  TIDAR_TRY(const auto given, arguments.bind<1>("find()", {"part"}));
  TIDAR_TRY(const MarkedText* part, needed_text(given[0], "what find() looks for"));
  const std::string_view text = self.text()->bytes();
  const size_t found = find_text(text, part->bytes());
  if (found == std::string_view::npos) return Value(int64_t{-1});
  return Value(static_cast<int64_t>(character_count(text.substr(0, found))));
}

Result<Value> count_text(Heap& /*heap*/, const Value& self, const Arguments& arguments) {
  TIDAR_TRY(const auto given, arguments.bind<1>("count()", {"part"}));
  TIDAR_TRY(const MarkedText* part, needed_text(given[0], "what count() looks for"));
  const std::string_view text = self.text()->bytes();
  if (part->empty()) return Value(static_cast<int64_t>(character_count(text)) + 1);
  int64_t count = 0;
  for (size_t at = 0; (at = find_text(text, part->bytes(), at)) != std::string_view::npos;
       ++count) {
    at += part->size();
  }
  return Value(count);
}

Result<Value> join(Heap& heap, const Value& self, const Arguments& arguments) {
  TIDAR_TRY(const auto given, arguments.bind<1>("join()", {"items"}));
  if (given[0] == nullptr) return error("join() is not told what to join");
  TIDAR_TRY(const std::vector<Value> items, items_of(heap, *given[0]));
  MarkedText joined;
  for (size_t i = 0; i < items.size(); ++i) {
    TIDAR_TRY(const MarkedText* item, needed_text(&items[i], "an item of join()"));
    TIDAR_TRY_VOID(heap.budget().spend_bytes(self.text()->size() + item->size()));
    if (i > 0) joined.append(*self.text());
    joined.append(*item);
  }
  return heap.text(std::move(joined));
}

constexpr std::array<Entry, 17> kTextMethods = {{{"strip", strip<Ends::both>},
                                                 {"lstrip", strip<Ends::left>},
                                                 {"rstrip", strip<Ends::right>},
                                                 {"upper", change_case<Case::upper>},
                                                 {"lower", change_case<Case::lower>},
                                                 {"title", change_case<Case::title>},
                                                 {"capitalize", change_case<Case::capitalized>},
                                                 {"split", split_text},
                                                 {"splitlines", split_into_lines},
                                                 {"replace", replace},
                                                 {"startswith", touches<true>},
                                                 {"endswith", touches<false>},
                                                 {"removeprefix", remove_end<true>},
                                                 {"removesuffix", remove_end<false>},
                                                 {"find", find_part},
                                                 {"count", count_text},
                                                 {"join", join}}};

// Maps.

Result<Value> get(Heap& /*heap*/, const Value& self, const Arguments& arguments) {
  TIDAR_TRY(const auto given, arguments.bind<2>("get()", {"key", "default"}));
  if (given[0] == nullptr) return error("get() is not told a key");
  const MarkedText* key = given[0]->text();
  const Value* found = key == nullptr ? nullptr : self.map()->find(key->bytes());
  if (found != nullptr) return *found;
  return given[1] != nullptr ? *given[1] : Value(None{});
}

Result<Value> items(Heap& heap, const Value& self, const Arguments& arguments) {
  TIDAR_TRY_VOID(arguments.bind<0>("items()", {}));
  std::vector<Value> pairs;
  for (const auto& [key, value] : self.map()->entries) {
    TIDAR_TRY(const Value pair, heap.list({key, value}, true));
    pairs.push_back(pair);
  }
  return heap.list(std::move(pairs));
}

Result<Value> keys(Heap& heap, const Value& self, const Arguments& arguments) {
  TIDAR_TRY_VOID(arguments.bind<0>("keys()", {}));
  TIDAR_TRY(std::vector<Value> all, items_of(heap, self));
  return heap.list(std::move(all));
}

Result<Value> values(Heap& heap, const Value& self, const Arguments& arguments) {
  TIDAR_TRY_VOID(arguments.bind<0>("values()", {}));
  TIDAR_TRY_VOID(heap.budget().spend_bytes(self.map()->entries.size(), sizeof(Value)));
  std::vector<Value> all;
  for (const auto& [key, value] : self.map()->entries) all.push_back(value);
  return heap.list(std::move(all));
}

constexpr std::array<Entry, 4> kMapMethods = {
    {{"get", get}, {"items", items}, {"keys", keys}, {"values", values}}};

// Loops.

Result<Value> cycle(Heap& /*heap*/, const Value& self, const Arguments& arguments) {
  if (arguments.positional.empty()) return error("loop.cycle() is given nothing to choose from");
  const Loop& loop = **std::get_if<const Loop*>(&self.data());
  return arguments.positional[loop.index % arguments.positional.size()];
}

constexpr std::array<Entry, 1> kLoopMethods = {{{"cycle", cycle}}};

std::span<const Entry> methods_of(const Value& self) {
  if (self.text() != nullptr) return kTextMethods;
  if (self.map() != nullptr) return kMapMethods;
  if (self.is<const Loop*>()) return kLoopMethods;
  return {};
}

Call method_of(const Value& self, std::string_view name) {
  for (const Entry& entry : methods_of(self)) {
    if (entry.name == name) return entry.call;
  }
  return nullptr;
}

}  // namespace

bool has_method(const Value& self, std::string_view name) {
  return method_of(self, name) != nullptr;
}

Result<Value> call_method(Heap& heap, const Method& method, const Arguments& arguments) {
  const Call call = method_of(method.self, method.name);
  TIDAR_CHECK(call != nullptr);
  return call(heap, method.self, arguments);
}

}  // namespace tidar::jinja
