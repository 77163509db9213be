#include "model/weights.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <thread>

#include "base/rng.h"
#include "format/files_testing.h"
#include "model/fixtures_testing.h"

namespace tidar {
namespace {

// The tensors of a fixture, to be changed and written elsewhere.
class Checkpoint {
 public:
  explicit Checkpoint(const char* fixture)
      : config(read_model_config(kFixtures / fixture).value()),
        source_(TensorFolder::open(kFixtures / fixture).value()) {
    for (const auto& name : source_.names()) {
      const StoredTensor* tensor = source_.find(name);
      tensors.push_back({name, tensor->dtype, tensor->shape, tensor->data});
    }
  }

  TensorToWrite& at(std::string_view name) {
    const auto found = std::find_if(tensors.begin(), tensors.end(),
                                    [&](const TensorToWrite& t) { return t.name == name; });
    TIDAR_CHECK(found != tensors.end());
    return *found;
  }
  void remove(std::string_view name) {
    std::erase_if(tensors, [&](const TensorToWrite& t) { return t.name == name; });
  }
  Result<ModelWeights> reread() const {
    TIDAR_CHECK(write_tensors(folder_.path() / "model.safetensors", tensors).ok());
    return ModelWeights::open(folder_.path(), config);
  }

  ModelConfig config;
  std::vector<TensorToWrite> tensors;

 private:
  TensorFolder source_;
  ScratchFolder folder_;
};

std::vector<float> values_of(const StoredTensor& tensor) {
  std::vector<float> values(tensor.data.size() / size_of(tensor.dtype));
  for (size_t i = 0; i < values.size(); ++i) {
    if (tensor.dtype == DType::f32) {
      std::memcpy(&values[i], tensor.data.data() + 4 * i, 4);
    } else {
      BFloat16 half;
      std::memcpy(&half, tensor.data.data() + 2 * i, 2);
      values[i] = static_cast<float>(half);
    }
  }
  return values;
}

TEST(WeightTable, NamesWhatTheFixturesHold) {
  for (const char* name : kFolders) {
    const auto folder = TensorFolder::open(kFixtures / name).value();
    const auto table = weight_table(read_model_config(kFixtures / name).value());
    EXPECT_EQ(table.size(), folder.names().size()) << name;
    for (const auto& spec : table) {
      ASSERT_NE(folder.find(spec.name), nullptr) << name << " " << spec.name;
      EXPECT_EQ(folder.find(spec.name)->shape, spec.shape) << name << " " << spec.name;
    }
  }
}

TEST(WeightTable, IsInTheOrderOfUse) {
  const auto table = weight_table(read_model_config(kFixtures / "qwen3").value());
  EXPECT_EQ(table.front().role, WeightRole::embedding);
  EXPECT_EQ(table[1].name, "model.layers.0.input_layernorm.weight");
  EXPECT_EQ(table.back().role, WeightRole::head);
  EXPECT_EQ(table[table.size() - 2].role, WeightRole::final_norm);
  for (size_t i = 2; i + 2 < table.size(); ++i) EXPECT_LE(table[i - 1].layer, table[i].layer);
}

TEST(ModelWeights, ReadsTheFixtures) {
  for (const char* name : kFolders) {
    const auto config = read_model_config(kFixtures / name).value();
    const auto folder = TensorFolder::open(kFixtures / name).value();
    const auto weights = ModelWeights::open(kFixtures / name, config).value();
    for (const auto& spec : weight_table(config)) {
      const auto& tensor = weights.get(spec.role, spec.layer);
      const auto& stored = *folder.find(spec.name);
      EXPECT_EQ(tensor.name, spec.name);
      ASSERT_EQ(tensor.data.size(), stored.data.size());
      weights.release(tensor);
      EXPECT_TRUE(std::equal(stored.data.begin(), stored.data.end(), tensor.data.begin()));
    }
    EXPECT_EQ(weights.matrix_dtype(),
              std::string_view(name) == "qwen3_bf16" ? DType::bf16 : DType::f32);
  }
}

TEST(ModelWeights, AcceptsSpareTensors) {
  Checkpoint checkpoint("qwen2");
  const auto& embedding = checkpoint.at("model.embed_tokens.weight");
  const std::array<std::byte, 32> frequencies{};
  checkpoint.tensors.push_back({"lm_head.weight", DType::f32, embedding.shape, embedding.data});
  checkpoint.tensors.push_back(
      {"model.layers.1.self_attn.rotary_emb.inv_freq", DType::f32, {8}, frequencies});
  const auto weights = checkpoint.reread();
  EXPECT_TRUE(weights.ok()) << weights.error().message;
}

TEST(ModelWeights, PacksAsBf16OnlyWhatIsStoredSo) {
  Checkpoint checkpoint("qwen3_bf16");
  const std::vector<std::byte> wide(64 * 4);
  checkpoint.at("model.norm.weight") = {"model.norm.weight", DType::f32, {64}, wide};
  EXPECT_EQ(checkpoint.reread().value().matrix_dtype(), DType::bf16);  // a vector does not matter
  auto& matrix = checkpoint.at("model.layers.1.mlp.down_proj.weight");
  matrix.dtype = DType::f16;
  EXPECT_EQ(checkpoint.reread().value().matrix_dtype(), DType::f32);
  for (auto& tensor : checkpoint.tensors) {
    if (tensor.dtype == DType::bf16) tensor.dtype = DType::f16;
  }
  EXPECT_EQ(checkpoint.reread().value().matrix_dtype(), DType::f32);
}

TEST(ModelWeights, NamesAMissingTensor) {
  for (const char* name : {"model.embed_tokens.weight", "model.layers.1.self_attn.k_proj.bias",
                           "model.layers.0.mlp.up_proj.weight", "model.norm.weight"}) {
    Checkpoint checkpoint("qwen2");
    checkpoint.remove(name);
    EXPECT_TRUE(says(checkpoint.reread().error().message,
                     fmt::format("tensor '{}' is missing; config.json asks for F32, BF16 or F16 of "
                                 "shape [",
                                 name)));
  }
  Checkpoint untied("qwen2");
  untied.config.head = HeadWeight::own;
  EXPECT_TRUE(
      says(untied.reread().error().message, "tensor 'lm_head.weight' is missing|shape [512, 64]"));
}

TEST(ModelWeights, NamesATensorTooMany) {
  Checkpoint shorter("qwen2");
  shorter.config.layers = 1;
  EXPECT_TRUE(says(shorter.reread().error().message,
                   "/model.safetensors: tensor 'model.layers.1.|is not part of Qwen2ForCausalLM "
                   "with 1 layers"));
  Checkpoint biased("llama");
  const std::vector<std::byte> bias(64 * 4);
  const char* const name = "model.layers.0.self_attn.o_proj.bias";
  biased.tensors.push_back({name, DType::f32, {64}, bias});
  EXPECT_TRUE(
      says(biased.reread().error().message,
           "tensor 'model.layers.0.self_attn.o_proj.bias' is not part of LlamaForCausalLM"));
}

TEST(ModelWeights, NamesAWrongShapeOrType) {
  Checkpoint transposed("qwen2");
  transposed.at("model.layers.0.mlp.gate_proj.weight").shape = {64, 160};
  EXPECT_TRUE(
      says(transposed.reread().error().message,
           "/model.safetensors: tensor 'model.layers.0.mlp.gate_proj.weight' is F32 of shape "
           "[64, 160]; config.json asks for F32, BF16 or F16 of shape [160, 64]"));
  Checkpoint column("qwen2");
  column.at("model.norm.weight").shape = {64, 1};
  EXPECT_TRUE(says(column.reread().error().message, "is F32 of shape [64, 1]|of shape [64]"));
  Checkpoint integers("qwen2");
  integers.at("model.norm.weight").dtype = DType::i32;
  EXPECT_TRUE(says(integers.reread().error().message,
                   "tensor 'model.norm.weight' is I32 of shape [64]; config.json asks for F32"));
}

TEST(ModelWeights, NamesAWeightThatIsNotFinite) {
  for (const auto& [fixture, type] :
       {std::pair("qwen2", DType::f32), {"qwen3_bf16", DType::bf16}}) {
    for (const float wrong :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
          -std::numeric_limits<float>::infinity()}) {
      // Behind the first stretch that is looked at together, at its end, and in a short tensor.
      for (const auto& [name, index] : {std::pair("model.embed_tokens.weight", 5000),
                                        {"model.embed_tokens.weight", 4095},
                                        {"model.norm.weight", 63}}) {
        Checkpoint checkpoint(fixture);
        TensorToWrite& tensor = checkpoint.at(name);
        std::vector<std::byte> changed(tensor.data.begin(), tensor.data.end());
        const BFloat16 narrow(wrong);
        const size_t size = size_of(type), at = static_cast<size_t>(index) * size;
        std::memcpy(changed.data() + at,
                    type == DType::f32 ? static_cast<const void*>(&wrong) : &narrow, size);
        tensor.data = changed;
        EXPECT_TRUE(says(checkpoint.reread().error().message,
                         fmt::format("/model.safetensors: tensor '{}': element {} is not a finite "
                                     "number",
                                     name, index)));
      }
    }
  }
}

ModelConfig small_qwen2() { return read_model_config(kFixtures / "qwen2").value(); }

TEST(RandomWeights, AreAFunctionOfTheSeedAlone) {
  const auto config = small_qwen2();
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  const auto forwards = ModelWeights::random(config, DType::f32, seed);
  const auto backwards = ModelWeights::random(config, DType::f32, seed);
  const auto rounded = ModelWeights::random(config, DType::bf16, seed);
  const auto other = ModelWeights::random(config, DType::f32, seed + 1);
  const auto table = weight_table(config);
  for (size_t i = table.size(); i-- > 0;) (void)backwards.get(table[i].role, table[i].layer);
  for (const auto& spec : table) {
    const auto values = values_of(forwards.get(spec.role, spec.layer));
    EXPECT_EQ(values, values_of(backwards.get(spec.role, spec.layer))) << spec.name;
    EXPECT_NE(values, values_of(other.get(spec.role, spec.layer))) << spec.name;
    const auto halves = values_of(rounded.get(spec.role, spec.layer));
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(halves[i], static_cast<float>(BFloat16(values[i]))) << spec.name << " " << i;
    }
  }
  EXPECT_EQ(forwards.matrix_dtype(), DType::f32);
  EXPECT_EQ(rounded.matrix_dtype(), DType::bf16);
}

TEST(RandomWeights, AreTheSameFromAnyNumberOfThreads) {
  ModelConfig config = small_qwen2();
  config.vocabulary = 20011;  // enough for several parts, the last of them shorter
  Threads threads(3);
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const auto alone = ModelWeights::random(config, dtype, 5);
    const auto together = ModelWeights::random(config, dtype, 5, &threads);
    for (const auto& spec : weight_table(config)) {
      EXPECT_EQ(values_of(alone.get(spec.role, spec.layer)),
                values_of(together.get(spec.role, spec.layer)))
          << spec.name;
    }
  }
}

TEST(RandomWeights, DifferFromTensorToTensor) {
  const auto weights = ModelWeights::random(small_qwen2(), DType::f32, 1);
  EXPECT_NE(values_of(weights.get(WeightRole::gate, 0)), values_of(weights.get(WeightRole::up, 0)));
  EXPECT_NE(values_of(weights.get(WeightRole::gate, 0)),
            values_of(weights.get(WeightRole::gate, 1)));
}

TEST(RandomWeights, ComeBackAfterRelease) {
  const auto weights = ModelWeights::random(small_qwen2(), DType::bf16, 3);
  const auto& tensor = weights.get(WeightRole::down, 1);
  const auto before = values_of(tensor);
  weights.release(tensor);
  EXPECT_TRUE(tensor.data.empty());
  EXPECT_EQ(values_of(weights.get(WeightRole::down, 1)), before);
  EXPECT_EQ(values_of(tensor), before);  // the reference stays the tensor's
}

TEST(RandomWeights, MayBeReadFromSeveralThreads) {
  const auto config = small_qwen2();
  const auto weights = ModelWeights::random(config, DType::f32, 4);
  const auto expected = ModelWeights::random(config, DType::f32, 4);
  std::vector<std::vector<float>> seen(4);
  std::vector<std::thread> threads;
  threads.reserve(seen.size());
  for (auto& values : seen) {
    threads.emplace_back([&] { values = values_of(weights.get(WeightRole::embedding)); });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& values : seen) EXPECT_EQ(values, values_of(expected.get(WeightRole::embedding)));
}

// Mean, deviation and the whole distribution function (Kolmogorov and Smirnov's test at a level of
// 1e-6) of each kind of tensor.
TEST(RandomWeights, AreNormal) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  const auto config = named_shape("qwen2.5-0.5b").value();
  const auto weights = ModelWeights::random(config, DType::f32, seed);
  struct Kind {
    WeightRole role;
    int layer;
    double mean, deviation;
  };
  for (const Kind& kind :
       {Kind{WeightRole::query, 0, 0, 1 / std::sqrt(896.0)},
        Kind{WeightRole::down, 23, 0, 1 / std::sqrt(4864.0)},
        Kind{WeightRole::query_bias, 3, 0, 0.5}, Kind{WeightRole::final_norm, -1, 1, 0.1}}) {
    const auto& tensor = weights.get(kind.role, kind.layer);
    auto values = values_of(tensor);
    std::sort(values.begin(), values.end());
    const auto count = static_cast<double>(values.size());
    double farthest = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      const double z = (values[i] - kind.mean) / kind.deviation;
      const double below = 0.5 * std::erfc(-z / std::sqrt(2.0));
      farthest = std::max(farthest, std::abs(below - (static_cast<double>(i) + 0.5) / count));
    }
    // P(distance > c / sqrt(n)) = 2 exp(-2 c²); half a step of the quantile table comes on top.
    EXPECT_LT(farthest, 2.7 / std::sqrt(count) + 0x1p-16) << tensor.name;
    double squares = 0;
    for (const float value : values) squares += (value - kind.mean) * (value - kind.mean);
    EXPECT_NEAR(std::sqrt(squares / count) / kind.deviation, 1, 5 / std::sqrt(2 * count) + 1e-3);
    EXPECT_GT(values.back() - kind.mean, (count > 1e5 ? 4.0 : 2.0) * kind.deviation) << tensor.name;
    weights.release(tensor);
  }
}

int64_t resident_bytes() {
  std::ifstream stream("/proc/self/statm");
  int64_t all = 0, resident = 0;
  stream >> all >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

// A model that is read tensor by tensor is never in memory as a whole.
TEST(ModelWeights, ReleasedTensorsLeaveMemory) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers keep memory of their own for memory that was given back";
#endif
  const auto config = named_shape("mini").value();
  const int64_t model_bytes = 4 * config.parameters();
  const int64_t largest = int64_t{4} * config.vocabulary * config.hidden;
  const ScratchFolder folder;
  const auto random = ModelWeights::random(config, DType::f32, 5);
  std::vector<TensorToWrite> tensors;
  for (const auto& spec : weight_table(config)) {
    const auto& tensor = random.get(spec.role, spec.layer);
    tensors.push_back({tensor.name, tensor.dtype, tensor.shape, tensor.data});
  }
  ASSERT_TRUE(write_tensors(folder.path() / "model.safetensors", tensors).ok());
  const int64_t with_model = resident_bytes();
  for (const auto& spec : weight_table(config)) random.release(random.get(spec.role, spec.layer));
  const int64_t before = resident_bytes();
  EXPECT_LT(before, with_model - model_bytes * 9 / 10);

  const auto stored = ModelWeights::open(folder.path(), config).value();
  for (const ModelWeights* weights : {&random, &stored}) {
    for (const auto& spec : weight_table(config)) {
      const auto& tensor = weights->get(spec.role, spec.layer);
      uint64_t sum = 0;  // touches every page of a mapped file
      for (const std::byte byte : tensor.data) sum += static_cast<uint64_t>(byte);
      EXPECT_GT(sum, 0u);
      EXPECT_LT(resident_bytes(), before + largest + (int64_t{4} << 20)) << tensor.name;
      weights->release(tensor);
    }
  }
}

}  // namespace
}  // namespace tidar
