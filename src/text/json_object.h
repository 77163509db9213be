#pragma once
// Reading objects of a parsed JSON file with errors that say where in the file they are.

#include <simdjson.h>

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tidar {

/// An object and its place in the file ("pre_tokenizer.pretokenizers[0]"). A view: the parser that
/// made the element must outlive it.
class JsonObject {
 public:
  static Result<JsonObject> of(simdjson::dom::element value, std::string path);

  const std::string& path() const { return path_; }
  /// The place of a field.
  std::string path_of(std::string_view key) const;

  /// A field that is there and not null.
  std::optional<simdjson::dom::element> find(std::string_view key) const;

  /// Fields that must be there.
  Result<std::string_view> text(std::string_view key) const;
  Result<JsonObject> object(std::string_view key) const;
  Result<simdjson::dom::array> array(std::string_view key) const;
  Result<std::vector<JsonObject>> objects(std::string_view key) const;
  /// An integer in [0, limit).
  Result<int32_t> integer(std::string_view key, int64_t limit) const;
  /// True or false; `fallback` when it is not there.
  Result<bool> flag(std::string_view key, bool fallback) const;

  /// An Error when there is a field that is none of `known`, or one twice: what it means is
  /// unknown.
  Result<void> only(std::initializer_list<std::string_view> known) const;

  Error unsupported(std::string_view what) const;

 private:
  JsonObject(simdjson::dom::object fields, std::string path)
      : fields_(fields), path_(std::move(path)) {}
  Error wrong(std::string_view key, std::string_view expected) const;

  simdjson::dom::object fields_;
  std::string path_;
};

}  // namespace tidar
