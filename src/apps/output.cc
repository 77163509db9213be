#include "apps/output.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "text/utf8.h"

namespace tidar {
namespace {

/// Columns of the terminal on stderr; asked each time, because windows change. 80 where it does not
/// know.
size_t terminal_width() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void write_stderr(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }

}  // namespace

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void print_json(const OrderedJson& value) {
  print(value.dump(-1, ' ', false, OrderedJson::error_handler_t::replace) + "\n");
}

std::string printable(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    const Utf8Unit unit = utf8_front(text);
    const char32_t c = unit.code_point;
    const bool between = c == '\n' || c == '\t';
    const bool control = c < 0x20 || (c >= 0x7F && c < 0xA0);
    if (unit.kind == Utf8Unit::Kind::character && (between || !control)) {
      shown += text.substr(0, unit.size);
    } else {
      for (const char byte : text.substr(0, unit.size)) {
        shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
      }
    }
    text.remove_prefix(unit.size);
  }
  return shown;
}

void print_error(std::string_view message) { print_note(fmt::format("tidar: {}", message)); }

void print_note(std::string_view line) {
  // What was printed before must also be seen before, when both go to one terminal.
  std::fflush(stdout);
  write_stderr(printable(line) + "\n");
}

Result<void> flush_output() {
  errno = 0;
  if (std::fflush(stdout) == 0 && !std::ferror(stdout)) return {};
  return error("could not write to stdout: {}", errno ? std::strerror(errno) : "write failed");
}

Progress::Progress(double quiet_s) : terminal_(isatty(STDERR_FILENO) != 0), quiet_s_(quiet_s) {}

Progress::~Progress() { clear(); }

void Progress::clear() {
  if (shown_) write_stderr("\r\x1b[K");
  shown_ = false;
}

void Progress::show(std::string_view line) {
  if (!terminal_) {
    if (quiet_.seconds() < quiet_s_) return;
    print_note(line);
    quiet_ = {};
    return;
  }
  write_stderr(fmt::format("\r\x1b[K{}", fit(line, terminal_width())));
  shown_ = true;
}

std::string_view fit(std::string_view line, size_t width) {
  if (line.size() <= width) return line;
  const size_t gap = line.rfind("  ", width);
  return line.substr(0, gap == std::string_view::npos ? width : gap);
}

std::string in_lines(const std::vector<std::string>& parts, size_t width) {
  std::string text;
  size_t columns = 0;  // of the last line
  for (size_t i = 0; i < parts.size(); ++i) {
    const bool last = i + 1 == parts.size();
    const size_t needed = parts[i].size() + (last ? 0 : 1);  // with its comma
    if (i > 0 && columns + 1 + needed > width) {
      text += "\n ";
      columns = 1;
    }
    if (i > 0) text += " ";
    text += parts[i];
    if (!last) text += ",";
    columns += (i > 0 ? 1 : 0) + needed;
  }
  return text;
}

std::string format_bytes(int64_t bytes) {
  static constexpr const char* kUnits[] = {"kB", "MB", "GB", "TB"};
  if (bytes < 1000) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes) / 1000;
  size_t unit = 0;
  while (value >= 999.5 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0, kUnits[unit]);
}

std::string format_count(int64_t count) {
  const std::string digits = std::to_string(count);
  std::string text;
  for (size_t i = 0; i < digits.size(); ++i) {
    const bool between = i > 0 && digits[i - 1] != '-' && (digits.size() - i) % 3 == 0;
    if (between) text += ',';
    text += digits[i];
  }
  return text;
}

std::string clock_text(double seconds) {
  const auto whole = static_cast<int64_t>(seconds);
  const int64_t hours = whole / 3600, minutes = whole / 60 % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60)
                   : fmt::format("{}:{:02}", minutes, whole % 60);
}

std::string counted(int64_t count, std::string_view noun) {
  const char* const plural = noun.ends_with("s") ? "es" : "s";
  return fmt::format("{} {}{}", format_count(count), noun, count == 1 ? "" : plural);
}

void Table::add(std::vector<std::string> cells) {
  if (!rows_.empty()) TIDAR_CHECK_EQ(cells.size(), rows_.front().size());
  rows_.push_back(std::move(cells));
}

std::string Table::text() const {
  std::vector<size_t> widths(rows_.front().size(), 0);
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows_) {
    std::string line = fmt::format("{:<{}}", row[0], widths[0]);
    for (size_t i = 1; i < row.size(); ++i) line += fmt::format("  {:>{}}", row[i], widths[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

int64_t peak_resident_bytes() {
  // Not getrusage(): its maximum is handed on through exec, so that a small program started by a
  // big one would look big.
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::strtoll(line.c_str() + 6, nullptr, 10) * 1024;
  }
  return 0;
}

}  // namespace tidar
