#pragma once
// For the tests: GGUF files put together by hand, so that each part of them can be wrong.

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "format/gguf.h"

namespace tidar {

/// The bytes of a number, as the file has it.
template <class T>
std::string raw(T value) {
  static_assert(std::is_arithmetic_v<T>);
  return {reinterpret_cast<const char*>(&value), sizeof value};
}
inline std::string gguf_text(std::string_view text) {
  return raw(uint64_t{text.size()}).append(text);
}

/// The number of a C++ type among the types of values.
template <class T>
constexpr uint32_t gguf_type() {
  if (std::is_same_v<T, bool>) return 7;
  if (std::is_same_v<T, float>) return 6;
  if (std::is_same_v<T, double>) return 12;
  constexpr uint32_t is_signed = std::is_signed_v<T>;
  return (sizeof(T) == 8 ? 10 : sizeof(T) == 4 ? 4 : sizeof(T) == 2 ? 2 : 0) + is_signed;
}
inline constexpr uint32_t kGgufText = 8, kGgufList = 9;

/// Collects entries and tensors; file() is what they make.
class GgufBuilder {
 public:
  template <class T>
  GgufBuilder& set(std::string_view key, T value) {
    return entry(key, gguf_type<T>(), raw(value));
  }
  GgufBuilder& set(std::string_view key, std::string_view text) {
    return entry(key, kGgufText, gguf_text(text));
  }
  GgufBuilder& set(std::string_view key, const char* text) {
    return set(key, std::string_view(text));
  }
  GgufBuilder& texts(std::string_view key, const std::vector<std::string>& texts) {
    std::string values = raw(kGgufText) + raw(uint64_t{texts.size()});
    for (const std::string& text : texts) values += gguf_text(text);
    return entry(key, kGgufList, values);
  }
  template <class T>
  GgufBuilder& list(std::string_view key, const std::vector<T>& items) {
    std::string values = raw(gguf_type<T>()) + raw(uint64_t{items.size()});
    for (const T item : items) values += raw(item);
    return entry(key, kGgufList, values);
  }
  /// An entry whose value is any bytes.
  GgufBuilder& entry(std::string_view key, uint32_t type, std::string_view value) {
    entries_ += gguf_text(key) + raw(type);
    entries_ += value;
    ++entry_count;
    return *this;
  }

  /// A tensor of these bytes behind those before it.
  GgufBuilder& tensor(std::string_view name, BlockFormat format, std::vector<int64_t> shape,
                      std::string_view bytes) {
    std::vector<uint64_t> sizes(shape.rbegin(), shape.rend());
    info(name, sizes, facts_of(format).number, data_.size());
    data_ += bytes;
    data_.resize((data_.size() + alignment - 1) / alignment * alignment);
    return *this;
  }
  /// What the file says of a tensor, whatever it holds.
  GgufBuilder& info(std::string_view name, const std::vector<uint64_t>& sizes, uint32_t format,
                    uint64_t offset) {
    infos_ += gguf_text(name) + raw(static_cast<uint32_t>(sizes.size()));
    for (const uint64_t size : sizes) infos_ += raw(size);
    infos_ += raw(format) + raw(offset);
    ++tensor_count;
    return *this;
  }
  GgufBuilder& data(std::string_view bytes) {
    data_ += bytes;
    return *this;
  }

  std::string file() const {
    std::string file = magic + raw(version) + raw(tensor_count) + raw(entry_count);
    file += entries_ + infos_;
    file.resize((file.size() + alignment - 1) / alignment * alignment);
    return file + data_;
  }

  // May be set to something else.
  std::string magic = "GGUF";
  uint32_t version = 3;
  uint64_t tensor_count = 0, entry_count = 0;
  size_t alignment = 32;

 private:
  std::string entries_, infos_, data_;
};

/// Parses the bytes of a file, which must outlive the result.
inline Result<Gguf> parse_gguf(const std::string& file) {
  return Gguf::parse(std::as_bytes(std::span(file.data(), file.size())), "f.gguf");
}

}  // namespace tidar
