// Seeds: tests/fixtures/*/config.json.

#include <cstdint>
#include <string_view>

#include "model/config.h"
#include "model/weights.h"

// Whatever parses is written in a form that parses to the same, and can be computed with.
// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer calls it by this name
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const auto config =
      tidar::parse_model_config({reinterpret_cast<const char*>(bytes), size}, "fuzz");
  if (!config) {
    TIDAR_CHECK(config.error().message.starts_with("fuzz"));
    return 0;
  }
  const auto again = tidar::parse_model_config(tidar::to_json(*config), "written");
  TIDAR_CHECK(again.ok());
  TIDAR_CHECK(*again == *config);
  if (config->layers <= 16) TIDAR_CHECK(config->parameters() > 0);  // the table is long otherwise
  for (const double frequency : config->rope.frequencies(config->head_size)) {
    TIDAR_CHECK(frequency > 0 && frequency <= 1000);  // YaRN's factor may be as small as 1e-3
  }
  TIDAR_CHECK(config->rope.attention_factor() > 0);
  return 0;
}
