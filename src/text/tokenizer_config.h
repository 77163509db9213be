#pragma once
// tokenizer_config.json, which says what special tokens are for and how conversations are written.

#include <filesystem>

#include "base/result.h"
#include "format/json.h"

namespace tidar {

/// That of a Hugging Face folder, or what it would be of a GGUF file; an empty object where the
/// folder has none.
Result<Json> read_tokenizer_config(const std::filesystem::path& model);

}  // namespace tidar
