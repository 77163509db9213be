#include "format/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>
#include <string_view>

namespace tidar {

namespace {

constexpr size_t kChunk = size_t{1} << 18;
// A few bytes of compressed data, and files such as /dev/zero, can hold what nobody wrote.
constexpr size_t kEndlessLine = size_t{1} << 30;
constexpr int kMostBlankLines = 1 << 24;
constexpr std::string_view kZstdMagic = "\x28\xB5\x2F\xFD";

}  // namespace

/// Bytes of the file, decompressed where they have to be.
class InputFile::Source {
 public:
  Source(std::string where, int fd, int64_t size)
      : where_(std::move(where)), fd_(fd), size_(size), raw_(kChunk) {}
  ~Source() { ::close(fd_); }
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  const std::string& where() const { return where_; }
  int64_t bytes_read() const { return bytes_read_; }
  int64_t size() const { return size_; }

  Result<void> begin() {
    // A pipe may give its first bytes one at a time.
    while (raw_end_ < kZstdMagic.size()) {
      TIDAR_TRY(const bool more, read_raw());
      if (!more) break;
    }
    if (std::string_view(raw_.data(), raw_end_).starts_with(kZstdMagic)) {
      context_.reset(ZSTD_createDCtx());
      TIDAR_CHECK(context_ != nullptr);
    }
    return {};
  }

  /// Up to `room` bytes; 0 at the end.
  Result<size_t> read(char* to, size_t room) {
    for (;;) {
      if (raw_begin_ == raw_end_ && !ended_) {
        raw_begin_ = raw_end_ = 0;
        TIDAR_TRY(const bool more, read_raw());
        ended_ = !more;
      }
      if (context_ == nullptr) return copy(to, room);
      TIDAR_TRY(const size_t count, decompress({to, room}));
      if (count > 0 || ended_) return count;
    }
  }

 private:
  Result<bool> read_raw() {
    ssize_t count;
    do {
      count = ::read(fd_, raw_.data() + raw_end_, raw_.size() - raw_end_);
    } while (count < 0 && errno == EINTR);
    if (count < 0) return error("{}: cannot be read: {}", where_, strerror(errno));
    raw_end_ += static_cast<size_t>(count);
    bytes_read_ += count;
    return count > 0;
  }

  size_t copy(char* to, size_t room) {
    const size_t count = std::min(room, raw_end_ - raw_begin_);
    std::memcpy(to, raw_.data() + raw_begin_, count);
    raw_begin_ += count;
    return count;
  }

  Result<size_t> decompress(std::span<char> to) {
    ZSTD_inBuffer in{raw_.data(), raw_end_, raw_begin_};
    ZSTD_outBuffer out{to.data(), to.size(), 0};
    const size_t state = ZSTD_decompressStream(context_.get(), &out, &in);
    const bool progress = out.pos > 0 || in.pos > raw_begin_;
    raw_begin_ = in.pos;
    if (ZSTD_isError(state)) {
      return error("{}: its compressed data is damaged: {}", where_, ZSTD_getErrorName(state));
    }
    // Without progress `state` stays what it was: 0 only between frames.
    if (progress) in_frame_ = state != 0;
    if (ended_ && out.pos == 0 && in_frame_) {
      return error("{}: its compressed data ends too early; the file is cut off", where_);
    }
    return out.pos;
  }

  std::string where_;
  int fd_;
  int64_t size_;
  int64_t bytes_read_ = 0;
  std::vector<char> raw_;  // as on disk
  size_t raw_begin_ = 0;
  size_t raw_end_ = 0;
  bool ended_ = false;
  bool in_frame_ = false;
  struct FreeContext {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  std::unique_ptr<ZSTD_DCtx, FreeContext> context_;  // none: not compressed
};

InputFile::InputFile(std::unique_ptr<Source> source)
    : source_(std::move(source)), buffer_(kChunk) {}
InputFile::InputFile(InputFile&&) noexcept = default;
InputFile& InputFile::operator=(InputFile&&) noexcept = default;
InputFile::~InputFile() = default;

Result<InputFile> InputFile::open(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return error("{}: cannot be opened: {}", path.string(), strerror(errno));
  struct stat status {};
  const bool known = fstat(fd, &status) == 0;
  auto source = std::make_unique<Source>(path.string(), fd, known ? status.st_size : 0);
  if (!known || S_ISDIR(status.st_mode)) {
    return error("{}: expected a file, found a folder", path.string());
  }
  TIDAR_TRY_VOID(source->begin());
  InputFile file(std::move(source));
  TIDAR_TRY_VOID(file.skip_byte_order_mark());
  return file;
}

Result<void> InputFile::skip_byte_order_mark() {
  while (end_ < kByteOrderMark.size()) {
    TIDAR_TRY(const size_t count, source_->read(buffer_.data() + end_, buffer_.size() - end_));
    if (count == 0) break;
    end_ += count;
  }
  if (std::string_view(buffer_.data(), end_).starts_with(kByteOrderMark)) {
    begin_ = kByteOrderMark.size();
  }
  return {};
}

Result<bool> InputFile::fill() {
  TIDAR_TRY(const size_t count, source_->read(buffer_.data(), buffer_.size()));
  begin_ = 0;
  end_ = count;
  return count > 0;
}

Result<InputFile::Line> InputFile::next_line(std::string& line, size_t limit) {
  line.clear();
  bool any = false, too_long = false;
  size_t passed = 0;
  for (;;) {
    if (begin_ == end_) {
      TIDAR_TRY(const bool more, fill());
      if (!more) break;
    }
    any = true;
    const std::string_view left(buffer_.data() + begin_, end_ - begin_);
    const size_t size = std::min(left.find('\n'), left.size());
    // One byte more than allowed, in case it is the CR of a line end.
    const size_t kept = std::min(size, limit + 1 - line.size());
    line += left.substr(0, kept);
    too_long = too_long || kept < size;
    begin_ += size;
    passed += size;
    if (passed > kEndlessLine) {
      return error("{}: holds a line of more than {} MiB, as no text does; take it out of the file",
                   source_->where(), kEndlessLine >> 20);
    }
    if (begin_ < end_) {
      ++begin_;
      break;
    }
  }
  if (!any) return Line::none;
  blank_lines_ = line.find_first_not_of(" \t\r") == line.npos ? blank_lines_ + 1 : 0;
  if (blank_lines_ > kMostBlankLines) {
    return error("{}: holds more than {} blank lines in a row; take them out of the file",
                 source_->where(), kMostBlankLines);
  }
  if (!too_long && line.ends_with('\r')) line.pop_back();
  if (line.size() <= limit) return Line::read;
  line.resize(limit);
  return Line::too_long;
}

Result<std::string> InputFile::rest(size_t limit) {
  std::string text;
  for (;;) {
    text.append(buffer_.data() + begin_, end_ - begin_);
    begin_ = end_;
    if (text.size() > limit) {
      return error("{}: holds more than {} bytes; cut it into smaller files", source_->where(),
                   limit);
    }
    TIDAR_TRY(const bool more, fill());
    if (!more) return text;
  }
}

int64_t InputFile::bytes_read() const { return source_->bytes_read(); }
int64_t InputFile::bytes_in_all() const { return source_->size(); }

}  // namespace tidar
