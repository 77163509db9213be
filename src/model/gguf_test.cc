// Models in GGUF files: what the entries say of the network, and what becomes of the tensors.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>

#include "base/rng.h"
#include "format/files_testing.h"
#include "format/gguf_testing.h"
#include "format/json.h"
#include "model/config_json.h"
#include "model/fixtures_testing.h"
#include "model/gguf_config.h"
#include "model/weights.h"

namespace tidar {
namespace {

/// Names of tensors outside of layers, and of those in them, as both kinds of files have them.
const std::map<std::string, std::string> kOutside = {{"model.embed_tokens.weight", "token_embd"},
                                                     {"model.norm.weight", "output_norm"},
                                                     {"lm_head.weight", "output"}};
const std::map<std::string, std::string> kInLayer = {
    {"input_layernorm", "attn_norm"},    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},      {"self_attn.v_proj", "attn_v"},
    {"self_attn.q_norm", "attn_q_norm"}, {"self_attn.k_norm", "attn_k_norm"},
    {"self_attn.o_proj", "attn_output"}, {"post_attention_layernorm", "ffn_norm"},
    {"mlp.gate_proj", "ffn_gate"},       {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"}};

std::string gguf_name(const std::string& name) {
  if (const auto found = kOutside.find(name); found != kOutside.end()) {
    return found->second + ".weight";
  }
  const std::string rest = name.substr(std::string("model.layers.").size());
  const size_t dot = rest.find('.'), last = rest.rfind('.');
  return "blk." + rest.substr(0, dot) + "." + kInLayer.at(rest.substr(dot + 1, last - dot - 1)) +
         rest.substr(last);
}

/// What the converter does to the rows of queries and keys of a Llama: of each head, [2, E/2, D]
/// becomes [E/2, 2, D].
std::string paired_rows(const StoredTensor& tensor, size_t head_size) {
  const size_t row = tensor.data.size() / static_cast<size_t>(tensor.shape[0]),
               half = head_size / 2;
  const auto* bytes = reinterpret_cast<const char*>(tensor.data.data());
  std::string out;
  for (size_t head = 0; head * head_size < static_cast<size_t>(tensor.shape[0]); ++head) {
    for (size_t i = 0; i < half; ++i) {
      for (size_t j = 0; j < 2; ++j) {
        out.append(bytes + (head * head_size + j * half + i) * row, row);
      }
    }
  }
  return out;
}

/// What Llama 3's rule divides the frequencies by, in f32 as the converter computes it.
std::vector<float> llama3_factors(const ModelConfig& config, const Llama3RopeScaling& scaling) {
  std::vector<float> factors;
  for (int i = 0; i < config.head_size / 2; ++i) {
    const double frequency = std::pow(config.rope.theta, -2.0 * i / config.head_size);
    const double turns = scaling.original_max_positions * frequency / (2 * std::numbers::pi);
    double factor = 1;
    if (turns < scaling.low_freq_factor) {
      factor = scaling.factor;
    } else if (turns <= scaling.high_freq_factor) {
      const double smooth =
          (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor);
      factor = 1 / ((1 - smooth) / scaling.factor + smooth);
    }
    factors.push_back(static_cast<float>(factor));
  }
  return factors;
}

/// A model of the fixtures as a GGUF file, which tests may change before it is made.
class Converted {
 public:
  explicit Converted(const std::string& fixture)
      : folder(kFixtures / fixture), config(read_model_config(folder).value()) {
    arch = config.family == Family::llama   ? "llama"
           : config.family == Family::qwen2 ? "qwen2"
                                            : "qwen3";
    builder.set("general.architecture", arch.c_str());
    count("context_length", config.max_positions);
    count("embedding_length", config.hidden);
    count("block_count", config.layers);
    count("feed_forward_length", config.ffn);
    count("attention.head_count", config.heads);
    count("attention.head_count_kv", config.kv_heads);
    count("attention.key_length", config.head_size);
    count("attention.value_length", config.head_size);
    count("rope.dimension_count", config.head_size);
    builder.set(arch + ".attention.layer_norm_rms_epsilon", static_cast<float>(config.norm_eps));
    builder.set(arch + ".rope.freq_base", static_cast<float>(config.rope.theta));
    if (config.bos_token >= 0) {
      builder.set("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(config.bos_token));
    }
    constexpr const char* ends[] = {"eos", "eot", "eom"};
    for (size_t i = 0; i < config.eos_tokens.size(); ++i) {
      builder.set(fmt::format("tokenizer.ggml.{}_token_id", ends[i]),
                  static_cast<uint32_t>(config.eos_tokens[i]));
    }
    if (const auto* scaling = std::get_if<Llama3RopeScaling>(&config.rope.scaling)) {
      const std::vector<float> factors = llama3_factors(config, *scaling);
      builder.tensor("rope_freqs.weight", BlockFormat::f32, {static_cast<int64_t>(factors.size())},
                     {reinterpret_cast<const char*>(factors.data()), factors.size() * 4});
    }
  }

  void count(const char* name, int value) {
    builder.set(fmt::format("{}.{}", arch, name), static_cast<uint32_t>(value));
  }

  /// All tensors, and a file of it all.
  std::filesystem::path write() {
    const TensorFolder tensors = TensorFolder::open(folder).value();
    for (const std::string& name : tensors.names()) {
      const StoredTensor& tensor = *tensors.find(name);
      const bool paired = arch == "llama" && (name.find("q_proj") != std::string::npos ||
                                              name.find("k_proj") != std::string::npos);
      const std::string_view bytes(reinterpret_cast<const char*>(tensor.data.data()),
                                   tensor.data.size());
      builder.tensor(
          gguf_name(name), tensor.dtype == DType::bf16 ? BlockFormat::bf16 : BlockFormat::f32,
          tensor.shape,
          paired ? paired_rows(tensor, static_cast<size_t>(config.head_size)) : std::string(bytes));
    }
    return scratch.put("model.gguf", builder.file());
  }

  std::filesystem::path folder;
  ModelConfig config;
  std::string arch;
  GgufBuilder builder;
  ScratchFolder scratch;
};

std::string bytes_of(const StoredTensor& tensor) {
  return {reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size()};
}

TEST(GgufModels, AreThoseOfTheirFolders) {
  for (const char* name : kFolders) {
    SCOPED_TRACE(name);
    Converted converted(name);
    const auto path = converted.write();
    const auto config = read_model_config(path);
    ASSERT_TRUE(config.ok()) << config.error().message;
    EXPECT_EQ(*config, converted.config);
    const auto weights = ModelWeights::open(path, *config);
    ASSERT_TRUE(weights.ok()) << weights.error().message;
    const auto twin = ModelWeights::open(converted.folder, converted.config).value();
    EXPECT_EQ(weights->matrix_dtype(), twin.matrix_dtype());
    for (const WeightSpec& spec : weight_table(*config)) {
      // Twice: what was released comes back.
      for (int time = 0; time < 2; ++time) {
        const StoredTensor& tensor = weights->get(spec.role, spec.layer);
        const StoredTensor& expected = twin.get(spec.role, spec.layer);
        EXPECT_EQ(tensor.shape, spec.shape);
        EXPECT_EQ(tensor.dtype, expected.dtype);
        EXPECT_TRUE(bytes_of(tensor) == bytes_of(expected)) << spec.name;
        weights->release(tensor);
      }
      EXPECT_EQ(weights->stored_as(spec.role, spec.layer), twin.stored_as(spec.role, spec.layer));
    }
  }
}

/// A Llama of one layer whose matrices are stored as `format`, of random bytes.
std::string random_blocks(BlockFormat format, int64_t elements, Rng& rng) {
  const BlockFormatFacts& facts = facts_of(format);
  std::string bytes(static_cast<size_t>(elements / facts.elements * facts.bytes), '\0');
  // Bytes below 0x40 make no exponent of an f16 full.
  for (char& byte : bytes) byte = static_cast<char>(rng.bits() & 0x3fu);
  return bytes;
}

/// Rows that are made by themselves, and codes, are the numbers of the query weight.
void expect_rows_and_codes(const ModelWeights& weights, const StoredTensor& query, int bits) {
  EXPECT_EQ(weights.form(WeightRole::query, 0), bits == 8   ? StoredForm::codes8
                                                : bits == 4 ? StoredForm::codes4
                                                            : StoredForm::other_codes);
  EXPECT_EQ(weights.form(WeightRole::attention_out, 0), StoredForm::numbers);  // F16
  EXPECT_EQ(weights.form(WeightRole::input_norm, 0), StoredForm::numbers);
  const int64_t rows = query.shape[0], cols = query.shape[1];
  const std::span numbers(reinterpret_cast<const float*>(query.data.data()),
                          static_cast<size_t>(rows * cols));
  std::vector<float> row(static_cast<size_t>(cols));
  for (int64_t r = 0; r < rows; ++r) {
    weights.make_row(query, r, row);
    EXPECT_TRUE(std::equal(row.begin(), row.end(), numbers.begin() + r * cols)) << r;
  }
  if (bits == 0) return;
  const CodeMatrix matrix = weights.codes(WeightRole::query, 0);
  for (size_t i = 0; i < numbers.size(); ++i) {
    const auto* const codes = matrix.codes.as<uint8_t>();
    const int code = bits == 8 ? codes[i] : codes[i / 2] >> (i % 2 * 4) & 15;
    const auto scale = static_cast<float>(matrix.scales.as<Half>()[i / 32]);
    ASSERT_EQ(scale * static_cast<float>(code - (1 << (bits - 1))), numbers[i]) << i;
  }
}

TEST(GgufModels, BlocksBecomeF32AndRowsTheirOrder) {
  Rng rng(3);
  for (const BlockFormatFacts& facts : kBlockFormats) {
    if (facts.plain) continue;
    SCOPED_TRACE(facts.name);
    constexpr int64_t hidden = 256, heads = 2, head_size = 8, ffn = 512;
    GgufBuilder builder;
    builder.set("general.architecture", "llama").set("llama.context_length", 64u);
    builder.set("llama.embedding_length", 256u).set("llama.block_count", 1u);
    builder.set("llama.feed_forward_length", 512u).set("llama.attention.head_count", 2u);
    builder.set("llama.attention.key_length", 8u).set("llama.attention.value_length", 8u);
    builder.set("llama.attention.layer_norm_rms_epsilon", 1e-5f);
    std::map<std::string, std::string> blocks;
    const auto matrix = [&](const std::string& name, int64_t rows, int64_t cols) {
      const BlockFormat format =
          cols % facts.elements == 0 ? facts.format : BlockFormat::f16;  // as quantisers do
      blocks[name] = random_blocks(format, rows * cols, rng);
      builder.tensor(name, format, {rows, cols}, blocks[name]);
    };
    matrix("token_embd.weight", 16, hidden);
    for (const char* name : {"attn_q", "attn_k", "attn_v"}) {
      matrix(fmt::format("blk.0.{}.weight", name), heads * head_size, hidden);
    }
    matrix("blk.0.attn_output.weight", hidden, heads * head_size);
    matrix("blk.0.ffn_gate.weight", ffn, hidden);
    matrix("blk.0.ffn_up.weight", ffn, hidden);
    matrix("blk.0.ffn_down.weight", hidden, ffn);
    for (const char* name :
         {"blk.0.attn_norm.weight", "blk.0.ffn_norm.weight", "output_norm.weight"}) {
      builder.tensor(name, BlockFormat::f32, {hidden}, std::string(hidden * 4, '\x3f'));
    }
    const ScratchFolder scratch;
    const auto path = scratch.put("m.gguf", builder.file());
    const auto config = read_model_config(path);
    ASSERT_TRUE(config.ok()) << config.error().message;
    EXPECT_EQ(config->head, HeadWeight::tied);
    EXPECT_EQ(config->kv_heads, 2);
    const auto weights = ModelWeights::open(path, *config);
    ASSERT_TRUE(weights.ok()) << weights.error().message;
    EXPECT_EQ(weights->matrix_dtype(), DType::f32);
    EXPECT_EQ(weights->stored_as(WeightRole::gate, 0), facts.name);
    const StoredTensor& query = weights->get(WeightRole::query, 0);
    ASSERT_EQ(query.dtype, DType::f32);
    std::vector<float> expected(heads * head_size * hidden);
    decode_blocks(facts.format, std::as_bytes(std::span(blocks["blk.0.attn_q.weight"])), expected);
    for (int64_t row = 0; row < heads * head_size; ++row) {
      // Element i of a head has its pair's place 2 i, or 2 i + 1 from E/2 on.
      const int64_t i = row % head_size, begin = row - i;
      const int64_t stored = begin + (i < head_size / 2 ? 2 * i : 2 * (i - head_size / 2) + 1);
      const auto found = query.data.subspan(static_cast<size_t>(row * hidden * 4), hidden * 4);
      const auto wanted = std::span(expected).subspan(static_cast<size_t>(stored * hidden), hidden);
      EXPECT_TRUE(std::ranges::equal(found, std::as_bytes(wanted))) << row;
    }
    expect_rows_and_codes(*weights, query, facts.even_codes);
  }
}

/// What parsing a changed file says, or "" when it is taken.
std::string complaint(Converted& converted) {
  const auto path = converted.write();
  const auto config = read_model_config(path);
  if (!config.ok()) return config.error().message;
  const auto weights = ModelWeights::open(path, *config);
  return weights.ok() ? "" : weights.error().message;
}

TEST(GgufModels, SayWhatIsWrong) {
  const auto with = [](const std::function<void(Converted&)>& change) {
    Converted converted("llama");
    change(converted);
    return complaint(converted);
  };
  EXPECT_EQ(with([](Converted&) {}), "");
  EXPECT_TRUE(says(with([](Converted& c) { c.builder.set("llama.vocab_size", 7u); }),
                   "field 'llama.vocab_size' is 7; expected 512, as 'token_embd.weight' has"));
  EXPECT_TRUE(says(with([](Converted& c) { c.builder.set("llama.rope.scale_linear", 2.0f); }),
                   "field 'llama.rope.scale_linear' is 2.0; expected 1"));
  EXPECT_TRUE(says(with([](Converted& c) { c.builder.set("llama.rope.scaling.type", "linear"); }),
                   "field 'llama.rope.scaling.type' is the text 'linear'; expected 'none'"));
  EXPECT_TRUE(says(with([](Converted& c) {
                     c.builder.tensor("blk.0.attn_q.bias", BlockFormat::f32, {64},
                                      std::string(256, '\0'));
                   }),
                   "tensor 'blk.0.attn_q.bias' is not part of LlamaForCausalLM with 2 layers"));
  EXPECT_TRUE(says(with([](Converted& c) {
                     c.builder.tensor("blk.2.attn_q.weight", BlockFormat::f32, {1}, "0000");
                   }),
                   "tensor 'blk.2.attn_q.weight' is not part of"));
}

TEST(GgufModels, RefuseOtherArchitecturesByName) {
  for (const char* name : {"gemma3", "mistral", ""}) {
    const std::string file = GgufBuilder().set("general.architecture", name).file();
    const auto config = config_of_gguf(parse_gguf(file).value());
    ASSERT_FALSE(config.ok());
    EXPECT_TRUE(says(config.error().message, fmt::format("the architecture '{}' is not supported; "
                                                         "supported are qwen2, qwen3, llama",
                                                         name)));
  }
  const std::string file = GgufBuilder().set("a", 1).file();
  EXPECT_TRUE(says(config_of_gguf(parse_gguf(file).value()).error().message,
                   "f.gguf: field 'general.architecture' is missing"));
}

TEST(GgufModels, NamesWhatIsMissingOrAList) {
  GgufBuilder builder;
  builder.set("general.architecture", "qwen2");
  const std::string silent = builder.file();
  EXPECT_TRUE(says(config_of_gguf(parse_gguf(silent).value()).error().message,
                   "f.gguf: field 'qwen2.context_length' is missing"));
  builder.list("qwen2.context_length", std::vector<uint32_t>{1, 2});
  const std::string listed = builder.file();
  EXPECT_TRUE(says(config_of_gguf(parse_gguf(listed).value()).error().message,
                   "field 'qwen2.context_length' is a list; expected one number"));
}

/// The config.json of a small file with more entries.
Json config_with(const std::function<void(GgufBuilder&)>& add, const char* arch = "qwen2") {
  const std::string name = arch;
  GgufBuilder builder;
  builder.set("general.architecture", arch).set(name + ".context_length", 64u);
  builder.set(name + ".embedding_length", 8u).set(name + ".block_count", 1u);
  builder.set(name + ".feed_forward_length", 8u).set(name + ".attention.head_count", 2u);
  builder.set(name + ".attention.layer_norm_rms_epsilon", 1e-6f);
  builder.tensor("token_embd.weight", BlockFormat::f32, {4, 8}, std::string(128, '\0'));
  add(builder);
  const std::string file = builder.file();
  const auto config = config_of_gguf(parse_gguf(file).value());
  EXPECT_TRUE(config.ok()) << config.error().message;
  return config.ok() ? *config : Json();
}

TEST(GgufModels, NumbersAreThoseOfAConfigJson) {
  const Json config = config_with([](GgufBuilder& b) { b.set("qwen2.rope.freq_base", 1e6f); });
  EXPECT_EQ(config["rms_norm_eps"], 1e-6);  // not the float beside it
  EXPECT_EQ(config["rope_theta"], 1e6);
  EXPECT_EQ(config["head_dim"], 4);
  EXPECT_EQ(config["vocab_size"], 4);
  EXPECT_FALSE(config.contains("eos_token_id"));
  EXPECT_FALSE(config.contains("tidar"));
}

TEST(GgufModels, MayNameAMaskToken) {
  const auto mask = [](GgufBuilder& b) { b.set("tokenizer.ggml.mask_token_id", 3u); };
  EXPECT_EQ(config_with(mask)["tidar"], (Json{{"mask_token_id", 3}, {"layout", "masked"}}));
  const Json sized = config_with([&](GgufBuilder& b) {
    mask(b);
    b.set("tidar.block_size", 16u);
  });
  EXPECT_EQ(sized["tidar"], (Json{{"mask_token_id", 3}, {"layout", "tidar"}, {"block_size", 16}}));
  const Json block = config_with([&](GgufBuilder& b) {
    mask(b);
    b.set("tidar.block_size", 4u).set("tidar.layout", "block");
  });
  EXPECT_EQ(model_config_of(block, "b").value().tidar->layout, TrainedLayout::block);
}

TEST(GgufModels, EndsAreAllThatAreNamed) {
  const Json config = config_with([](GgufBuilder& b) {
    b.set("tokenizer.ggml.eos_token_id", 1u).set("tokenizer.ggml.eot_token_id", 2u);
    b.set("tokenizer.ggml.eom_token_id", 1u).set("tokenizer.ggml.bos_token_id", 0u);
  });
  EXPECT_EQ(config["eos_token_id"], (Json{1, 2}));
  EXPECT_EQ(config["bos_token_id"], 0);
}

TEST(GgufModels, AreStretchedByYarn) {
  const Json config = config_with([](GgufBuilder& b) {
    b.set("qwen2.rope.scaling.type", "yarn").set("qwen2.rope.scaling.factor", 4.0f);
    b.set("qwen2.rope.scaling.original_context_length", 32u);
    b.set("qwen2.rope.scaling.attn_factor", 0.5f).set("qwen2.rope.scaling.yarn_beta_fast", 16.0f);
  });
  const ModelConfig parsed = model_config_of(config, "y").value();
  const auto& yarn = std::get<YarnRopeScaling>(parsed.rope.scaling);
  EXPECT_EQ(yarn.factor, 4);
  EXPECT_EQ(yarn.original_max_positions, 32);
  EXPECT_EQ(yarn.beta_fast, 16);
  EXPECT_EQ(yarn.beta_slow, 1);
  EXPECT_NEAR(*yarn.attention_factor, 0.5 * (1 + 0.1 * std::log(4.0)), 1e-12);
  EXPECT_EQ(parsed.max_positions, 128);
}

TEST(GgufModels, SlideTheirWindowsAsConfigsDo) {
  const Json config =
      config_with([](GgufBuilder& b) { b.set("qwen2.attention.sliding_window", 32u); });
  const auto parsed = model_config_of(config, "w");
  ASSERT_FALSE(parsed.ok());
  EXPECT_TRUE(says(parsed.error().message, "attention has a sliding window of 32 positions"));
}

TEST(GgufModels, RotaryFactorsAreLlama3sOrRefused) {
  const auto config_with_factors = [](const std::vector<float>& factors) {
    GgufBuilder builder;
    builder.set("general.architecture", "llama").set("llama.context_length", 64u);
    builder.set("llama.embedding_length", 8u).set("llama.block_count", 1u);
    builder.set("llama.feed_forward_length", 8u).set("llama.attention.head_count", 2u);
    builder.set("llama.attention.layer_norm_rms_epsilon", 1e-6f);
    builder.tensor("token_embd.weight", BlockFormat::f32, {4, 8}, std::string(128, '\0'));
    builder.tensor("rope_freqs.weight", BlockFormat::f32, {static_cast<int64_t>(factors.size())},
                   {reinterpret_cast<const char*>(factors.data()), factors.size() * 4});
    const std::string file = builder.file();
    return config_of_gguf(parse_gguf(file).value());
  };
  EXPECT_FALSE(config_with_factors({1, 1})->contains("rope_scaling"));
  for (const auto& factors : {std::vector<float>{8, 1}, {2}, {1, NAN}, {1, INFINITY}, {1, 0.5f}}) {
    const auto config = config_with_factors(factors);
    ASSERT_FALSE(config.ok());
    EXPECT_TRUE(says(config.error().message,
                     "'rope_freqs.weight' scales the rotary frequencies "
                     "otherwise than Llama 3 does"));
  }
}

}  // namespace
}  // namespace tidar
