#include "eval/results_file.h"

#include <algorithm>
#include <array>
#include <system_error>

#include "format/json.h"

namespace tidar {
namespace {

// Of a line, these fields are texts; all others are numbers or lists of numbers, which are summed.
constexpr std::array<std::string_view, 4> kTexts = {"item", "text", "finish_reason", "why"};

Result<void> check_values(const Json& line, const JsonFields& fields) {
  const auto is_number = [](const Json& value) { return value.is_number() || value.is_boolean(); };
  for (const auto& [key, value] : line.items()) {
    if (std::find(kTexts.begin(), kTexts.end(), key) != kTexts.end()) {
      TIDAR_TRY_VOID(fields.text(key));
    } else if (value.is_array() ? !std::all_of(value.begin(), value.end(), is_number)
                                : !is_number(value)) {
      return fields.wrong(key, "a number; without this line the item is evaluated again");
    }
  }
  return {};
}

}  // namespace

Result<ResultsFile> ResultsFile::open(const std::filesystem::path& folder,
                                      const RunIdentity& identity) {
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  if (failure) return error("{}: cannot be created: {}", folder.string(), failure.message());
  const auto path = folder / "results.jsonl";
  TIDAR_TRY(LineFile file, LineFile::open(path));
  const IdentifiedResults files = {.results = path,
                                   .identity = folder / "run.json",
                                   .place = folder.string(),
                                   .remedy = "choose another folder, or remove this one"};
  TIDAR_TRY_VOID(keep_identity(files, identity));
  ResultsFile results(folder, std::move(file));
  TIDAR_TRY_VOID(results.file_.read(
      [&](std::string_view line, int64_t number) { return results.take(line, number); }));
  results.resumed_ = static_cast<int64_t>(results.lines_.size());
  return results;
}

Result<void> ResultsFile::take(std::string_view line, int64_t number) {
  const std::string where = fmt::format("{}:{}", file_.path().string(), number);
  TIDAR_TRY(const Json json, parse_json_object(line, where));
  const JsonFields fields(json, where);
  TIDAR_TRY(std::string item, fields.text("item"));
  TIDAR_TRY(const int sample, fields.integer("sample", {0, 1 << 30}));
  TIDAR_TRY_VOID(check_values(json, fields));
  lines_.insert_or_assign({std::move(item), sample}, std::string(line));
  return {};
}

const std::string* ResultsFile::find(const std::string& item, int sample) const {
  const auto found = lines_.find({item, sample});
  return found == lines_.end() ? nullptr : &found->second;
}

Result<void> ResultsFile::add(const std::string& item, int sample, const std::string& line) {
  TIDAR_TRY_VOID(file_.add(line));
  lines_.insert_or_assign({item, sample}, line);
  return {};
}

}  // namespace tidar
