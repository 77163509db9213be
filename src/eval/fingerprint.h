#pragma once
// Short names for contents, to tell results of one model or file from those of another. Not safe
// against somebody who wants two contents to have one name.

#include <filesystem>
#include <string>

#include "base/result.h"

namespace tidar {

/// Of all bytes of a file: 16 hexadecimal digits.
Result<std::string> fingerprint_of_file(const std::filesystem::path& path);

/// Of a model's folder: config.json, tokenizer.json, and of each *.safetensors file its name, its
/// size, its beginning and a thousand places in it; likewise of adapters in folders within, and
/// their adapter_config.json. Of a GGUF file size, beginning and places. A copy of the folder has
/// the same name; weights that were trained further have another.
Result<std::string> fingerprint_of_model(const std::filesystem::path& model);

}  // namespace tidar
