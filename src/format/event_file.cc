#include "format/event_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "format/crc32c.h"
#include "format/files.h"

namespace tidar {

namespace {

// Field numbers of TensorFlow's event.proto, summary.proto, tensor.proto and tensor_shape.proto.
constexpr uint32_t kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5;  // Event
constexpr uint32_t kValue = 1;                                                // Summary
constexpr uint32_t kTag = 1, kSimpleValue = 2, kTensor = 8, kMetadata = 9;    // Summary.Value
constexpr uint32_t kPluginData = 1, kDataClass = 4;                           // SummaryMetadata
constexpr uint32_t kPluginName = 1;                                           // its PluginData
constexpr uint32_t kDtype = 1, kShape = 2, kStrings = 8;                      // TensorProto
constexpr uint32_t kDim = 2, kDimSize = 1;                                    // TensorShapeProto
constexpr uint64_t kDataClassTensor = 2, kDtypeString = 7;

// How a field is stored.
enum class Wire : uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

void put_key(std::string& out, uint32_t field, Wire wire) {
  put_varint(out, field << 3 | static_cast<uint32_t>(wire));
}

void put_number(std::string& out, uint32_t field, uint64_t value) {
  put_key(out, field, Wire::varint);
  put_varint(out, value);
}

template <class T>
void put_raw(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void put_bytes(std::string& out, uint32_t field, std::string_view bytes) {
  put_key(out, field, Wire::bytes);
  put_varint(out, bytes.size());
  out.append(bytes);
}

/// A Summary.Value that TensorBoard's text plugin shows: a list of one text.
std::string value_of(const TextSummary& text) {
  std::string plugin, metadata, dim, shape, tensor, value;
  put_bytes(plugin, kPluginName, "text");
  put_bytes(metadata, kPluginData, plugin);
  put_number(metadata, kDataClass, kDataClassTensor);
  put_number(dim, kDimSize, 1);
  put_bytes(shape, kDim, dim);
  put_number(tensor, kDtype, kDtypeString);
  put_bytes(tensor, kShape, shape);
  put_bytes(tensor, kStrings, text.text);
  put_bytes(value, kTag, text.tag);
  put_bytes(value, kTensor, tensor);
  put_bytes(value, kMetadata, metadata);
  return value;
}

std::string event_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  std::string event;
  put_key(event, kWallTime, Wire::fixed64);
  put_raw(event, std::chrono::duration<double>(now).count());
  return event;
}

// Masked, so that the check of data that holds checks is not special.
uint32_t masked_crc(std::string_view bytes) {
  const uint32_t crc = crc32c(std::as_bytes(std::span(bytes)));
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

Error failed(const std::filesystem::path& path, std::string_view what) {
  return error("{}: cannot be {}: {}", path.string(), what, std::strerror(errno));
}

}  // namespace

Result<EventFile> EventFile::create(const std::filesystem::path& folder) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  // TensorBoard reads files in the order of their names.
  for (int again = 0;; ++again) {
    auto path = folder / fmt::format("events.out.tfevents.{:010}.tidar.{:03}", seconds, again);
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0 && errno == EEXIST) continue;
    if (fd < 0) return failed(path, "created");
    EventFile file(std::move(path), fd);
    std::string event = event_now();
    put_bytes(event, kFileVersion, "brain.Event:2");
    TIDAR_TRY_VOID(file.write(event));
    return file;
  }
}

EventFile::EventFile(EventFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}

EventFile::~EventFile() {
  if (fd_ >= 0) ::close(fd_);
}

Result<void> EventFile::add(int64_t step, std::span<const Scalar> scalars,
                            std::span<const TextSummary> texts) {
  std::string summary;
  for (const Scalar& scalar : scalars) {
    std::string value;
    put_bytes(value, kTag, scalar.tag);
    put_key(value, kSimpleValue, Wire::fixed32);
    put_raw(value, static_cast<float>(scalar.value));
    put_bytes(summary, kValue, value);
  }
  for (const TextSummary& text : texts) put_bytes(summary, kValue, value_of(text));
  std::string event = event_now();
  put_number(event, kStep, static_cast<uint64_t>(step));
  put_bytes(event, kSummary, summary);
  return write(event);
}

Result<void> EventFile::write(const std::string& event) {
  std::string length, record;
  put_raw(length, static_cast<uint64_t>(event.size()));
  record = length;
  put_raw(record, masked_crc(length));
  record += event;
  put_raw(record, masked_crc(event));
  size_t written = 0;
  if (write_all(fd_, std::as_bytes(std::span(record)), written)) return {};
  const Error why = failed(path_, "written");
  // What was written of the record would hide all that follow.
  struct stat status {};
  if (written > 0 && fstat(fd_, &status) == 0) {
    const off_t before = status.st_size - static_cast<off_t>(written);
    if (ftruncate(fd_, before) != 0) return failed(path_, "cut back to its whole records");
  }
  return why;
}

}  // namespace tidar
