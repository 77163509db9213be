#include "format/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

namespace tidar {

Result<FolderLock> FolderLock::take(const std::filesystem::path& folder) {
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  if (failure) return error("{}: cannot be created: {}", folder.string(), failure.message());
  // Closed on exec: a program that this one starts must not hold the lock on.
  const int fd = ::open((folder / ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) {
    return error("{}: cannot be written into: {}", folder.string(), std::strerror(errno));
  }
  FolderLock lock(fd);
  if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return error(
        "{}: another process works in this folder; wait until it has ended, or name another folder",
        folder.string());
  }
  return lock;
}

FolderLock::~FolderLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace tidar
