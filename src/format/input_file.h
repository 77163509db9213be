#pragma once
// Files that are read once from front to back, plain or compressed with zstd, line by line or as a
// whole.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tidar {

/// What some programs put before UTF-8 text: U+FEFF.
inline constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

/// Reads a file, or a pipe; a byte order mark at its beginning is no part of it. Whether it is
/// compressed is told by its first bytes, not by its name. Memory stays below the longest line that
/// is asked for and a few megabytes, or the window of the compressed data, of at most 128 MiB. Not
/// thread-safe.
class InputFile {
 public:
  static Result<InputFile> open(const std::filesystem::path& path);

  InputFile(InputFile&&) noexcept;
  InputFile& operator=(InputFile&&) noexcept;
  ~InputFile();

  enum class Line : uint8_t {
    read,      ///< `line` holds it, without its line end (LF or CR LF)
    too_long,  ///< it has more than `limit` bytes and was passed over; `line` holds its beginning
    none,      ///< the file has ended
  };
  /// The next line. Errors are those of the disk, of compressed data that is damaged or cut, and of
  /// what may have no end: a line of more than a gibibyte, and sixteen million blank ones in a row.
  Result<Line> next_line(std::string& line, size_t limit);

  /// All that is left; an Error when it is more than `limit` bytes.
  Result<std::string> rest(size_t limit);

  /// Bytes of the file that have been read (compressed ones, where it is), and those it has; 0 for
  /// a pipe.
  int64_t bytes_read() const;
  int64_t bytes_in_all() const;

 private:
  class Source;
  explicit InputFile(std::unique_ptr<Source> source);
  Result<void> skip_byte_order_mark();
  /// Refills the empty buffer. False when the file has ended.
  Result<bool> fill();

  std::unique_ptr<Source> source_;
  std::vector<char> buffer_;
  size_t begin_ = 0;  ///< of what is left in the buffer
  size_t end_ = 0;
  int blank_lines_ = 0;  ///< in a row
};

}  // namespace tidar
