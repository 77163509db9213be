// Seeds: small GGUF models of every architecture (scripts/fuzz-seeds).

#include <cstdint>

#include "model/config_json.h"
#include "model/gguf_config.h"

// Whatever a file says of its network is refused with a sentence, or makes sense.
// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer calls it by this name
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const auto gguf = tidar::Gguf::parse(std::as_bytes(std::span(bytes, size)), "fuzz");
  if (!gguf) return 0;
  const auto document = tidar::config_of_gguf(*gguf);
  if (!document) {
    TIDAR_CHECK(document.error().message.starts_with("fuzz"));
    return 0;
  }
  const auto config = tidar::model_config_of(*document, "fuzz");
  if (!config) return 0;
  TIDAR_CHECK(config->parameters() > 0);
  const auto again = tidar::parse_model_config(tidar::to_json(*config), "again");
  TIDAR_CHECK(again.ok() && *again == *config);
  return 0;
}
