#include "text/tokenizer_config.h"

#include <string>
#include <system_error>

#include "format/files.h"
#include "format/gguf.h"
#include "text/gguf_tokenizer.h"

namespace tidar {

Result<Json> read_tokenizer_config(const std::filesystem::path& model) {
  if (is_gguf_path(model)) {
    TIDAR_TRY(const GgufFile file, GgufFile::open(model));
    return tokenizer_config_of(file.content());
  }
  const auto path = model / "tokenizer_config.json";
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return Json::object();
  TIDAR_TRY(const std::string text, read_text_file(path));
  return parse_json_object(text, path.string());
}

std::optional<std::string> special_token(const Json& config, std::string_view name) {
  const auto found = config.find(name);
  if (found == config.end()) return std::nullopt;
  const Json* text = &*found;
  if (text->is_object() && text->contains("content")) text = &text->at("content");
  return text->is_string() ? std::optional(text->get<std::string>()) : std::nullopt;
}

}  // namespace tidar
