#pragma once
// Named tensors on disk: one safetensors file, or several under an index, memory-mapped.
//
// A safetensors file is
//   header_length : u64 little endian
//   header        : JSON object, header_length bytes: name -> {dtype, shape, data_offsets}
//   data          : the tensors, row-major, without gaps or overlaps

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/dtype.h"
#include "base/result.h"
#include "format/files.h"

namespace tidar {

/// A view of one tensor in a mapped file. Valid while its TensorFile lives. `data` is aligned for
/// its element type only if the producer aligned it: read elements with memcpy.
struct StoredTensor {
  std::string name;
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
  std::span<const std::byte> data;
  std::string file;  ///< for error messages
};

/// Index of the first element that is NaN or infinite, counted row by row; nothing where all are
/// finite. For f32, bf16, f16 and f8. Reads at the speed of memory.
std::optional<int64_t> first_not_finite(const StoredTensor& tensor);

/// One mapped file.
class TensorFile {
 public:
  /// Maps and validates: header length, JSON, dtypes, shapes against offsets, overlaps, gaps and
  /// the file's size. The Error names file, tensor, expected and found. Nothing is allocated in
  /// proportion to a number that the file claims.
  static Result<TensorFile> open(const std::filesystem::path& path);

  const std::vector<StoredTensor>& tensors() const { return tensors_; }

 private:
  TensorFile(MappedFile file, std::vector<StoredTensor> tensors)
      : file_(std::move(file)), tensors_(std::move(tensors)) {}

  MappedFile file_;
  std::vector<StoredTensor> tensors_;
};

/// Parses a whole safetensors file that is already in memory; the views point into `bytes`.
Result<std::vector<StoredTensor>> parse_tensors(std::span<const std::byte> bytes,
                                                const std::string& where);

/// Every tensor of a checkpoint folder: model.safetensors, or the shards that
/// model.safetensors.index.json names.
class TensorFolder {
 public:
  static Result<TensorFolder> open(const std::filesystem::path& folder);

  /// nullptr when there is none of that name.
  const StoredTensor* find(std::string_view name) const;
  /// All names, sorted.
  std::vector<std::string> names() const;

 private:
  std::vector<TensorFile> files_;
  std::map<std::string, const StoredTensor*, std::less<>> by_name_;
};

/// The names of the files that TensorFolder::open() reads, the index among them.
Result<std::vector<std::string>> weight_files_of(const std::filesystem::path& folder);

/// One tensor to be written.
struct TensorToWrite {
  std::string name;
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
  std::span<const std::byte> data;
};

/// A safetensors file that is written piece by piece, in any order, and appears whole or not at all
/// (FileWriter in format/files.h).
class TensorFileWriter {
 public:
  /// The tensors that there will be; their data may be empty, and is not written.
  static Result<TensorFileWriter> create(const std::filesystem::path& path,
                                         std::span<const TensorToWrite> tensors);

  /// Bytes of a tensor from byte `offset` of it on; each is to be written once.
  Result<void> write(std::string_view name, size_t offset, std::span<const std::byte> bytes);
  /// All bytes of all tensors must have been written.
  Result<void> commit();

 private:
  struct Place {
    size_t begin = 0;  ///< in the file
    size_t bytes = 0;
    size_t written = 0;
  };
  TensorFileWriter(FileWriter file, std::map<std::string, Place, std::less<>> places)
      : file_(std::move(file)), places_(std::move(places)) {}

  FileWriter file_;
  std::map<std::string, Place, std::less<>> places_;
};

/// Writes a safetensors file, whole or not at all.
Result<void> write_tensors(const std::filesystem::path& path,
                           std::span<const TensorToWrite> tensors);

}  // namespace tidar
