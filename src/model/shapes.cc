#include <fmt/ranges.h>

#include <array>

#include "format/files.h"
#include "model/architecture.h"
#include "model/config.h"

namespace tidar {

namespace {

// What the named shapes differ in. The published ones are the base models of their families.
struct Shape {
  std::string_view name, architecture;
  int hidden, layers, heads, kv_heads, head_size, ffn, vocabulary, max_positions;
  HeadWeight head = HeadWeight::tied;
};

constexpr std::string_view kQwen2 = "Qwen2ForCausalLM";
constexpr std::string_view kQwen3 = "Qwen3ForCausalLM";

constexpr std::array<Shape, 6> kShapes = {{
    {"qwen2.5-0.5b", kQwen2, 896, 24, 14, 2, 64, 4864, 151936, 32768},
    {"qwen2.5-1.5b", kQwen2, 1536, 28, 12, 2, 128, 8960, 151936, 131072},
    {"qwen3-0.6b", kQwen3, 1024, 28, 16, 8, 128, 3072, 151936, 32768},
    {"qwen3-1.7b", kQwen3, 2048, 28, 16, 8, 128, 6144, 151936, 32768},
    {"qwen3-8b", kQwen3, 4096, 36, 32, 8, 128, 12288, 151936, 32768, HeadWeight::own},
    {"mini", kQwen3, 512, 8, 8, 4, 64, 1536, 8192, 4096},
}};

constexpr int kQwenVocabulary = 151936;
constexpr int kQwenEndOfText = 151643;  // <|endoftext|>
constexpr int kQwenMask = 151662;       // <|fim_pad|>, which no text holds
constexpr int kBlockSize = 16;          // of the paper's main results

ModelConfig config_of(const Shape& shape) {
  ModelConfig config = config_of(*find_architecture(shape.architecture));
  config.hidden = shape.hidden;
  config.layers = shape.layers;
  config.heads = shape.heads;
  config.kv_heads = shape.kv_heads;
  config.head_size = shape.head_size;
  config.ffn = shape.ffn;
  config.vocabulary = shape.vocabulary;
  config.max_positions = shape.max_positions;
  config.norm_eps = 1e-6;
  config.rope.theta = 1e6;
  config.head = shape.head;
  const bool published = shape.vocabulary == kQwenVocabulary;
  config.bos_token = published ? kQwenEndOfText : shape.vocabulary - 2;
  config.eos_tokens = {config.bos_token};
  config.tidar = {.mask_token = published ? kQwenMask : shape.vocabulary - 1,
                  .block_size = kBlockSize};
  return config;
}

}  // namespace

Result<ModelConfig> named_shape(std::string_view name) {
  for (const Shape& shape : kShapes) {
    if (shape.name == name) return config_of(shape);
  }
  return error("{} is not a named shape; expected one of {}", in_quotes(name),
               fmt::join(shape_names(), ", "));
}

std::vector<std::string> shape_names() {
  std::vector<std::string> names;
  names.reserve(kShapes.size());
  for (const Shape& shape : kShapes) names.emplace_back(shape.name);
  return names;
}

}  // namespace tidar
