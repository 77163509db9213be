// The input is a token shard. Seeds: small shards of both widths, from scripts/fuzz-seeds.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "format/token_shards.h"

// Whatever parses is a list of documents that partition the tokens, and every one can be read or
// is refused for an id that is too large.
// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer calls it by this name
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const auto shard = tidar::TokenShard::parse(std::as_bytes(std::span(bytes, size)), "fuzz");
  if (!shard) {
    TIDAR_CHECK(shard.error().message.starts_with("fuzz: "));
    return 0;
  }
  int64_t end = 0;
  for (int64_t document = 0; document < shard->documents(); ++document) {
    TIDAR_CHECK_EQ(shard->begin_of(document), end);
    std::vector<int32_t> ids(static_cast<size_t>(shard->size_of(document)));
    end += shard->size_of(document);
    TIDAR_CHECK_LE(shard->prompt_of(document), shard->size_of(document));
    int64_t behind = shard->prompt_of(document);
    for (const tidar::Range& given : shard->given_of(document)) {
      TIDAR_CHECK(given.begin >= behind && given.size() > 0);
      behind = given.end + 1;
    }
    TIDAR_CHECK_LE(behind, shard->size_of(document) + 1);
    const auto read = shard->read(document, 0, ids);
    if (!read) continue;
    for (const int32_t id : ids) TIDAR_CHECK(id >= 0 && id < shard->vocabulary());
  }
  TIDAR_CHECK_EQ(end, shard->tokens());
  return 0;
}
