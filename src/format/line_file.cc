#include "format/line_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <span>

#include "format/files.h"

namespace tidar {

Result<LineFile> LineFile::open(std::filesystem::path path) {
  // O_NONBLOCK: opening a pipe that nobody reads from must not wait for ever.
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666);
  if (fd < 0) return error("{}: cannot be written: {}", path.string(), std::strerror(errno));
  LineFile file(std::move(path), fd);
  struct stat status {};
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    return error("{}: expected a file, found something else", file.path_.string());
  }
  if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return error(
        "{}: another process writes this file; wait until it has ended, or name another file",
        file.path_.string());
  }
  return file;
}

LineFile::LineFile(LineFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}

LineFile::~LineFile() {
  if (fd_ >= 0) ::close(fd_);
}

Result<bool> LineFile::empty() const {
  struct stat status {};
  if (fstat(fd_, &status) != 0) {
    return error("{}: cannot be read: {}", path_.string(), std::strerror(errno));
  }
  return status.st_size == 0;
}

Result<void> LineFile::read(const UseLine& use) {
  size_t whole = 0, size = 0;
  {
    TIDAR_TRY(const MappedFile file, MappedFile::open(path_));
    const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                                file.bytes().size());
    size = text.size();
    for (int64_t number = 1;; ++number) {
      const size_t end = text.find('\n', whole);
      if (end == text.npos) break;
      TIDAR_TRY_VOID(use(text.substr(whole, end - whole), number));
      whole = end + 1;
    }
  }
  if (whole == size || ftruncate(fd_, static_cast<off_t>(whole)) == 0) return {};
  return error("{}: cannot be cut: {}", path_.string(), std::strerror(errno));
}

Result<void> LineFile::add(std::string_view line) {
  const std::string text = std::string(line) + "\n";
  size_t written = 0;
  if (write_all(fd_, std::as_bytes(std::span(text)), written)) return {};
  return error("{}: cannot be written: {}", path_.string(), std::strerror(errno));
}

}  // namespace tidar
