// Seeds: small GGUF files of every format (scripts/fuzz-seeds).

#include <cstdint>

#include "format/gguf.h"

// Whatever parses has lists that can be read, and tensors that lie apart in the file and can be
// decoded.
// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer calls it by this name
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const auto file = std::as_bytes(std::span(bytes, size));
  const auto gguf = tidar::Gguf::parse(file, "fuzz");
  if (!gguf) {
    TIDAR_CHECK(gguf.error().message.starts_with("fuzz"));
    return 0;
  }
  size_t total = 0;
  std::vector<float> values;
  for (const tidar::GgufTensor& tensor : gguf->tensors()) {
    TIDAR_CHECK(tensor.data.data() >= file.data());
    TIDAR_CHECK(tensor.data.data() + tensor.data.size() <= file.data() + file.size());
    total += tensor.data.size();
    int64_t elements = 1;
    for (const int64_t dimension : tensor.shape) elements *= dimension;
    values.resize(static_cast<size_t>(elements));
    tidar::decode_blocks(tensor.format, tensor.data, values);
    const auto bad = tidar::first_not_finite(tensor.format, tensor.data);
    for (size_t i = 0; i < values.size(); ++i) {
      if (!std::isfinite(values[i])) TIDAR_CHECK(bad && *bad <= static_cast<int64_t>(i));
    }
    TIDAR_CHECK(gguf->find(tensor.name) == &tensor);
  }
  TIDAR_CHECK_LE(total, size);
  for (const std::string& key : {"tokenizer.ggml.tokens", "tokenizer.ggml.scores", "l", ""}) {
    (void)gguf->texts(key).ok();
    (void)gguf->numbers(key).ok();
    (void)gguf->integers(key).ok();
  }
  return 0;
}
