#pragma once
// Curves for TensorBoard: a file of events, each a step with named numbers and texts.
//
// The file is a row of records (TensorFlow's TFRecord):
//   length  : u64 little endian
//   check   : u32               masked CRC-32C of the 8 bytes of length
//   data    : length bytes      an Event (protocol buffer): wall time, step, tags and values
//   check   : u32               masked CRC-32C of data

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tidar {

/// A number with the name of its curve; "train/loss" stands in the group "train".
struct Scalar {
  std::string_view tag;
  double value = 0;  ///< the file keeps it as f32
};

/// A text with the name under which it is shown, as Markdown.
struct TextSummary {
  std::string_view tag;
  std::string_view text;  ///< UTF-8
};

/// Appends events to a file of its own. Each event reaches the system whole or not at all, so a
/// killed program leaves a readable file.
class EventFile {
 public:
  /// Makes a file in the folder whose name no other has, as TensorBoard wants to see it.
  static Result<EventFile> create(const std::filesystem::path& folder);

  EventFile(EventFile&& other) noexcept;
  EventFile& operator=(EventFile&&) = delete;
  ~EventFile();

  Result<void> add(int64_t step, std::span<const Scalar> scalars,
                   std::span<const TextSummary> texts = {});

  const std::filesystem::path& path() const { return path_; }

 private:
  EventFile(std::filesystem::path path, int fd) : path_(std::move(path)), fd_(fd) {}
  Result<void> write(const std::string& event);

  std::filesystem::path path_;
  int fd_ = -1;
};

}  // namespace tidar
