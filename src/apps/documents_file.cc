#include "apps/documents_file.h"

#include <limits>
#include <string>
#include <string_view>

namespace tidar {

Result<DocumentsFile> DocumentsFile::open(const std::filesystem::path& path,
                                          const RunIdentity& identity) {
  TIDAR_TRY(LineFile file, LineFile::open(path));
  const IdentifiedResults files = {.results = path,
                                   .identity = path.string() + ".run",
                                   .place = path.string(),
                                   .remedy = "choose another file, or remove this one"};
  TIDAR_TRY_VOID(keep_identity(files, identity));
  DocumentsFile documents(std::move(file));
  const auto take = [&](std::string_view line, int64_t number) -> Result<void> {
    const std::string where = fmt::format("{}:{}", path.string(), number);
    TIDAR_TRY(const Json json, parse_json_object(line, where));
    const JsonFields fields(json, where);
    TIDAR_TRY(const int64_t of_prompt, fields.count("line", 1));
    TIDAR_TRY(const int sample, fields.integer("sample", {0, std::numeric_limits<int>::max()}));
    documents.documents_.emplace(of_prompt, sample);
    return {};
  };
  TIDAR_TRY_VOID(documents.file_.read(take));
  return documents;
}

Result<void> DocumentsFile::add(int64_t line, int sample, const OrderedJson& json) {
  TIDAR_TRY_VOID(file_.add(json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace)));
  documents_.emplace(line, sample);
  return {};
}

}  // namespace tidar
