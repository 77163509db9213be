#pragma once
// GGUF files, as llama.cpp writes them: a model, its tokenizer and its description in one file that
// can be mapped.
//
// All numbers are little-endian. A file of version 2 or 3 is
//   magic    : "GGUF"
//   version  : u32
//   tensors  : u64
//   entries  : u64
//   entry    : text key, u32 type, value             as often as `entries` says
//   info     : text name, u32 dimensions (1 to 4), u64 size of each, the fastest first,
//              u32 format (block_format.h), u64 offset from the beginning of the data
//                                                    as often as `tensors` says
//   padding  : up to a multiple of the alignment: entry "general.alignment", or 32
//   data     : the tensors, each from a multiple of the alignment on
// A text is a u64 length and that many bytes. Values are of the types
//   u8 i8 u16 i16 u32 i32 f32 bool text list u64 i64 f64          numbered from 0 in this order
// and a list is a u32 type, a u64 length and that many values, which are no lists.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "format/block_format.h"
#include "format/files.h"
#include "format/json.h"

namespace tidar {

/// A view of one tensor in a file. Valid while the file's bytes are.
struct GgufTensor {
  std::string name;
  BlockFormat format = BlockFormat::f32;
  std::vector<int64_t> shape;  ///< rows first: the file has it the other way round
  std::span<const std::byte> data;
};

/// What a file says, apart from its bytes, into which tensors and lists are views.
class Gguf {
 public:
  /// Parses a whole file that is in memory. Checked are all counts and lengths against the bytes
  /// that are there, keys and names for repetition, shapes, that rows are whole blocks, and that
  /// tensors lie within the data, aligned and apart from each other. Nothing is allocated in
  /// proportion to a number that the file claims. `where` names it in errors.
  static Result<Gguf> parse(std::span<const std::byte> bytes, const std::string& where);

  /// The name of the file in errors.
  const std::string& where() const { return where_; }
  /// The entries that are no lists. An f32 is the shortest decimal that is rounded to it: 1e-6 is
  /// 1e-6.
  JsonFields fields() const { return {entries_, where_}; }

  bool has_list(std::string_view key) const { return lists_.find(key) != lists_.end(); }
  /// Lists by their keys; Errors when they are not there, or hold something else.
  Result<std::vector<std::string_view>> texts(std::string_view key) const;
  Result<std::vector<int64_t>> integers(std::string_view key) const;
  Result<std::vector<double>> numbers(std::string_view key) const;

  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  /// nullptr when there is none of that name.
  const GgufTensor* find(std::string_view name) const;

 private:
  friend class GgufReader;
  struct List {
    uint32_t type = 0;
    uint64_t count = 0;
    std::span<const std::byte> values;
  };
  Result<const List*> list(std::string_view key, std::string_view expected) const;
  Error wrong_list(std::string_view key, const List& list, std::string_view expected) const;

  std::string where_;
  Json entries_ = Json::object();
  std::map<std::string, List, std::less<>> lists_;
  std::vector<GgufTensor> tensors_;
  std::map<std::string, size_t, std::less<>> tensor_of_;
};

/// A mapped file. What it holds is a view of it.
class GgufFile {
 public:
  static Result<GgufFile> open(const std::filesystem::path& path);

  const Gguf& content() const { return content_; }

 private:
  GgufFile(MappedFile file, Gguf content) : file_(std::move(file)), content_(std::move(content)) {}

  MappedFile file_;
  Gguf content_;
};

/// Whether a path names a file, where a folder could be, too: those are GGUF files.
bool is_gguf_path(const std::filesystem::path& path);

}  // namespace tidar
