#pragma once
// The fields of a JSON body, read one after another: the first that is wrong is remembered, so that
// whoever reads twenty fields asks once. Fields that nobody reads are ignored, null is absence.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/json.h"
#include "serve/refusal.h"

namespace tidar {

/// A body, or what is wrong with it: no JSON, no object, a field given twice, too deep a nesting.
/// Objects keep the order of their keys, which templates show to the model.
struct Body {
  OrderedJson json = OrderedJson::object();
  std::optional<Refusal> refusal;
};
Body parse_body(std::string_view text);

/// A view: the body must outlive it. A method that finds its field writes the value; else it leaves
/// what is there.
class BodyReader {
 public:
  explicit BodyReader(const OrderedJson& body) : body_(body) {}

  /// nullptr when the field is absent.
  const OrderedJson* find(const char* key) const;

  void read(const char* key, bool& value);
  void read(const char* key, std::string& value);
  void read(const char* key, int& value, IntegerRange range);
  void read(const char* key, float& value, NumberRange range);
  template <class Value, class Range>
  void read(const char* key, std::optional<Value>& value, Range range) {
    if (find(key) == nullptr) return;
    value.emplace();
    read(key, *value, range);
  }
  /// From 0 to 2^64 - 1; negative ones, which some clients send, count down from there.
  void read_seed(const char* key, std::optional<uint64_t>& value);
  /// One text or a list of them.
  void read_texts(const char* key, std::vector<std::string>& value, size_t most);

  /// Remembers that a field is wrong, unless another was before: "'<key>' must be <expected>".
  void wrong(const char* key, std::string_view expected);
  void refuse(Refusal refusal);

  bool ok() const { return !refusal_.has_value(); }
  const std::optional<Refusal>& refusal() const { return refusal_; }

 private:
  const OrderedJson& body_;
  std::optional<Refusal> refusal_;
};

/// The integers of a list, each at least 0; nothing when it is anything else.
std::optional<std::vector<int32_t>> token_ids(const OrderedJson& list);

}  // namespace tidar
