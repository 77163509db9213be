// Two targets in one, chosen by the first byte. '{': the input is a tokenizer.json, with a text
// behind a zero byte. Anything else: the input is a text for a fixed tokenizer, chosen by that
// byte.
//
// Seeds: the first kilobytes of build/tokenizers/*/tokenizer.json, and any text.

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "text/small_tokenizer_testing.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace tidar {
namespace {

nlohmann::json split(const char* pattern, const char* behavior) {
  return {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", behavior}};
}

/// Tokenizers that lose nothing (0, 1), and one that does (2).
std::array<Tokenizer, 3> tokenizers() {
  nlohmann::json qwen = small_tokenizer();
  nlohmann::json byte_level = qwen["pre_tokenizer"];
  byte_level["use_regex"] = false;
  qwen["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       {split("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "
              "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
              "Isolated"),
        {{"type", "Digits"}, {"individual_digits", true}},
        byte_level}}};
  nlohmann::json lossy = qwen;
  lossy["normalizer"] = {{"type", "NFKC"}};
  lossy["added_tokens"][0]["lstrip"] = true;
  lossy["added_tokens"][0]["rstrip"] = true;
  lossy["added_tokens"][1]["normalized"] = true;
  lossy["added_tokens"][1]["single_word"] = true;
  lossy["pre_tokenizer"]["pretokenizers"][2]["add_prefix_space"] = true;
  return {parsed(small_tokenizer()), parsed(qwen), parsed(lossy)};
}

/// Encodes and decodes, in one go and id by id. Returns the text that came back.
std::string round_trip(const Tokenizer& tokenizer, std::string_view text) {
  const auto ids = tokenizer.encode(text, AddSpecial::no);
  std::string pieces;
  Detokenizer detokenizer(tokenizer, SkipSpecial::no);
  for (int32_t id : ids) {
    TIDAR_CHECK(id >= 0 && id < tokenizer.size());
    const std::string piece = detokenizer.push(id);
    TIDAR_CHECK(is_utf8(piece));
    pieces += piece;
  }
  pieces += detokenizer.finish();
  TIDAR_CHECK(pieces == tokenizer.decode(ids));
  return pieces;
}

}  // namespace
}  // namespace tidar

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace tidar;
  static const auto fixed = tokenizers();
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(bytes), size);
  if (input[0] == '{') {
    const size_t end = std::min(input.find('\0'), size);
    const auto tokenizer = Tokenizer::parse(input.substr(0, end), "fuzz");
    if (tokenizer.ok()) {
      round_trip(*tokenizer, input.substr(end));
    } else {
      TIDAR_CHECK(tokenizer.error().message.starts_with("fuzz"));
    }
    return 0;
  }
  const size_t which = bytes[0] % fixed.size();
  const std::string_view text = input.substr(1);
  const std::string back = round_trip(fixed[which], text);
  std::string expected;
  append_lossy(expected, text);
  if (which < 2) TIDAR_CHECK(back == expected);
  return 0;
}
