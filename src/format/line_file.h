#pragma once
// A file of lines that grows line by line and outlives its writers: one that is killed loses the
// line under way at most, and the next one goes on behind the last whole line.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace tidar {

/// One writer a file at a time, in whatever process: a lock of the system (flock) says so. Moves,
/// never copies. Not thread-safe.
class LineFile {
 public:
  /// What to do with a line, which has no line end; `number` counts from 1. The view is valid
  /// during the call.
  using UseLine = std::function<Result<void>(std::string_view line, int64_t number)>;

  /// Makes the file if there is none. An Error when it cannot be written, is no regular file, or
  /// has another writer.
  static Result<LineFile> open(std::filesystem::path path);

  LineFile(LineFile&& other) noexcept;
  LineFile& operator=(LineFile&&) = delete;
  ~LineFile();

  const std::filesystem::path& path() const { return path_; }
  /// Whether there is nothing in it.
  Result<bool> empty() const;

  /// Calls use() with each whole line in turn, then takes out a last one that was cut short. To be
  /// called before the first add(). The first Error of use() ends it, and nothing is taken out.
  Result<void> read(const UseLine& use);

  /// Adds a line, which holds no line end, and hands it to the system. After an Error, such as that
  /// of a full disk, a part of it may be there: the file takes no more.
  Result<void> add(std::string_view line);

 private:
  LineFile(std::filesystem::path path, int fd) : path_(std::move(path)), fd_(fd) {}

  std::filesystem::path path_;
  int fd_ = -1;  ///< -1 when it has moved
};

}  // namespace tidar
