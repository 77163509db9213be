#include "format/gguf.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstring>
#include <type_traits>

#include "format/tensor_header.h"

namespace tidar {

static_assert(std::endian::native == std::endian::little, "GGUF files are little-endian");

namespace {

constexpr std::string_view kGgufMagic = "GGUF";
constexpr uint64_t kUsualAlignment = 32;
constexpr uint64_t kLargestAlignment = 1 << 20;
constexpr uint32_t kMostGgufDimensions = 4;
/// Bytes that an entry, an info take at least.
constexpr uint64_t kSmallestEntry = 8 + 4 + 1;
constexpr uint64_t kSmallestInfo = 8 + 4 + 8 + 4 + 8;
/// Far above the tensors of any model: the sizes of all together fit 63 bits.
constexpr int64_t kLargestSize = int64_t{1} << 40;

enum class Type : uint8_t { u8, i8, u16, i16, u32, i32, f32, boolean, text, list, u64, i64, f64 };
constexpr std::array<std::string_view, 13> kTypeNames = {
    "u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "text", "list", "u64", "i64", "f64"};
constexpr auto kTypes = static_cast<uint32_t>(kTypeNames.size());

std::string_view name_of(uint32_t type) { return kTypeNames[type]; }

/// Calls f with a null pointer to the C++ type of a value that is a number or a truth.
template <class F>
decltype(auto) with_type(Type type, F&& f) {
  switch (type) {
    case Type::u8:
      return f(static_cast<uint8_t*>(nullptr));
    case Type::i8:
      return f(static_cast<int8_t*>(nullptr));
    case Type::u16:
      return f(static_cast<uint16_t*>(nullptr));
    case Type::i16:
      return f(static_cast<int16_t*>(nullptr));
    case Type::u32:
      return f(static_cast<uint32_t*>(nullptr));
    case Type::i32:
      return f(static_cast<int32_t*>(nullptr));
    case Type::f32:
      return f(static_cast<float*>(nullptr));
    case Type::boolean:
      return f(static_cast<bool*>(nullptr));
    case Type::u64:
      return f(static_cast<uint64_t*>(nullptr));
    case Type::i64:
      return f(static_cast<int64_t*>(nullptr));
    case Type::f64:
      return f(static_cast<double*>(nullptr));
    case Type::text:
    case Type::list:
      break;
  }
  fail_check(__FILE__, __LINE__, "not a type of numbers");
}

/// Bytes of a value that is neither text nor list.
size_t size_of(Type type) {
  return with_type(type, []<class T>(T*) { return sizeof(T); });
}

template <class T>
T read_at(const std::byte* at) {
  // A truth is a byte, and not every byte is one of C++'s.
  std::conditional_t<std::same_as<T, bool>, uint8_t, T> value;
  std::memcpy(&value, at, sizeof value);
  return static_cast<T>(value);
}

/// The double that is written as the shortest decimal that rounds to `value`.
double decimal(float value) {
  if (!std::isfinite(value)) return value;
  std::array<char, 32> text;
  const auto written = std::to_chars(text.data(), text.data() + text.size(), value);
  double result = 0;
  std::from_chars(text.data(), written.ptr, result);
  return result;
}

template <class T>
Json json_of(T value) {
  if constexpr (std::same_as<T, float>) {
    return decimal(value);
  } else {
    return value;
  }
}

}  // namespace

/// Reads a file from front to back.
class GgufReader {
 public:
  GgufReader(std::span<const std::byte> bytes, const std::string& where) : bytes_(bytes) {
    file_.where_ = where;
  }

  Result<Gguf> read() {
    TIDAR_TRY_VOID(read_version());
    TIDAR_TRY(const auto tensors, take<uint64_t>("the number of tensors"));
    TIDAR_TRY(const auto entries, take<uint64_t>("the number of entries"));
    TIDAR_TRY_VOID(check_count("entries", entries, kSmallestEntry));
    TIDAR_TRY_VOID(check_count("tensors", tensors, kSmallestInfo));
    for (uint64_t i = 0; i < entries; ++i) TIDAR_TRY_VOID(read_entry());
    TIDAR_TRY_VOID(refuse_parts());
    for (uint64_t i = 0; i < tensors; ++i) TIDAR_TRY_VOID(read_info());
    TIDAR_TRY_VOID(place_tensors());
    return std::move(file_);
  }

 private:
  const std::string& where() const { return file_.where_; }
  uint64_t left() const { return bytes_.size() - at_; }

  Error truncated(std::string_view what, uint64_t wanted) const {
    return error("{}: ends within {}: it takes {} bytes, but only {} are left; it is truncated",
                 where(), what, wanted, left());
  }

  template <class T>
  Result<T> take(std::string_view what) {
    if (left() < sizeof(T)) return truncated(what, sizeof(T));
    const T value = read_at<T>(bytes_.data() + at_);
    at_ += sizeof(T);
    return value;
  }

  Result<std::string_view> take_text(std::string_view what) {
    TIDAR_TRY(const auto length, take<uint64_t>(what));
    if (length > left()) return truncated(what, length);
    const std::string_view text(reinterpret_cast<const char*>(bytes_.data()) + at_, length);
    at_ += length;
    return text;
  }

  Result<void> read_version() {
    const auto begin = bytes_.first(std::min(bytes_.size(), kGgufMagic.size()));
    const std::string_view magic(reinterpret_cast<const char*>(begin.data()), begin.size());
    if (magic != kGgufMagic) {
      return error("{}: is no GGUF file: it begins with {}, not with 'GGUF'", where(),
                   in_quotes(magic));
    }
    at_ = kGgufMagic.size();
    TIDAR_TRY(const auto version, take<uint32_t>("its version"));
    if (version == 2 || version == 3) return {};
    if (version == 0x02000000 || version == 0x03000000) {
      return error("{}: is a big-endian GGUF file; expected a little-endian one", where());
    }
    return error("{}: is a GGUF file of version {}; expected 2 or 3 (convert the model again)",
                 where(), version);
  }

  /// So that loops over what the file claims end with the file.
  Result<void> check_count(std::string_view what, uint64_t count, uint64_t least_bytes) const {
    if (count <= left() / least_bytes) return {};
    return error("{}: announces {} {}, but the {} bytes that follow cannot hold them", where(),
                 count, what, left());
  }

  Result<void> read_entry() {
    TIDAR_TRY(const auto key, take_text("the key of an entry"));
    const std::string what = "entry " + in_quotes(key);
    TIDAR_TRY(const auto type, take<uint32_t>(what));
    if (type >= kTypes) {
      return error("{}: {} has the type {}; expected one below {}", where(), what, type, kTypes);
    }
    if (file_.entries_.contains(key) || file_.has_list(key)) {
      return error("{}: {} is there twice", where(), what);
    }
    if (static_cast<Type>(type) == Type::list) return read_list(std::string(key), what);
    TIDAR_TRY(file_.entries_[std::string(key)], take_value(static_cast<Type>(type), what));
    return {};
  }

  Result<Json> take_value(Type type, const std::string& what) {
    if (type == Type::text) {
      TIDAR_TRY(const auto text, take_text(what));
      return Json(text);
    }
    return with_type(type, [&]<class T>(T*) -> Result<Json> {
      TIDAR_TRY(const T value, take<T>(what));
      return json_of(value);
    });
  }

  Result<void> read_list(std::string key, const std::string& what) {
    TIDAR_TRY(const auto type, take<uint32_t>(what));
    TIDAR_TRY(const auto count, take<uint64_t>(what));
    if (type >= kTypes || static_cast<Type>(type) == Type::list) {
      return error("{}: {} is a list of the type {}; expected a list of numbers or texts", where(),
                   what, type);
    }
    const size_t begin = at_;
    if (static_cast<Type>(type) == Type::text) {
      TIDAR_TRY_VOID(check_count("texts in " + what, count, sizeof(uint64_t)));
      for (uint64_t i = 0; i < count; ++i) TIDAR_TRY_VOID(take_text(what));
    } else {
      const size_t size = size_of(static_cast<Type>(type));
      TIDAR_TRY_VOID(check_count("values in " + what, count, size));
      at_ += count * size;
    }
    file_.lists_[std::move(key)] = {type, count, bytes_.subspan(begin, at_ - begin)};
    return {};
  }

  Result<void> refuse_parts() const {
    TIDAR_TRY(const int64_t parts, file_.fields().count("split.count", 0, 1));
    if (parts <= 1) return {};
    return error("{}: is one of {} parts of a model; join them with llama-gguf-split --merge",
                 where(), parts);
  }

  Result<void> read_info() {
    TIDAR_TRY(const auto name, take_text("the name of a tensor"));
    const std::string what = "tensor " + in_quotes(name);
    if (!file_.tensor_of_.emplace(name, file_.tensors_.size()).second) {
      return error("{}: {} is there twice", where(), what);
    }
    GgufTensor tensor;
    tensor.name = name;
    TIDAR_TRY(tensor.shape, take_shape(what));
    TIDAR_TRY(const auto number, take<uint32_t>(what));
    TIDAR_TRY(tensor.format, checked_format(number, what));
    TIDAR_TRY(const auto offset, take<uint64_t>(what));
    offsets_.push_back(offset);
    const int elements = facts_of(tensor.format).elements;
    if (tensor.shape.back() % elements != 0) {
      return error("{}: {} has rows of {} elements; {} wants a multiple of {}", where(), what,
                   tensor.shape.back(), facts_of(tensor.format).name, elements);
    }
    file_.tensors_.push_back(std::move(tensor));
    return {};
  }

  Result<std::vector<int64_t>> take_shape(const std::string& what) {
    TIDAR_TRY(const auto dimensions, take<uint32_t>(what));
    if (dimensions < 1 || dimensions > kMostGgufDimensions) {
      return error("{}: {} has {} dimensions; expected 1 to {}", where(), what, dimensions,
                   kMostGgufDimensions);
    }
    std::vector<int64_t> shape(dimensions);
    int64_t elements = 1;
    for (size_t i = dimensions; i-- > 0;) {
      TIDAR_TRY(const auto size, take<uint64_t>(what));
      if (size < 1 || size > static_cast<uint64_t>(kLargestSize / elements)) {
        return error(
            "{}: {} has a dimension of {}; expected a positive one, and at most {} "
            "elements in all",
            where(), what, size, kLargestSize);
      }
      shape[i] = static_cast<int64_t>(size);
      elements *= shape[i];
    }
    return shape;
  }

  Result<BlockFormat> checked_format(uint32_t number, const std::string& what) const {
    if (const auto known = block_format_numbered(number)) return *known;
    const std::string_view foreign = foreign_block_format(number);
    if (foreign.empty()) {
      return error("{}: {} has the format {}, which is none of GGUF's", where(), what, number);
    }
    std::vector<std::string_view> names;
    for (const BlockFormatFacts& facts : kBlockFormats) names.push_back(facts.name);
    return error("{}: {} is stored as {}, which is not supported; quantise the model to one of {}",
                 where(), what, foreign, fmt::join(names, ", "));
  }

  Result<uint64_t> alignment() const {
    TIDAR_TRY(const int64_t given,
              file_.fields().count("general.alignment", 1, static_cast<int64_t>(kUsualAlignment)));
    const auto alignment = static_cast<uint64_t>(given);
    if (std::has_single_bit(alignment) && alignment <= kLargestAlignment) return alignment;
    return file_.fields().wrong("general.alignment",
                                fmt::format("a power of two up to {}", kLargestAlignment));
  }

  /// Gives every tensor its bytes, which must be there and belong to no other.
  Result<void> place_tensors() {
    TIDAR_TRY(const uint64_t alignment, this->alignment());
    const uint64_t padded = (at_ + alignment - 1) / alignment * alignment;
    const auto data = bytes_.subspan(std::min<uint64_t>(padded, bytes_.size()));
    for (size_t i = 0; i < offsets_.size(); ++i) {
      TIDAR_TRY_VOID(place(file_.tensors_[i], offsets_[i], alignment, data));
    }
    return refuse_overlaps();
  }

  Result<void> place(GgufTensor& tensor, uint64_t offset, uint64_t alignment,
                     std::span<const std::byte> data) const {
    const BlockFormatFacts& facts = facts_of(tensor.format);
    uint64_t elements = 1;
    for (const int64_t size : tensor.shape) elements *= static_cast<uint64_t>(size);
    const uint64_t bytes =
        elements / static_cast<uint64_t>(facts.elements) * static_cast<uint64_t>(facts.bytes);
    if (offset % alignment != 0) {
      return error("{}: tensor {} begins at byte {} of the data; expected a multiple of {}",
                   where(), in_quotes(tensor.name), offset, alignment);
    }
    if (offset > data.size() || bytes > data.size() - offset) {
      return error(
          "{}: tensor {} takes {} bytes from byte {} of the data on, but the file holds {}; it is "
          "truncated",
          where(), in_quotes(tensor.name), bytes, offset, data.size());
    }
    tensor.data = data.subspan(offset, bytes);
    return {};
  }

  Result<void> refuse_overlaps() const {
    std::vector<const GgufTensor*> order;
    order.reserve(file_.tensors_.size());
    for (const GgufTensor& tensor : file_.tensors_) order.push_back(&tensor);
    std::sort(order.begin(), order.end(), [](const GgufTensor* a, const GgufTensor* b) {
      return a->data.data() < b->data.data();
    });
    for (size_t i = 1; i < order.size(); ++i) {
      const GgufTensor &before = *order[i - 1], &here = *order[i];
      if (before.data.data() + before.data.size() <= here.data.data()) continue;
      return error("{}: the tensors {} and {} overlap", where(), in_quotes(before.name),
                   in_quotes(here.name));
    }
    return {};
  }

  std::span<const std::byte> bytes_;
  size_t at_ = 0;
  Gguf file_;
  std::vector<uint64_t> offsets_;  // of the tensors
};

Result<Gguf> Gguf::parse(std::span<const std::byte> bytes, const std::string& where) {
  return GgufReader(bytes, where).read();
}

Error Gguf::wrong_list(std::string_view key, const List& list, std::string_view expected) const {
  return error("{}: field '{}' is a list of {} values of the type {}; expected {}", where_, key,
               list.count, name_of(list.type), expected);
}

Result<const Gguf::List*> Gguf::list(std::string_view key, std::string_view expected) const {
  const auto found = lists_.find(key);
  if (found == lists_.end()) return fields().wrong(key, expected);
  return &found->second;
}

Result<std::vector<std::string_view>> Gguf::texts(std::string_view key) const {
  constexpr std::string_view kExpected = "a list of texts";
  TIDAR_TRY(const List* list, this->list(key, kExpected));
  if (static_cast<Type>(list->type) != Type::text) return wrong_list(key, *list, kExpected);
  std::vector<std::string_view> texts;
  texts.reserve(list->count);
  for (const std::byte* at = list->values.data(); texts.size() < list->count;) {
    const auto length = read_at<uint64_t>(at);
    at += sizeof length;
    texts.emplace_back(reinterpret_cast<const char*>(at), length);
    at += length;
  }
  return texts;
}

Result<std::vector<int64_t>> Gguf::integers(std::string_view key) const {
  constexpr std::string_view kExpected = "a list of integers of at most 32 bits";
  TIDAR_TRY(const List* list, this->list(key, kExpected));
  const auto type = static_cast<Type>(list->type);
  if (type > Type::i32) return wrong_list(key, *list, kExpected);
  return with_type(type, [&]<class T>(T*) -> Result<std::vector<int64_t>> {
    std::vector<int64_t> numbers(list->count);
    for (size_t i = 0; i < numbers.size(); ++i) {
      const T number = read_at<T>(list->values.data() + i * sizeof(T));
      numbers[i] = static_cast<int64_t>(number);  // NOLINT(bugprone-signed-char-misuse)
    }
    return numbers;
  });
}

Result<std::vector<double>> Gguf::numbers(std::string_view key) const {
  constexpr std::string_view kExpected = "a list of f32 or f64";
  TIDAR_TRY(const List* list, this->list(key, kExpected));
  const auto type = static_cast<Type>(list->type);
  if (type != Type::f32 && type != Type::f64) return wrong_list(key, *list, kExpected);
  return with_type(type, [&]<class T>(T*) -> Result<std::vector<double>> {
    std::vector<double> numbers(list->count);
    for (size_t i = 0; i < numbers.size(); ++i) {
      numbers[i] = static_cast<double>(read_at<T>(list->values.data() + i * sizeof(T)));
    }
    return numbers;
  });
}

const GgufTensor* Gguf::find(std::string_view name) const {
  const auto found = tensor_of_.find(name);
  return found == tensor_of_.end() ? nullptr : &tensors_[found->second];
}

Result<GgufFile> GgufFile::open(const std::filesystem::path& path) {
  TIDAR_TRY(MappedFile file, MappedFile::open(path));
  TIDAR_TRY(Gguf content, Gguf::parse(file.bytes(), path.string()));
  return GgufFile(std::move(file), std::move(content));
}

bool is_gguf_path(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored);
}

}  // namespace tidar
