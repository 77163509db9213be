// Seeds: tests/fixtures/*/model.safetensors and tests/fixtures/qwen3_bf16/model-*.safetensors; the
// first kilobytes of each, cut anywhere, are better seeds than the whole.

#include <cstdint>

#include "format/tensors.h"

// Whatever parses is a partition of the data part of the file into tensors of the right size.
// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer calls it by this name
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const auto file = std::as_bytes(std::span(bytes, size));
  const auto tensors = tidar::parse_tensors(file, "fuzz");
  if (!tensors) {
    TIDAR_CHECK(tensors.error().message.starts_with("fuzz"));
    return 0;
  }
  size_t total = 0;
  for (const auto& tensor : *tensors) {
    size_t elements = 1;
    for (const int64_t dimension : tensor.shape) elements *= static_cast<size_t>(dimension);
    TIDAR_CHECK_EQ(elements * tidar::size_of(tensor.dtype), tensor.data.size());
    TIDAR_CHECK(tensor.data.data() >= file.data());
    TIDAR_CHECK(tensor.data.data() + tensor.data.size() <= file.data() + file.size());
    total += tensor.data.size();
  }
  TIDAR_CHECK_LE(total, size - 8);
  return 0;
}
