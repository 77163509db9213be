#include "format/jsonl.h"

#include <string>

#include "format/files.h"
#include "format/input_file.h"

namespace tidar {

Result<void> read_jsonl(const std::filesystem::path& path, const UseLine& use, int64_t most) {
  TIDAR_TRY(InputFile file, InputFile::open(path));
  int64_t objects = 0;
  std::string text;
  for (int64_t line = 1; objects < most; ++line) {
    TIDAR_TRY(const InputFile::Line kind, file.next_line(text, kTextFileLimit));
    if (kind == InputFile::Line::none) break;
    if (text.find_first_not_of(" \t\r") == text.npos) continue;
    const std::string where = fmt::format("{}:{}", path.string(), line);
    if (kind == InputFile::Line::too_long) {
      return error("{}: has more than {} bytes", where, kTextFileLimit);
    }
    TIDAR_TRY(const Json object, parse_json_object(text, where));
    TIDAR_TRY_VOID(use(JsonFields(object, where), line));
    ++objects;
  }
  if (objects == 0) return error("{}: expected a JSON object a line, found none", path.string());
  return {};
}

}  // namespace tidar
