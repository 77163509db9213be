#pragma once
// Whole files: read under a limit, mapped, and written so that a crash leaves the old file or the
// new one.

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace tidar {

/// A piece of untrusted text as an error sentence may show it: in single quotes, everything but
/// printable ASCII as \xNN, cut after 80 characters.
std::string in_quotes(std::string_view text);

/// Far above any config or index of a real model; what is larger is not one.
inline constexpr size_t kTextFileLimit = size_t{64} << 20;

/// The bytes of a regular file of at most `limit` bytes.
Result<std::string> read_text_file(const std::filesystem::path& path,
                                   size_t limit = kTextFileLimit);

/// A regular file as memory that is read when it is touched. Moves, never copies; views of its
/// bytes die with it. If another program cuts the file short meanwhile, reading behind its end ends
/// this program (SIGBUS), as with every mapped file.
class MappedFile {
 public:
  static Result<MappedFile> open(const std::filesystem::path& path);

  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~MappedFile();

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  explicit MappedFile(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::span<const std::byte> bytes_;
};

/// Tells the system that these bytes of a mapped file are not needed for now: their pages leave
/// memory, and come back when they are touched.
void release_pages(std::span<const std::byte> bytes);

/// A file that is written piece by piece and appears whole or not at all: the pieces go to
/// "<path>.partial", which commit() flushes to disk and renames. Without commit() the partial file
/// is removed and `path` stays as it was. One writer a path at a time. After an Error the writer
/// takes no more.
class FileWriter {
 public:
  static Result<FileWriter> create(const std::filesystem::path& path);

  FileWriter(FileWriter&& other) noexcept;
  FileWriter& operator=(FileWriter&&) = delete;
  ~FileWriter();

  Result<void> append(std::span<const std::byte> bytes);
  /// Writes over `bytes` from `offset` on; they must have been appended before.
  Result<void> overwrite(size_t offset, std::span<const std::byte> bytes);
  Result<void> commit();

  size_t written() const { return written_; }

 private:
  FileWriter(std::filesystem::path path, int fd) : path_(std::move(path)), fd_(fd) {}
  /// Gives up: closes and removes the partial file. `reason` is an errno.
  Error fail(int reason);

  std::filesystem::path path_;
  int fd_ = -1;  ///< -1 when committed or given up
  size_t written_ = 0;
};

/// A folder that is filled file by file and appears whole or not at all: the files go into
/// "<path>.partial", which commit() renames. Without commit() it is removed with all that is in it.
class FolderWriter {
 public:
  /// Removes what an earlier writer that was killed has left.
  static Result<FolderWriter> create(const std::filesystem::path& path);

  FolderWriter(FolderWriter&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  FolderWriter& operator=(FolderWriter&&) = delete;
  ~FolderWriter();

  /// Where to write the files, each flushed to disk by itself (FileWriter, write_file).
  std::filesystem::path folder() const;
  /// `path` must not exist, or be an empty folder.
  Result<void> commit();

 private:
  explicit FolderWriter(std::filesystem::path path) : path_(std::move(path)) {}

  std::filesystem::path path_;  ///< empty: committed
};

/// Writes all of `bytes` to the descriptor, however often the system takes a part or is
/// interrupted, and adds what was written to `written`. False with errno set when it takes no more.
bool write_all(int fd, std::span<const std::byte> bytes, size_t& written);

/// Writes the parts, one after the other, to "<path>.partial", flushes that to disk and renames it:
/// `path` is always the old file or the whole new one, also after a power cut. On failure the
/// partial file is removed, and the Error says how much was written and why no more.
Result<void> write_file(const std::filesystem::path& path,
                        std::span<const std::span<const std::byte>> parts);
/// write_file() of what another file holds.
Result<void> write_copy(const std::filesystem::path& from, const std::filesystem::path& to);
Result<void> write_text_file(const std::filesystem::path& path, std::string_view text);

}  // namespace tidar
