#include "eval/fingerprint.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "format/files.h"
#include "format/gguf.h"

namespace tidar {
namespace {

/// FNV-1a with 64 bits.
class Hash {
 public:
  void add(std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) {
      state_ = (state_ ^ static_cast<uint64_t>(byte)) * 0x100000001b3u;
    }
  }
  void add(std::string_view text) {
    add(std::as_bytes(std::span(text)));
    add_size(text.size());
  }
  void add_size(size_t size) { add(std::as_bytes(std::span(&size, 1))); }
  std::string text() const { return fmt::format("{:016x}", state_); }

 private:
  uint64_t state_ = 0xcbf29ce484222325u;
};

/// The beginning of a file, where the names and types of tensors stand, and places all over it:
/// training changes every tensor, and all of a large file would take long.
void add_weights(Hash& hash, std::span<const std::byte> bytes) {
  constexpr size_t kBeginning = size_t{1} << 16, kPlaces = 1000, kPlace = 64;
  hash.add_size(bytes.size());
  hash.add(bytes.first(std::min(kBeginning, bytes.size())));
  for (size_t i = 0; i < kPlaces && bytes.size() > kPlace; ++i) {
    const size_t at = (bytes.size() - kPlace) / kPlaces * i;
    hash.add(bytes.subspan(at, kPlace));
  }
}

}  // namespace

Result<std::string> fingerprint_of_file(const std::filesystem::path& path) {
  TIDAR_TRY(const MappedFile file, MappedFile::open(path));
  Hash hash;
  hash.add(file.bytes());
  return hash.text();
}

Result<std::string> fingerprint_of_model(const std::filesystem::path& model) {
  if (is_gguf_path(model)) {
    TIDAR_TRY(const MappedFile file, MappedFile::open(model));
    Hash hash;
    add_weights(hash, file.bytes());
    return hash.text();
  }
  std::vector<std::filesystem::path> files;
  std::error_code failure;
  for (std::filesystem::directory_iterator entry(model, failure), end; !failure && entry != end;
       entry.increment(failure)) {
    const auto& path = entry->path();
    const auto name = path.filename();
    std::error_code ignored;
    if (path.extension() == ".safetensors" || name == "config.json" || name == "tokenizer.json") {
      files.push_back(path);
    } else if (std::filesystem::exists(path / "adapter_model.safetensors", ignored)) {
      files.push_back(path / "adapter_model.safetensors");
      files.push_back(path / "adapter_config.json");
    }
  }
  if (failure) return error("{}: cannot be listed: {}", model.string(), failure.message());
  std::sort(files.begin(), files.end());
  Hash hash;
  for (const auto& path : files) {
    TIDAR_TRY(const MappedFile file, MappedFile::open(path));
    hash.add(path.filename().string());
    if (path.extension() == ".safetensors") {
      add_weights(hash, file.bytes());
    } else {
      hash.add(file.bytes());
    }
  }
  return hash.text();
}

}  // namespace tidar
