#pragma once
// Files of one JSON object a line.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "base/result.h"
#include "format/json.h"

namespace tidar {

/// What to do with one object; `line` counts from 1. `fields.where()` names file and line.
using UseLine = std::function<Result<void>(const JsonFields& fields, int64_t line)>;

/// Calls use() with each object in turn, the first `most` >= 1; blank lines are passed over. The
/// first line that is no JSON object, and the first Error of use(), ends it. Also an Error: a file
/// without any object.
Result<void> read_jsonl(const std::filesystem::path& path, const UseLine& use,
                        int64_t most = std::numeric_limits<int64_t>::max());

/// Its objects as items, each of which read(fields, line) makes: a Result<Item>.
template <class Item, class Read>
Result<std::vector<Item>> read_items(const std::filesystem::path& path, Read&& read) {
  std::vector<Item> items;
  const auto use = [&](const JsonFields& fields, int64_t line) -> Result<void> {
    TIDAR_TRY(Item item, read(fields, line));
    items.push_back(std::move(item));
    return {};
  };
  TIDAR_TRY_VOID(read_jsonl(path, use));
  return items;
}

}  // namespace tidar
