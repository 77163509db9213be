#pragma once
// What subcommands print: results to stdout, everything else to stderr.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/stopwatch.h"
#include "format/json.h"

namespace tidar {

/// Writes to stdout as it is. A failure is remembered for flush_output().
void print(std::string_view text);
/// Writes one line of JSON to stdout. Text that is not UTF-8 becomes U+FFFD.
void print_json(const OrderedJson& value);
/// Text that does nothing to a terminal but appear: control characters other than line ends and
/// tabs, and bytes that are not UTF-8, become \x1b and the like.
std::string printable(std::string_view text);
/// Writes "tidar: message" and a line end to stderr, printable.
void print_error(std::string_view message);
/// Writes a line to stderr, printable.
void print_note(std::string_view line);

/// An Error when something could not be written to stdout: a full disk, a closed pipe.
Result<void> flush_output();

/// A line on stderr that is written over and over while something takes its time, and wiped when
/// this ends. Where stderr is no terminal (a pipe, a log), the whole line is printed from time to
/// time, and stays.
class Progress {
 public:
  /// Between two lines where there is no terminal, and before the first one.
  static constexpr double kQuietSeconds = 30;
  explicit Progress(double quiet_s = kQuietSeconds);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// Of a line that is wider than the terminal, the parts that fit() keeps.
  void show(std::string_view line);
  /// Wipes the line, so that something else can be printed; show() brings it back.
  void clear();

 private:
  bool terminal_;
  bool shown_ = false;
  double quiet_s_;
  Stopwatch quiet_;  // since the last line
};

/// The first parts of a line that fit into `width` columns; two blanks stand between parts. A first
/// part that does not fit is cut.
std::string_view fit(std::string_view line, size_t width);

/// The parts, apart by commas, in lines of at most `width` columns; lines behind the first are
/// indented. A part is never broken.
std::string in_lines(const std::vector<std::string>& parts, size_t width = 80);

/// "1.23 GB", "45.6 MB", "789 B": powers of ten, three digits.
std::string format_bytes(int64_t bytes);
/// "494,032,768"
std::string format_count(int64_t count);
/// "1:02:03", "2:03"
std::string clock_text(double seconds);
/// "1 document", "7,473 documents"
std::string counted(int64_t count, std::string_view noun);

/// A table with a heading, columns two blanks apart, the first column flush left, the others flush
/// right. Lines end without blanks.
class Table {
 public:
  explicit Table(std::vector<std::string> heading) { add(std::move(heading)); }
  /// A row of as many cells as the heading has.
  void add(std::vector<std::string> cells);
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// The most memory that this process has ever had resident, in bytes; 0 where the system does not
/// tell.
int64_t peak_resident_bytes();

}  // namespace tidar
