#include "apps/run_log.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

#include "format/files.h"

namespace tidar {

namespace {

/// Logs of long runs are larger than configs.
constexpr size_t kLogLimit = size_t{4} << 30;

/// The lines of `text` up to `step`.
std::string lines_until(const std::string& text, int64_t step) {
  std::string kept;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    if (end == text.npos) break;
    const std::string line = text.substr(begin, end + 1 - begin);
    const OrderedJson json = OrderedJson::parse(line, nullptr, false);
    if (json.is_object() && json.value("step", int64_t{0}) <= step) kept += line;
    begin = end + 1;
  }
  return kept;
}

void add_curves(const std::string& path, const OrderedJson& value,
                std::map<std::string, double>& curves) {
  if (value.is_object()) {
    for (const auto& [key, inner] : value.items()) {
      add_curves(fmt::format("{}/{}", path, key), inner, curves);
    }
  } else if (value.is_number()) {
    curves[path] = value.get<double>();
  }
}

/// A text as Markdown that shows it as it is, on as many lines.
std::string as_lines(const std::string& text) {
  std::string quoted = "    ";
  for (const char c : text) {
    quoted += c;
    if (c == '\n') quoted += "    ";
  }
  return quoted + "\n\n";
}

/// "samples" of a line as Markdown; "" where it has none.
std::string samples_of(const OrderedJson& line) {
  std::string text;
  for (const OrderedJson& sample : line.value("samples", OrderedJson::array())) {
    text += as_lines(sample["prompt"]) + "becomes\n\n" + as_lines(sample["text"]);
  }
  return text;
}

}  // namespace

Result<RunLog> RunLog::open(const std::filesystem::path& out, int64_t step) {
  const auto path = out / "log.jsonl";
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) {
    TIDAR_TRY(const std::string text, read_text_file(path, kLogLimit));
    const std::string kept = lines_until(text, step);
    if (kept.size() != text.size()) TIDAR_TRY_VOID(write_text_file(path, kept));
  }
  TIDAR_TRY(EventFile events, EventFile::create(out));
  return RunLog(path, std::move(events));
}

Result<void> RunLog::add(const std::string& group, const OrderedJson& line) {
  // Opened for each line: nothing is lost when the program is killed.
  std::ofstream file(path_, std::ios::app);
  file << line.dump() << '\n' << std::flush;
  if (!file) return error("{}: cannot be written: {}", path_.string(), std::strerror(errno));
  std::map<std::string, double> curves;
  add_curves(group, line, curves);
  curves.erase(group + "/step");
  std::vector<Scalar> scalars;
  for (const auto& [tag, value] : curves) scalars.push_back({tag, value});
  const std::string samples = samples_of(line), tag = group + "/samples";
  std::vector<TextSummary> texts;
  if (!samples.empty()) texts.push_back({tag, samples});
  return events_.add(line["step"].get<int64_t>(), scalars, texts);
}

}  // namespace tidar
