// Seeds: small GGUF files with tokenizers of both kinds (scripts/fuzz-seeds).

#include <cstdint>

#include "text/gguf_tokenizer.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

// Whatever becomes a tokenizer encodes any text to ids of its own and decodes them to UTF-8.
// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer calls it by this name
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const auto gguf = tidar::Gguf::parse(std::as_bytes(std::span(bytes, size)), "fuzz");
  if (!gguf) return 0;
  (void)tidar::tokenizer_config_of(*gguf).ok();
  const auto json = tidar::tokenizer_json_of(*gguf);
  if (!json) {
    TIDAR_CHECK(json.error().message.starts_with("fuzz"));
    return 0;
  }
  const auto tokenizer = tidar::Tokenizer::parse(*json, "fuzz");
  if (!tokenizer) return 0;
  const std::string_view text(reinterpret_cast<const char*>(bytes), std::min<size_t>(size, 256));
  const auto ids = tokenizer->encode(text);
  for (const int32_t id : ids) TIDAR_CHECK(id >= 0 && id < tokenizer->size());
  TIDAR_CHECK(tidar::is_utf8(tokenizer->decode(ids)));
  return 0;
}
