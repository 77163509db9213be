#pragma once
// For the tests: a folder that goes away, files with given bytes, and safetensors files put
// together by hand, so that each part of them can be wrong.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace tidar {

/// A fresh folder, removed with all that is in it at the end of the scope.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "tidar-test-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path put(std::string_view name, std::string_view bytes) const {
    std::ofstream(path_ / name, std::ios::binary) << bytes;
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

inline std::string bytes_of_file(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// Header length, header and as many data bytes as asked.
inline std::string tensor_file(std::string_view header, size_t data_bytes, uint64_t length) {
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file.append(header).append(data_bytes, 'd');
}
inline std::string tensor_file(std::string_view header, size_t data_bytes) {
  return tensor_file(header, data_bytes, header.size());
}

/// Names the cases of a parameterised test by their field `name`.
struct CaseName {
  template <class Info>
  std::string operator()(const Info& test) const {
    return test.param.name;
  }
};

/// That an error sentence holds every part, separated by '|', in this order.
inline ::testing::AssertionResult says(const std::string& sentence, std::string_view parts) {
  size_t from = 0;
  while (!parts.empty()) {
    const auto part = parts.substr(0, parts.find('|'));
    parts.remove_prefix(std::min(parts.size(), part.size() + 1));
    const size_t found = sentence.find(part, from);
    if (found == std::string::npos) {
      return ::testing::AssertionFailure()
             << "\"" << sentence << "\" does not say \"" << part << "\"";
    }
    from = found + part.size();
  }
  return ::testing::AssertionSuccess() << "\"" << sentence << "\"";
}

}  // namespace tidar
