#pragma once
// JSON that others wrote, such as config.json: parsed strictly, then read field by field, with
// errors that name the file, the field, what was expected and what was found.

#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tidar {

using Json = nlohmann::json;
/// For writing: objects keep the order in which their keys were set.
using OrderedJson = nlohmann::ordered_json;

/// Parses a text whose top level is an object. Refused as well: a field given twice, and nesting
/// deeper than 64. `where` names the text in errors.
Result<Json> parse_json_object(std::string_view text, const std::string& where);

/// "<where>, line 3, column 7: not valid JSON near '…'", for a parser that stopped when it had read
/// `bytes` bytes; one more than there are when it met the end.
Error json_error(std::string_view text, size_t bytes, const std::string& where);

/// The smallest and the largest value that a field may have.
struct IntegerRange {
  int from = 0;
  int to = 0;
};
struct NumberRange {
  double from = 0;
  double to = 0;
};

/// Typed access to the fields of one object. A view: the Json must outlive it. A field that is null
/// counts as absent. Where a method takes `absent`, that is its value when there is no such field;
/// without one, a missing field is an Error.
class JsonFields {
 public:
  /// `object` must be an object; `where` names it in errors.
  JsonFields(const Json& object, std::string where);

  bool has(std::string_view key) const { return find(key) != nullptr; }
  /// Whether the field is there and null, where that says more than its absence.
  bool is_null(std::string_view key) const;
  const std::string& where() const { return where_; }

  Result<int> integer(std::string_view key, IntegerRange range,
                      std::optional<int> absent = {}) const;
  /// As far as doubles count exactly: 2^53.
  Result<int64_t> count(std::string_view key, int64_t from,
                        std::optional<int64_t> absent = {}) const;
  /// An integer or a fraction.
  Result<double> number(std::string_view key, NumberRange range,
                        std::optional<double> absent = {}) const;
  Result<bool> boolean(std::string_view key, std::optional<bool> absent = {}) const;
  Result<std::string> text(std::string_view key, std::optional<std::string> absent = {}) const;
  /// One integer, or a list of them; empty when absent.
  Result<std::vector<int>> integers(std::string_view key, IntegerRange range) const;
  /// A list of integers or fractions; empty when absent.
  Result<std::vector<double>> numbers(std::string_view key, NumberRange range) const;
  /// A list of texts; empty when absent.
  Result<std::vector<std::string>> texts(std::string_view key) const;
  /// An object within this one; nothing when absent.
  Result<std::optional<JsonFields>> object(std::string_view key) const;

  /// All keys, in the order of the file's JSON library: sorted.
  std::vector<std::string> keys() const;
  /// An Error that names the first field that is not one of `known`, and the nearest that is: for
  /// files that people write by hand.
  Result<void> refuse_others(std::span<const std::string_view> known) const;

  /// "<where>: field '<key>' is <found>; expected <expected>".
  Error wrong(std::string_view key, std::string_view expected) const;

 private:
  const Json* find(std::string_view key) const;

  const Json* object_;
  std::string where_;
};

}  // namespace tidar
