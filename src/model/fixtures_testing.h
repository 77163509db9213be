#pragma once
// For tests: folders of small models that other programs wrote.

#include <filesystem>

namespace tidar {

inline const std::filesystem::path kFixtures = TIDAR_FIXTURES;
inline constexpr const char* kFolders[] = {"qwen2", "qwen3", "qwen3_bf16", "llama", "smollm2"};

}  // namespace tidar
