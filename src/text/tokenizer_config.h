#pragma once
// tokenizer_config.json, which says what special tokens are for and how conversations are written.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "format/json.h"

namespace tidar {

/// That of a Hugging Face folder, or what it would be of a GGUF file; an empty object where the
/// folder has none.
Result<Json> read_tokenizer_config(const std::filesystem::path& model);

/// The text of a special token, such as "eos_token", that such a config names: it does so by the
/// text itself or by an object.
std::optional<std::string> special_token(const Json& config, std::string_view name);

}  // namespace tidar
