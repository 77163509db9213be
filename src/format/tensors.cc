#include "format/tensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <numeric>
#include <set>
#include <utility>

#include "base/check.h"
#include "format/files.h"
#include "format/json.h"
#include "format/tensor_header.h"

namespace tidar {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

namespace {

constexpr size_t kLengthBytes = 8;
// The limit of the reference implementation of the format.
constexpr uint64_t kLongestHeader = 100'000'000;

// Length of the header, checked against the file and the format's limit.
Result<size_t> header_length(std::span<const std::byte> bytes, const std::string& where) {
  constexpr std::string_view kPointer = "version https://git-lfs";
  if (bytes.size() >= kPointer.size() &&
      std::memcmp(bytes.data(), kPointer.data(), kPointer.size()) == 0) {
    return error(
        "{}: is a Git LFS pointer, not the tensors themselves; fetch them with git lfs pull",
        where);
  }
  if (bytes.size() < kLengthBytes) {
    return error("{}: has {} bytes; a safetensors file begins with 8 bytes of header length", where,
                 bytes.size());
  }
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  const uint64_t rest = bytes.size() - kLengthBytes;
  if (length > rest) {
    return error(
        "{}: announces a header of {} bytes, but only {} follow; it is no safetensors file, or it "
        "is truncated",
        where, length, rest);
  }
  if (length > kLongestHeader) {
    return error("{}: announces a header of {} bytes; expected at most {}", where, length,
                 kLongestHeader);
  }
  return static_cast<size_t>(length);
}

// Checks that the entries, in the order of their data, fill `data_bytes` without gap or overlap.
Result<void> check_layout(const std::vector<HeaderEntry>& entries, int64_t data_bytes,
                          const std::string& where) {
  std::vector<const HeaderEntry*> order;
  order.reserve(entries.size());
  for (const auto& entry : entries) order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const HeaderEntry* a, const HeaderEntry* b) {
    return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
  });
  int64_t filled = 0;
  std::string_view before;
  for (const HeaderEntry* entry : order) {
    const auto name = in_quotes(entry->name);
    if (entry->end > data_bytes) {
      return error(
          "{}: tensor {} ends at byte {} of the data, but the file holds {}; it is truncated",
          where, name, entry->end, data_bytes);
    }
    if (entry->begin != filled) {
      return error("{}: tensor {} begins at byte {} of the data, but {} ends at {}: expected no {}",
                   where, name, entry->begin,
                   before.empty() ? "what is before it" : "tensor " + in_quotes(before), filled,
                   entry->begin < filled ? "overlap" : "gap");
    }
    filled = entry->end;
    before = entry->name;
  }
  if (filled != data_bytes) {
    return error("{}: the tensors end at byte {} of the data, but the file holds {}", where, filled,
                 data_bytes);
  }
  return {};
}

}  // namespace

Result<std::vector<StoredTensor>> parse_tensors(std::span<const std::byte> bytes,
                                                const std::string& where) {
  TIDAR_TRY(const size_t length, header_length(bytes, where));
  const std::string_view json(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, length);
  TIDAR_TRY(std::vector<HeaderEntry> entries, parse_tensor_header(json, where));
  const auto data = bytes.subspan(kLengthBytes + length);
  TIDAR_TRY_VOID(check_layout(entries, static_cast<int64_t>(data.size()), where));

  std::vector<StoredTensor> tensors;
  tensors.reserve(entries.size());
  for (auto& entry : entries) {
    tensors.push_back({.name = std::move(entry.name),
                       .dtype = entry.dtype,
                       .shape = std::move(entry.shape),
                       .data = data.subspan(static_cast<size_t>(entry.begin),
                                            static_cast<size_t>(entry.end - entry.begin)),
                       .file = where});
  }
  return tensors;
}

namespace {

// Whether all exponent bits are set is looked at for many elements at once, and only then for one.
template <class Bits>
std::optional<int64_t> first_with_exponent(std::span<const std::byte> data, Bits exponent) {
  constexpr size_t kStretch = 4096;  // elements
  const size_t count = data.size() / sizeof(Bits);
  std::array<Bits, kStretch> stretch;  // data may be unaligned
  for (size_t begin = 0; begin < count; begin += kStretch) {
    const size_t here = std::min(kStretch, count - begin);
    std::memcpy(stretch.data(), data.data() + begin * sizeof(Bits), here * sizeof(Bits));
    Bits any = 0;
    for (size_t i = 0; i < here; ++i) any |= (stretch[i] & exponent) == exponent;
    if (any == 0) continue;
    for (size_t i = 0;; ++i) {
      if ((stretch[i] & exponent) == exponent) return static_cast<int64_t>(begin + i);
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<int64_t> first_not_finite(const StoredTensor& tensor) {
  switch (tensor.dtype) {
    case DType::f32:
      return first_with_exponent<uint32_t>(tensor.data, 0x7f800000u);
    case DType::bf16:
      return first_with_exponent<uint16_t>(tensor.data, 0x7f80u);
    case DType::f16:
      return first_with_exponent<uint16_t>(tensor.data, 0x7c00u);
    case DType::f8_e4m3:  // has no infinities, and one NaN of each sign
      return first_with_exponent<uint8_t>(tensor.data, 0x7fu);
    default:
      fail_check(__FILE__, __LINE__, "not a floating type of checkpoints");
  }
}

Result<TensorFile> TensorFile::open(const std::filesystem::path& path) {
  TIDAR_TRY(MappedFile file, MappedFile::open(path));
  TIDAR_TRY(std::vector<StoredTensor> tensors, parse_tensors(file.bytes(), path.string()));
  return TensorFile(std::move(file), std::move(tensors));
}

namespace {

// Which shard holds each tensor, as model.safetensors.index.json says.
using ShardMap = std::map<std::string, std::string, std::less<>>;

Result<ShardMap> read_index(const std::filesystem::path& path) {
  TIDAR_TRY(const std::string text, read_text_file(path));
  TIDAR_TRY(const Json json, parse_json_object(text, path.string()));
  const JsonFields fields(json, path.string());
  const auto map = json.find("weight_map");
  if (map == json.end() || !map->is_object()) {
    return fields.wrong("weight_map", "an object: the file of each tensor");
  }
  ShardMap shards;
  for (const auto& [name, file] : map->items()) {
    const std::string shard = file.is_string() ? file.get<std::string>() : "";
    // A name from outside must not lead out of the folder.
    if (shard.empty() || shard.find('/') != std::string::npos || shard == "." || shard == "..") {
      return error("{}: tensor {} is placed in {}; expected the name of a file in this folder",
                   path.string(), in_quotes(name),
                   in_quotes(file.is_string() ? shard : file.type_name()));
    }
    shards.emplace(name, shard);
  }
  return shards;
}

// Every tensor that the index names must be stored where it says, and no other.
Result<void> check_index(const ShardMap& index, const std::string& where,
                         const std::map<std::string, TensorFile>& files) {
  size_t stored = 0;
  for (const auto& [shard, file] : files) {
    for (const auto& tensor : file.tensors()) {
      const auto entry = index.find(tensor.name);
      if (entry == index.end()) {
        return error("{}: tensor {} is stored here, but {} does not name it", tensor.file,
                     in_quotes(tensor.name), where);
      }
      if (entry->second != shard) {
        return error("{}: tensor {} is stored here, but {} places it in {}", tensor.file,
                     in_quotes(tensor.name), where, in_quotes(entry->second));
      }
    }
    stored += file.tensors().size();
  }
  if (stored == index.size()) return {};
  for (const auto& [name, shard] : index) {
    const auto& tensors = files.at(shard).tensors();
    const bool found =
        std::any_of(tensors.begin(), tensors.end(),
                    [&wanted = name](const auto& tensor) { return tensor.name == wanted; });
    if (!found) {
      return error("{}: tensor {} is placed in {}, but that file does not hold it", where,
                   in_quotes(name), in_quotes(shard));
    }
  }
  return {};
}

Result<std::vector<TensorFile>> open_shards(const std::filesystem::path& folder,
                                            const std::filesystem::path& index_path) {
  TIDAR_TRY(const ShardMap index, read_index(index_path));
  std::map<std::string, TensorFile> files;
  for (const auto& [name, shard] : index) {
    if (files.contains(shard)) continue;
    auto file = TensorFile::open(folder / shard);
    if (!file) {
      return error("{} (which {} names for tensor {})", file.error().message, index_path.string(),
                   in_quotes(name));
    }
    files.emplace(shard, std::move(*file));
  }
  TIDAR_TRY_VOID(check_index(index, index_path.string(), files));
  std::vector<TensorFile> list;
  list.reserve(files.size());
  for (auto& [shard, file] : files) list.push_back(std::move(file));
  return list;
}

}  // namespace

Result<TensorFolder> TensorFolder::open(const std::filesystem::path& folder) {
  const auto single = folder / "model.safetensors";
  const auto index = folder / "model.safetensors.index.json";
  std::error_code ignored;
  TensorFolder result;
  if (std::filesystem::exists(single, ignored)) {
    TIDAR_TRY(TensorFile file, TensorFile::open(single));
    result.files_.push_back(std::move(file));
  } else if (std::filesystem::exists(index, ignored)) {
    TIDAR_TRY(result.files_, open_shards(folder, index));
  } else {
    return error(
        "{}: holds no weights; expected a folder with model.safetensors, or "
        "model.safetensors.index.json and its shards",
        folder.string());
  }
  for (const auto& file : result.files_) {
    for (const auto& tensor : file.tensors()) result.by_name_.emplace(tensor.name, &tensor);
  }
  return result;
}

Result<std::vector<std::string>> weight_files_of(const std::filesystem::path& folder) {
  const std::string single = "model.safetensors", index = "model.safetensors.index.json";
  std::error_code ignored;
  if (std::filesystem::exists(folder / single, ignored)) return std::vector{single};
  TIDAR_TRY(const ShardMap shards, read_index(folder / index));
  std::set<std::string> names = {index};
  for (const auto& [tensor, shard] : shards) names.insert(shard);
  return std::vector(names.begin(), names.end());
}

const StoredTensor* TensorFolder::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

std::vector<std::string> TensorFolder::names() const {
  std::vector<std::string> names;
  names.reserve(by_name_.size());
  for (const auto& [name, tensor] : by_name_) names.push_back(name);
  return names;
}

Result<TensorFileWriter> TensorFileWriter::create(const std::filesystem::path& path,
                                                  std::span<const TensorToWrite> tensors) {
  // Widest elements first, as the reference implementation does it: every tensor is then aligned.
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return size_of(tensors[a].dtype) > size_of(tensors[b].dtype);
  });

  OrderedJson header;
  header["__metadata__"] = {{"format", "pt"}};  // other tools refuse a file without it
  std::map<std::string, Place, std::less<>> places;
  size_t end = 0;
  for (const size_t i : order) {
    const TensorToWrite& tensor = tensors[i];
    const size_t elements = std::accumulate(
        tensor.shape.begin(), tensor.shape.end(), size_t{1},
        [](size_t product, int64_t dimension) { return product * static_cast<size_t>(dimension); });
    const size_t bytes = elements * size_of(tensor.dtype);
    if (!tensor.data.empty()) TIDAR_CHECK_EQ(tensor.data.size(), bytes);
    const size_t begin = std::exchange(end, end + bytes);
    TIDAR_CHECK(tensor.name != "__metadata__" &&
                places.emplace(tensor.name, Place{begin, bytes, 0}).second);
    header[tensor.name] = {{"dtype", header_name(tensor.dtype)},
                           {"shape", tensor.shape},
                           {"data_offsets", {begin, end}}};
  }
  std::string json = header.dump(-1, ' ', false, Json::error_handler_t::replace);
  json.append((kLengthBytes - json.size() % kLengthBytes) % kLengthBytes, ' ');
  const uint64_t length = json.size();
  TIDAR_TRY(FileWriter file, FileWriter::create(path));
  TIDAR_TRY_VOID(file.append(std::as_bytes(std::span(&length, 1))));
  TIDAR_TRY_VOID(file.append(std::as_bytes(std::span(json))));
  for (auto& [name, place] : places) place.begin += file.written();
  const std::vector<std::byte> zeros(std::min(end, size_t{1} << 20));  // so the disk has room
  for (size_t left = end; left > 0; left -= std::min(left, zeros.size())) {
    TIDAR_TRY_VOID(file.append(std::span(zeros).first(std::min(left, zeros.size()))));
  }
  return TensorFileWriter(std::move(file), std::move(places));
}

Result<void> TensorFileWriter::write(std::string_view name, size_t offset,
                                     std::span<const std::byte> bytes) {
  const auto found = places_.find(name);
  TIDAR_CHECK(found != places_.end());
  Place& place = found->second;
  TIDAR_CHECK_LE(offset + bytes.size(), place.bytes);
  place.written += bytes.size();
  return file_.overwrite(place.begin + offset, bytes);
}

Result<void> TensorFileWriter::commit() {
  for (const auto& [name, place] : places_) TIDAR_CHECK_EQ(place.written, place.bytes);
  return file_.commit();
}

Result<void> write_tensors(const std::filesystem::path& path,
                           std::span<const TensorToWrite> tensors) {
  TIDAR_TRY(TensorFileWriter file, TensorFileWriter::create(path, tensors));
  for (const TensorToWrite& tensor : tensors) {
    TIDAR_TRY_VOID(file.write(tensor.name, 0, tensor.data));
  }
  return file.commit();
}

}  // namespace tidar
