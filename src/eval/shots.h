#pragma once
// Solved examples ("shots") before an item of a task.

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tidar {

/// The texts text_of(shot) of the first `count` shots that are not the item itself, is_item(shot),
/// an empty line after each. An Error that names the item by its `id` when there are fewer.
template <class Item, class IsItem, class TextOf>
Result<std::string> text_of_shots(std::span<const Item> shots, int count, std::string_view id,
                                  IsItem&& is_item, TextOf&& text_of) {
  std::string text;
  for (const Item& shot : shots) {
    if (count == 0) break;
    if (is_item(shot)) continue;
    text += text_of(shot) + "\n\n";
    --count;
  }
  if (count > 0) return error("the file of shots has too few for item {}", id);
  return text;
}

}  // namespace tidar
