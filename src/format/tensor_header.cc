#include "format/tensor_header.h"

#include <array>
#include <optional>
#include <unordered_set>
#include <utility>

#include "format/files.h"
#include "format/json.h"

namespace tidar {

namespace {

constexpr size_t kMostDimensions = 8;

constexpr std::array<std::pair<std::string_view, DType>, 8> kDTypes = {{
    {"F32", DType::f32},
    {"F64", DType::f64},
    {"BF16", DType::bf16},
    {"F16", DType::f16},
    {"I32", DType::i32},
    {"I64", DType::i64},
    {"I8", DType::i8},
    {"F8_E4M3", DType::f8_e4m3},
}};

// Bytes of a tensor, or nothing when they do not fit 63 bits. Zeros are left out of the product at
// first, so that no part of a shape that passes can overflow later.
std::optional<int64_t> bytes_of(const std::vector<int64_t>& shape, DType dtype) {
  auto bytes = static_cast<int64_t>(size_of(dtype));
  bool empty = false;
  for (const int64_t dimension : shape) {
    empty = empty || dimension == 0;
    if (dimension > 0 && __builtin_mul_overflow(bytes, dimension, &bytes)) return {};
  }
  return empty ? 0 : bytes;
}

// Reads the header as a stream of events, because a tree of values would take many times the memory
// of the text, and because a tree forgets that a name was given twice.
class HeaderReader final : public nlohmann::json_sax<Json> {
 public:
  HeaderReader(std::string_view json, std::string where) : json_(json), where_(std::move(where)) {}

  Result<std::vector<HeaderEntry>> read() {
    const bool good = Json::sax_parse(json_.begin(), json_.end(), this);
    if (!good) return error_.value_or(error("{}: the header is not readable", where_));
    return std::move(entries_);
  }

  bool null() override { return unexpected("null"); }
  bool boolean(bool value) override { return unexpected(value ? "true" : "false"); }
  bool number_integer(int64_t value) override { return unexpected(fmt::format("{}", value)); }
  bool number_float(double /*value*/, const std::string& text) override { return unexpected(text); }
  bool binary(Json::binary_t& /*value*/) override { return unexpected("binary data"); }

  bool number_unsigned(uint64_t value) override {
    if (place_ != Place::shape && place_ != Place::offsets) {
      return unexpected(fmt::format("{}", value));
    }
    if (value > uint64_t{INT64_MAX}) return fail(field_ + " holds a number beyond 63 bits");
    auto& list = place_ == Place::shape ? entries_.back().shape : offsets_;
    if (list.size() >= (place_ == Place::shape ? kMostDimensions : 2)) {
      return fail(place_ == Place::shape ? "shape has more than 8 dimensions"
                                         : "data_offsets has more than 2 numbers");
    }
    list.push_back(static_cast<int64_t>(value));
    return true;
  }

  bool string(std::string& value) override {
    if (place_ == Place::metadata) return true;
    if (place_ != Place::tensor || field_ != "dtype") return unexpected("text " + in_quotes(value));
    for (const auto& [name, dtype] : kDTypes) {
      if (name != value) continue;
      entries_.back().dtype = dtype;
      return true;
    }
    return fail("dtype is " + in_quotes(value) +
                "; expected F32, F64, BF16, F16, F8_E4M3, I8, I32 or I64");
  }

  bool key(std::string& value) override {
    if (place_ == Place::names) return begin_name(value);
    if (place_ == Place::metadata) return true;
    field_ = value;
    bool* seen = value == "dtype"          ? &seen_dtype_
                 : value == "shape"        ? &seen_shape_
                 : value == "data_offsets" ? &seen_offsets_
                                           : nullptr;
    if (seen == nullptr) {
      return fail("has the field " + in_quotes(value) + "; expected dtype, shape and data_offsets");
    }
    if (std::exchange(*seen, true)) return fail("gives " + value + " twice");
    return true;
  }

  bool start_object(size_t /*elements*/) override {
    if (place_ == Place::before) {
      place_ = Place::names;
      return true;
    }
    if (place_ != Place::names) return unexpected("an object");
    if (name_ == "__metadata__") {
      place_ = Place::metadata;
      return true;
    }
    place_ = Place::tensor;
    field_.clear();
    offsets_.clear();
    seen_dtype_ = seen_shape_ = seen_offsets_ = false;
    entries_.emplace_back().name = name_;
    return true;
  }

  bool end_object() override {
    const bool good = place_ != Place::tensor || finish_tensor();
    place_ = place_ == Place::names ? Place::after : Place::names;
    return good;
  }

  bool start_array(size_t /*elements*/) override {
    if (place_ != Place::tensor || (field_ != "shape" && field_ != "data_offsets")) {
      return unexpected("a list");
    }
    place_ = field_ == "shape" ? Place::shape : Place::offsets;
    return true;
  }

  bool end_array() override {
    place_ = Place::tensor;
    return true;
  }

  bool parse_error(size_t position, const std::string& /*last_token*/,
                   const Json::exception& /*failure*/) override {
    error_ = json_error(json_, position, where_ + ": header");
    return false;
  }

 private:
  // Where in the header the reader is.
  enum class Place : uint8_t { before, names, metadata, tensor, shape, offsets, after };

  bool begin_name(const std::string& name) {
    name_ = name;
    if (names_.insert(name).second) return true;
    return fail("is given twice in the header");
  }

  bool finish_tensor() {
    HeaderEntry& entry = entries_.back();
    const char* missing = !seen_dtype_     ? "dtype"
                          : !seen_shape_   ? "shape"
                          : !seen_offsets_ ? "data_offsets"
                                           : nullptr;
    if (missing != nullptr) return fail(fmt::format("has no {}", missing));
    if (offsets_.size() != 2 || offsets_[0] > offsets_[1]) {
      return fail(fmt::format("data_offsets are {}; expected [begin, end] with begin <= end",
                              shape_text(offsets_)));
    }
    entry.begin = offsets_[0];
    entry.end = offsets_[1];
    const auto bytes = bytes_of(entry.shape, entry.dtype);
    const auto shape =
        fmt::format("shape {} of {}", shape_text(entry.shape), header_name(entry.dtype));
    if (!bytes) return fail(shape + " has more bytes than 63 bits can count");
    if (*bytes == entry.end - entry.begin) return true;
    return fail(fmt::format("{} takes {} bytes, but data_offsets [{}, {}] hold {}", shape, *bytes,
                            entry.begin, entry.end, entry.end - entry.begin));
  }

  bool unexpected(const std::string& found) {
    switch (place_) {
      case Place::before:
      case Place::after:
        return fail_file("the header is " + found + "; expected an object");
      case Place::names:
        return fail("is described by " + found + "; expected an object");
      case Place::metadata:
        return fail_file("__metadata__ holds " + found + "; expected texts");
      case Place::shape:
      case Place::offsets:
        return fail(field_ + " holds " + found + "; expected integers that are not negative");
      case Place::tensor:
        return fail(field_ + " is " + found + "; expected " +
                    (field_ == "dtype" ? "a text" : "a list of integers"));
    }
    return false;
  }

  bool fail(const std::string& what) {
    return fail_file("tensor " + in_quotes(name_) + ": " + what);
  }
  bool fail_file(const std::string& what) {
    error_ = error("{}: {}", where_, what);
    return false;
  }

  std::string_view json_;
  std::string where_;
  std::optional<Error> error_;
  std::vector<HeaderEntry> entries_;
  std::unordered_set<std::string> names_;

  Place place_ = Place::before;
  std::string name_;   // of the tensor being read
  std::string field_;  // of that tensor
  std::vector<int64_t> offsets_;
  bool seen_dtype_ = false;
  bool seen_shape_ = false;
  bool seen_offsets_ = false;
};

}  // namespace

Result<std::vector<HeaderEntry>> parse_tensor_header(std::string_view json,
                                                     const std::string& where) {
  return HeaderReader(json, where).read();
}

std::string_view header_name(DType dtype) {
  for (const auto& [name, known] : kDTypes) {
    if (known == dtype) return name;
  }
  return "?";
}

std::string shape_text(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

}  // namespace tidar
