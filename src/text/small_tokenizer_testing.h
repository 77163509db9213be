#pragma once
// A small tokenizer.json for tests and fuzzers: all bytes (ids 0 … 255), a few merges (256 …), two
// added tokens, no normaliser, the pattern of GPT-2. Callers change the fields that they are about.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/byte_level.h"
#include "text/tokenizer.h"

namespace tidar {

inline nlohmann::json added_token(int id, const std::string& content, bool special) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", special}};
}

/// `merges` are pairs of bytes, lowest rank first; "<bos>" (special) and "<tool>" (not) come last.
inline nlohmann::json small_tokenizer(
    const std::vector<std::pair<std::string, std::string>>& merges = {{" ", "t"},
                                                                      {"h", "e"},
                                                                      {" t", "he"},
                                                                      {"a", "a"},
                                                                      {"aa", "aa"},
                                                                      {"i", "n"},
                                                                      {"in", "g"},
                                                                      {"\xC3", "\xA9"},
                                                                      {" ", " "},
                                                                      {"\xF0", "\x9F"}}) {
  nlohmann::json vocabulary = nlohmann::json::object();
  nlohmann::json pairs = nlohmann::json::array();
  int id = 0;
  for (; id < 256; ++id) vocabulary[byte_level_text(std::string(1, static_cast<char>(id)))] = id;
  for (const auto& [left, right] : merges) {
    vocabulary[byte_level_text(left + right)] = id++;
    pairs.push_back(byte_level_text(left) + " " + byte_level_text(right));
  }
  const nlohmann::json byte_level = {{"type", "ByteLevel"},
                                     {"add_prefix_space", false},
                                     {"trim_offsets", true},
                                     {"use_regex", true}};
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", {added_token(id, "<bos>", true), added_token(id + 1, "<tool>", false)}},
          {"normalizer", nullptr},
          {"pre_tokenizer", byte_level},
          {"post_processor", nullptr},
          {"decoder", byte_level},
          {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", pairs}}}};
}

/// A tokenizer of such a file, which must be sound.
inline Tokenizer parsed(const nlohmann::json& file) {
  return Tokenizer::parse(file.dump(), "test").value();
}

}  // namespace tidar
