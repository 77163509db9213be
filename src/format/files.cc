#include "format/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace tidar {

namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  bool open() const { return fd_ >= 0; }
  int get() const { return fd_; }
  /// False when the system reports a write error that it had kept for now.
  bool close() { return fd_ < 0 || ::close(std::exchange(fd_, -1)) == 0; }

 private:
  int fd_;
};

// Writes all of `bytes` and adds what was written to `written`; false with errno set on failure.
bool write_all(int fd, std::span<const std::byte> bytes, size_t& written) {
  constexpr size_t kChunk = size_t{1} << 30;  // Linux writes no more than 2 GiB at once
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), std::min(bytes.size(), kChunk));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    written += static_cast<size_t>(count);
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
  return true;
}

// The name of a file is durable only when its folder is.
bool flush_folder(const std::filesystem::path& folder) {
  Descriptor directory(
      ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return directory.open() && fsync(directory.get()) == 0;
}

}  // namespace

std::string in_quotes(std::string_view text) {
  constexpr size_t kShown = 80;
  std::string shown = "'";
  for (const char c : text.substr(0, kShown)) {
    if (c >= ' ' && c <= '~') {
      shown += c;
    } else {
      shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return shown + (text.size() > kShown ? "...'" : "'");
}

Result<std::string> read_text_file(const std::filesystem::path& path, size_t limit) {
  // O_NONBLOCK: opening a pipe that nobody writes to must not wait for ever.
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.open()) return error("{}: cannot be opened: {}", path.string(), strerror(errno));
  struct stat status {};
  if (fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return error("{}: expected a file, found something else", path.string());
  }
  const auto size = static_cast<size_t>(status.st_size);
  if (size > limit) {
    return error("{}: has {} bytes; a file of its kind has at most {}", path.string(), size, limit);
  }
  std::string text(size, '\0');
  size_t filled = 0;
  while (filled < size) {
    const ssize_t count = ::read(file.get(), text.data() + filled, size - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return error("{}: cannot be read: {}", path.string(), strerror(errno));
    if (count == 0) break;
    filled += static_cast<size_t>(count);
  }
  text.resize(filled);
  return text;
}

Result<void> write_file(const std::filesystem::path& path,
                        std::span<const std::span<const std::byte>> parts) {
  std::filesystem::path partial = path;
  partial += ".partial";
  size_t total = 0;
  for (const auto part : parts) total += part.size();

  Descriptor file(::open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!file.open()) return error("{}: cannot be created: {}", partial.string(), strerror(errno));
  size_t written = 0;
  bool good = true;
  for (const auto part : parts) good = good && write_all(file.get(), part, written);
  good = good && fsync(file.get()) == 0;
  good = good && file.close();
  good = good && ::rename(partial.c_str(), path.c_str()) == 0;
  if (!good) {
    const int reason = errno;
    ::unlink(partial.c_str());
    return error(
        "{}: could not be written: {}, after {} of {} bytes; what was there before is kept",
        path.string(), strerror(reason), written, total);
  }
  if (!flush_folder(path.parent_path())) {
    return error("{}: was written, but its folder could not be flushed to disk: {}", path.string(),
                 strerror(errno));
  }
  return {};
}

}  // namespace tidar
