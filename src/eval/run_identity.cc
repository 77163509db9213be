#include "eval/run_identity.h"

#include <system_error>

#include "format/files.h"
#include "format/json.h"

namespace tidar {
namespace {

OrderedJson to_json(const RunIdentity& identity) {
  auto json = OrderedJson::object();
  for (const auto& [name, value] : identity) json[name] = value;
  return json;
}

Result<void> compare(const IdentifiedResults& files, const RunIdentity& identity) {
  const std::string where = files.identity.string();
  TIDAR_TRY(const std::string text, read_text_file(files.identity));
  TIDAR_TRY(const Json found, parse_json_object(text, where));
  const JsonFields fields(found, where);
  for (const auto& [name, value] : identity) {
    TIDAR_TRY(const std::string there, fields.text(name, ""));
    if (there == value) continue;
    return error("{}: holds results of another run, whose {} is {} instead of {}; {}", files.place,
                 name, in_quotes(there), in_quotes(value), files.remedy);
  }
  return {};
}

}  // namespace

Result<void> keep_identity(const IdentifiedResults& files, const RunIdentity& identity) {
  std::error_code failure;
  const auto bytes = std::filesystem::file_size(files.results, failure);
  if (failure || bytes == 0) {
    return write_text_file(files.identity, to_json(identity).dump(2) + "\n");
  }
  if (std::filesystem::exists(files.identity, failure)) return compare(files, identity);
  return error("{}: has {} but no {}, which says of what; {}", files.place,
               files.results.filename().string(), files.identity.filename().string(), files.remedy);
}

}  // namespace tidar
