#include "eval/results_file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "format/files.h"
#include "format/json.h"

namespace tidar {
namespace {

constexpr size_t kMostResults = size_t{4} << 30;

OrderedJson to_json(const RunIdentity& identity) {
  auto json = OrderedJson::object();
  for (const auto& [name, value] : identity) json[name] = value;
  return json;
}

/// An Error that names the first field in which the runs differ.
Result<void> compare(const RunIdentity& identity, const std::filesystem::path& path) {
  TIDAR_TRY(const std::string text, read_text_file(path));
  TIDAR_TRY(const Json found, parse_json_object(text, path.string()));
  const JsonFields fields(found, path.string());
  for (const auto& [name, value] : identity) {
    TIDAR_TRY(const std::string there, fields.text(name, ""));
    if (there != value) {
      return error(
          "{}: holds results of another run, whose {} is {} instead of {}; choose another folder, "
          "or remove this one",
          path.parent_path().string(), name, in_quotes(there), in_quotes(value));
    }
  }
  return {};
}

Result<void> make_folder(const std::filesystem::path& folder, const RunIdentity& identity) {
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  if (failure) return error("{}: cannot be created: {}", folder.string(), failure.message());
  const auto path = folder / "run.json";
  const auto bytes = std::filesystem::file_size(folder / "results.jsonl", failure);
  if (failure || bytes == 0) return write_text_file(path, to_json(identity).dump(2) + "\n");
  if (std::filesystem::exists(path, failure)) return compare(identity, path);
  return error("{}: has results.jsonl but no run.json, which says of what; choose another folder",
               folder.string());
}

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
  TIDAR_TRY_VOID(make_folder(folder, identity));
  ResultsFile results(folder);
  const auto path = folder / "results.jsonl";
  std::error_code failure;
  if (std::filesystem::exists(path, failure)) {
    TIDAR_TRY(const std::string text, read_text_file(path, kMostResults));
    TIDAR_TRY(const size_t whole, results.read(text));
    if (whole < text.size()) std::filesystem::resize_file(path, whole, failure);
    if (failure) return error("{}: cannot be cut: {}", path.string(), failure.message());
  }
  results.resumed_ = static_cast<int64_t>(results.lines_.size());
  results.file_.open(path, std::ios::app | std::ios::binary);
  if (!results.file_) return error("{}: cannot be written: {}", path.string(), strerror(errno));
  return results;
}

Result<size_t> ResultsFile::read(const std::string& text) {
  size_t begin = 0;
  for (int number = 1;; ++number) {
    const size_t end = text.find('\n', begin);
    if (end == text.npos) return begin;
    std::string line = text.substr(begin, end - begin);
    const std::string where = fmt::format("{}:{}", (folder_ / "results.jsonl").string(), number);
    TIDAR_TRY(const Json json, parse_json_object(line, where));
    const JsonFields fields(json, where);
    TIDAR_TRY(std::string item, fields.text("item"));
    TIDAR_TRY(const int sample, fields.integer("sample", {0, 1 << 30}));
    TIDAR_TRY_VOID(check_values(json, fields));
    lines_.insert_or_assign({std::move(item), sample}, std::move(line));
    begin = end + 1;
  }
}

const std::string* ResultsFile::find(const std::string& item, int sample) const {
  const auto found = lines_.find({item, sample});
  return found == lines_.end() ? nullptr : &found->second;
}

Result<void> ResultsFile::add(const std::string& item, int sample, const std::string& line) {
  errno = 0;
  file_ << line << '\n' << std::flush;
  if (!file_) {
    return error("{}: cannot be written: {}", (folder_ / "results.jsonl").string(),
                 errno ? strerror(errno) : "write failed");
  }
  lines_.insert_or_assign({item, sample}, line);
  return {};
}

}  // namespace tidar
