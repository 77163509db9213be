#pragma once
// Who works in a folder: one process at a time.

#include <filesystem>
#include <utility>

#include "base/result.h"

namespace tidar {

/// The right to write into a folder, held until this ends or the process does, however it ends. It
/// is advisory: a lock of the system (flock) on the file ".lock" in the folder, which stays there.
/// Moves, never copies.
class FolderLock {
 public:
  /// Makes the folder if need be. An Error at once when another process, or another lock of this
  /// one, holds it, and when the folder cannot be written into. On a file system without locks,
  /// nobody is kept out.
  static Result<FolderLock> take(const std::filesystem::path& folder);

  FolderLock(FolderLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FolderLock& operator=(FolderLock&&) = delete;
  ~FolderLock();

 private:
  explicit FolderLock(int fd) : fd_(fd) {}

  int fd_;
};

}  // namespace tidar
