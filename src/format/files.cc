#include "format/files.h"

#include <fcntl.h>
#include <sys/mman.h>
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
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  bool open() const { return fd_ >= 0; }
  int get() const { return fd_; }

 private:
  int fd_;
};

// The name of a file is durable only when its folder is.
bool flush_folder(const std::filesystem::path& folder) {
  const Descriptor directory(
      ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return directory.open() && fsync(directory.get()) == 0;
}

std::filesystem::path partial_of(std::filesystem::path path) { return path += ".partial"; }

}  // namespace

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
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
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

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  // O_NONBLOCK: opening a pipe that nobody writes to must not wait for ever.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.open()) return error("{}: cannot be opened: {}", path.string(), strerror(errno));
  struct stat status {};
  if (fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return error("{}: expected a file, found something else", path.string());
  }
  const auto size = static_cast<size_t>(status.st_size);
  if (size == 0) return MappedFile();
  void* mapping = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (mapping == MAP_FAILED) {
    return error("{}: cannot be mapped: {}", path.string(), strerror(errno));
  }
  return MappedFile({static_cast<const std::byte*>(mapping), size});
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

void release_pages(std::span<const std::byte> bytes) {
  // Rounded outwards: a neighbour's part of the first or last page is read again when needed.
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto before = reinterpret_cast<uintptr_t>(bytes.data()) % page;
  auto* begin = const_cast<std::byte*>(bytes.data() - before);
  madvise(begin, before + bytes.size(), MADV_DONTNEED);
}

Result<FileWriter> FileWriter::create(const std::filesystem::path& path) {
  const auto partial = partial_of(path);
  const int fd = ::open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return error("{}: cannot be created: {}", partial.string(), strerror(errno));
  return FileWriter(path, fd);
}

FileWriter::FileWriter(FileWriter&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), written_(other.written_) {}

FileWriter::~FileWriter() {
  if (fd_ >= 0) fail(0);
}

Error FileWriter::fail(int reason) {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  ::unlink(partial_of(path_).c_str());
  return error("{}: could not be written: {}, after {} bytes; what was there before is kept",
               path_.string(), strerror(reason), written_);
}

Result<void> FileWriter::append(std::span<const std::byte> bytes) {
  TIDAR_CHECK(fd_ >= 0);
  if (!write_all(fd_, bytes, written_)) return fail(errno);
  return {};
}

Result<void> FileWriter::overwrite(size_t offset, std::span<const std::byte> bytes) {
  TIDAR_CHECK(fd_ >= 0);
  TIDAR_CHECK_LE(offset + bytes.size(), written_);
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(errno);
    offset += static_cast<size_t>(count);
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
  return {};
}

Result<void> FileWriter::commit() {
  TIDAR_CHECK(fd_ >= 0);
  if (fsync(fd_) != 0) return fail(errno);
  // Some systems report a write error only now, and the descriptor is gone either way.
  if (::close(std::exchange(fd_, -1)) != 0) return fail(errno);
  if (::rename(partial_of(path_).c_str(), path_.c_str()) != 0) return fail(errno);
  if (!flush_folder(path_.parent_path())) {
    return error("{}: was written, but its folder could not be flushed to disk: {}", path_.string(),
                 strerror(errno));
  }
  return {};
}

Result<FolderWriter> FolderWriter::create(const std::filesystem::path& path) {
  FolderWriter writer(path);
  std::error_code failure;
  std::filesystem::remove_all(writer.folder(), failure);
  if (!failure) std::filesystem::create_directories(writer.folder(), failure);
  if (failure) {
    return error("{}: cannot be created: {}", writer.folder().string(), failure.message());
  }
  return writer;
}

FolderWriter::~FolderWriter() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(folder(), ignored);
}

std::filesystem::path FolderWriter::folder() const { return partial_of(path_); }

Result<void> FolderWriter::commit() {
  TIDAR_CHECK(!path_.empty());
  if (!flush_folder(folder()) || ::rename(folder().c_str(), path_.c_str()) != 0) {
    return error("{}: could not be put in its place: {}", path_.string(), strerror(errno));
  }
  const std::filesystem::path path = std::exchange(path_, {});
  if (!flush_folder(path.parent_path())) {
    return error("{}: was written, but its folder could not be flushed to disk: {}", path.string(),
                 strerror(errno));
  }
  return {};
}

Result<void> write_file(const std::filesystem::path& path,
                        std::span<const std::span<const std::byte>> parts) {
  TIDAR_TRY(FileWriter file, FileWriter::create(path));
  for (const auto part : parts) TIDAR_TRY_VOID(file.append(part));
  return file.commit();
}

Result<void> write_copy(const std::filesystem::path& from, const std::filesystem::path& to) {
  TIDAR_TRY(const MappedFile file, MappedFile::open(from));
  const std::span<const std::byte> bytes = file.bytes();
  return write_file(to, {&bytes, 1});
}

Result<void> write_text_file(const std::filesystem::path& path, std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return write_file(path, {&bytes, 1});
}

}  // namespace tidar
