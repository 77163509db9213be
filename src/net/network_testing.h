#pragma once
// For tests: a network on each backend in turn, and passes that ask every row for its logits.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "base/threads.h"
#include "net/network.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/ref/ref_ops.h"
#include "ops/wrap/fenced_ops.h"
#include "plan/layouts.h"

namespace tidar {

inline double log_sum_exp(const std::vector<float>& logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(double{logit} - largest);
  return largest + std::log(sum);
}

/// A way to compute that every test of the suite runs over.
struct BackendUnderTest {
  std::string name;
  std::function<std::unique_ptr<Ops>(Threads&)> make;
  WeightFormat weights = WeightFormat::f32;
  DType kv = DType::f32;
  bool rounds_operands = false;  ///< to bf16, where it multiplies
  bool mixed = false;            ///< not all weights are in that format

  /// Of roles, and of layers: neighbours in a pass have operands of different types.
  WeightFormats formats() const {
    WeightFormats all(weights);
    if (!mixed) return all;
    all.set(PackedRole::qkv, WeightFormat::bf16);
    all.set(PackedRole::attention_out, WeightFormat::f32);
    all.set(PackedRole::gate_up, WeightFormat::bf16);
    all.set(PackedRole::head, WeightFormat::w8);
    all.set({PackedRole::qkv, 1}, WeightFormat::w4);
    all.set({PackedRole::down, 0}, WeightFormat::bf16);
    all.set({PackedRole::gate_up, 1}, WeightFormat::w8);
    return all;
  }

  /// Weights are numbers, not codes, and nothing but packing them rounds below float32.
  bool computes_in_float() const {
    return has_plain_weights() && !rounds_operands && kv == DType::f32;
  }
  bool has_plain_weights() const { return facts_of(weights).plain.has_value(); }
};

struct OwnsOps {
  std::unique_ptr<Ops> owned;
};

/// A backend with its memory behind a fence and calls that come late.
struct FencedBackend final : private OwnsOps, public FencedOps {
  explicit FencedBackend(std::unique_ptr<Ops> inner)
      : OwnsOps{std::move(inner)}, FencedOps(*owned) {}
};

/// The references, one of them fenced, and the vector kernels at every instruction set that this
/// processor has.
inline std::vector<BackendUnderTest> all_backends() {
  const auto ref = [](DType type) { return [type](Threads&) { return make_ref_ops(type); }; };
  std::vector<BackendUnderTest> backends = {
      {"ref_f32", ref(DType::f32), WeightFormat::f32, DType::f32, false},
      {"ref_f64", ref(DType::f64), WeightFormat::f32, DType::f32, false},
      {"ref_f32_bf16_kv", ref(DType::f32), WeightFormat::bf16, DType::bf16, false}};
  backends.push_back({"fenced_ref_f32", [](Threads&) -> std::unique_ptr<Ops> {
                        return std::make_unique<FencedBackend>(make_ref_ops(DType::f32));
                      }});
  backends.push_back({"ref_f32_w4", ref(DType::f32), WeightFormat::w4, DType::i8, false});
  backends.push_back({"ref_f32_mixed", ref(DType::f32), WeightFormat::w4, DType::f32, false, true});
  for (const Isa isa : usable_isas()) {
    const auto cpu = [isa](Precision precision) {
      return [isa, precision](Threads& threads) -> std::unique_ptr<Ops> {
        return make_cpu_ops(threads, {.isa = isa, .precision = precision});
      };
    };
    std::string name = "cpu_" + std::string(name_of(isa));
    std::replace(name.begin(), name.end(), '-', '_');
    Threads threads(1);
    const bool rounds = cpu(Precision::bf16)(threads)->operand(WeightFormat::bf16) == DType::bf16;
    backends.push_back({name + "_f32", cpu(Precision::f32), WeightFormat::f32, DType::f32, false});
    backends.push_back(
        {name + "_bf16_weights", cpu(Precision::f32), WeightFormat::bf16, DType::f32, false});
    backends.push_back(
        {name + "_bf16", cpu(Precision::bf16), WeightFormat::bf16, DType::bf16, rounds});
    backends.push_back({name + "_w8", cpu(Precision::bf16), WeightFormat::w8, DType::bf16, false});
    backends.push_back({name + "_w4", cpu(Precision::bf16), WeightFormat::w4, DType::i8, false});
    backends.push_back(
        {name + "_mixed", cpu(Precision::bf16), WeightFormat::w4, DType::bf16, false, true});
  }
  return backends;
}

using Tokens = std::vector<int32_t>;
/// One row of logits for each row of a pass, or of some rows of it.
using Logits = std::vector<std::vector<float>>;

/// A network and what it stands on.
class NetworkOnBackend {
 public:
  NetworkOnBackend(const ModelConfig& config, const ModelWeights& weights,
                   const BackendUnderTest& backend, int threads = 2,
                   const Adapter* adapter = nullptr)
      : threads_(threads), ops_(backend.make(threads_)) {
    const NetworkOptions options = {.max_rows = 256,
                                    .pages = kPages,
                                    .max_position = std::min(config.max_positions, 600),
                                    .weights = backend.formats(),
                                    .kv = backend.kv,
                                    .adapter = adapter};
    network_ = Network::build(config, weights, *ops_, options).value();
  }

  Network& network() { return *network_; }
  const Ops& ops() const { return *ops_; }
  PagePool& pool() { return pool_; }

  /// A cache without keys and with room for `keys`.
  SequenceCache cache(int keys) {
    SequenceCache made(pool_);
    EXPECT_TRUE(made.reserve(keys));
    return made;
  }

  /// Carries out the pass and returns the logits of all rows.
  Logits logits(Pass& pass) {
    pass.asks.clear();
    for (int32_t row = 0; row < pass.rows(); ++row) {
      pass.asks.add({.kind = AskKind::logits, .row = row});
    }
    std::vector<Answer> answers(pass.asks.size());
    network_->evaluate(pass, answers);
    Logits rows;
    for (Answer& answer : answers) rows.push_back(std::move(answer.logits));
    return rows;
  }

  /// Reads tokens causally into the cache, commits them, and returns their logits.
  Logits prefill(SequenceCache& cache, std::span<const int32_t> tokens) {
    Pass pass;
    pass.begin_sequence(cache);
    add_causal(pass, tokens, Keep::page);
    Logits rows = logits(pass);
    cache.commit(static_cast<int>(tokens.size()));
    return rows;
  }

 private:
  static constexpr int kPages = 40;
  Threads threads_;
  std::unique_ptr<Ops> ops_;
  PagePool pool_{kPages};
  std::unique_ptr<Network> network_;
};

inline std::ostream& operator<<(std::ostream& out, const BackendUnderTest& backend) {
  return out << backend.name;
}

class NetworkSuite : public testing::TestWithParam<BackendUnderTest> {};

/// What stands for a mask in passes of random models.
inline constexpr int32_t kMaskToken = 1;

inline void add_masks(Pass& pass, int masks) {
  add_block(pass, Tokens(static_cast<size_t>(masks), kMaskToken), Keep::scratch);
}

/// The logits of `masks` masks behind a prefix that was read in a pass before.
inline Logits masks_behind(NetworkOnBackend& on, std::span<const int32_t> prefix, int masks) {
  auto cache = on.cache(static_cast<int>(prefix.size()));
  if (!prefix.empty()) on.prefill(cache, prefix);
  Pass pass;
  pass.begin_sequence(cache);
  add_masks(pass, masks);
  return on.logits(pass);
}

/// Those of all_backends() that `wanted` names.
template <class Predicate>
std::vector<BackendUnderTest> backends_where(Predicate&& wanted) {
  std::vector<BackendUnderTest> backends = all_backends();
  std::erase_if(backends, [&](const BackendUnderTest& backend) { return !wanted(backend); });
  return backends;
}

/// Instantiates a suite over a list of backends.
#define TIDAR_TEST_BACKENDS(Suite, backends)                             \
  TIDAR_ALLOW_NO_BACKENDS(Suite);                                        \
  INSTANTIATE_TEST_SUITE_P(Backends, Suite, testing::ValuesIn(backends), \
                           [](const auto& parameter) { return parameter.param.name; })
// A list that is empty is a mistake, but where there is no GPU (net/gpu_testing.h).
#ifdef TIDAR_ON_GPU
#define TIDAR_ALLOW_NO_BACKENDS(Suite) GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Suite)
#else
#define TIDAR_ALLOW_NO_BACKENDS(Suite) static_assert(true)
#endif

inline Logits rows_of(const Logits& logits, int64_t first, int64_t count) {
  return Logits(logits.begin() + first, logits.begin() + first + count);
}

/// Bit by bit.
inline void expect_equal(const Logits& found, const Logits& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t row = 0; row < found.size(); ++row) {
    ASSERT_EQ(found[row].size(), expected[row].size());
    for (size_t token = 0; token < found[row].size(); ++token) {
      ASSERT_EQ(found[row][token], expected[row][token]) << "row " << row << ", token " << token;
    }
  }
}

inline Tokens random_tokens(Rng& rng, int count, int vocabulary) {
  Tokens tokens(static_cast<size_t>(count));
  for (int32_t& token : tokens) token = rng.below(vocabulary);
  return tokens;
}

/// A small model of each family, its sizes drawn from `rng`.
inline ModelConfig random_model(Rng& rng, int kind) {
  ModelConfig config;
  config.layers = 2;
  config.kv_heads = 1 + rng.below(2);
  config.heads = config.kv_heads * (1 + rng.below(3));
  config.head_size = 16 * (1 + rng.below(2));
  config.hidden = 16 * (1 + rng.below(3));
  config.ffn = 24 + rng.below(50);
  config.vocabulary = 90 + rng.below(30);
  config.max_positions = 1000;
  config.rope.theta = 1e5;
  switch (kind) {
    case 0:
      config.family = Family::qwen2;
      config.architecture = "Qwen2ForCausalLM";
      config.qkv_bias = QkvBias::present;
      config.head = HeadWeight::tied;
      break;
    case 1:
      config.family = Family::qwen3;
      config.architecture = "Qwen3ForCausalLM";
      config.qk_norm = QkNorm::per_head;
      config.rope.scaling = YarnRopeScaling{.factor = 4, .original_max_positions = 64};
      break;
    case 2:
      config.family = Family::llama;
      config.architecture = "LlamaForCausalLM";
      config.rope.scaling = Llama3RopeScaling{32, 1, 4, 64};
      config.head = HeadWeight::tied;
      break;
    default:  // SmolLM2
      config.family = Family::llama;
      config.architecture = "LlamaForCausalLM";
      config.head = HeadWeight::tied;
      break;
  }
  return config;
}

inline constexpr int kModelKinds = 4;

}  // namespace tidar
