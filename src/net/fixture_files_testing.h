#pragma once
// For tests: the files beside each fixture's JSON.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace tidar {

inline nlohmann::json read_fixture_json(const std::filesystem::path& path) {
  std::ifstream file(path);
  auto json = nlohmann::json::parse(file, nullptr, false);
  EXPECT_TRUE(json.is_object()) << path;
  return json;
}

/// All of a file of raw float32, which must hold `count` of them.
inline std::vector<float> read_fixture_floats(const std::filesystem::path& path, size_t count) {
  std::vector<float> values(count);
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(values.data()),
            static_cast<std::streamsize>(count * sizeof(float)));
  EXPECT_TRUE(file.good()) << path;
  EXPECT_EQ(file.peek(), std::char_traits<char>::eof()) << path;
  return values;
}

}  // namespace tidar
