// Networks against logits that programs without a common line of code computed (llama.cpp, numpy).

#include <cmath>
#include <filesystem>

#include "net/fixture_files_testing.h"
#include "net/network_testing.h"
#include "ops/wrap/forward_ops.h"
#ifdef TIDAR_KERNELS_ON_HOST
#include "net/kernels_on_host_testing.h"
#endif
#ifdef TIDAR_ON_GPU
#include "net/gpu_testing.h"
#endif

namespace tidar {
namespace {

const std::filesystem::path kFixtures = TIDAR_FIXTURES;

Logits read_logits_file(const std::filesystem::path& path, const nlohmann::json& shape) {
  const auto rows = shape[0].get<size_t>(), cols = shape[1].get<size_t>();
  const std::vector<float> values = read_fixture_floats(path, rows * cols);
  Logits logits;
  for (auto row = values.begin(); row != values.end(); row += static_cast<int64_t>(cols)) {
    logits.emplace_back(row, row + static_cast<int64_t>(cols));
  }
  return logits;
}

double largest_error(const Logits& found, const Logits& expected) {
  double largest = 0;
  EXPECT_EQ(found.size(), expected.size());
  for (size_t row = 0; row < std::min(found.size(), expected.size()); ++row) {
    EXPECT_EQ(found[row].size(), expected[row].size());
    for (size_t i = 0; i < std::min(found[row].size(), expected[row].size()); ++i) {
      const double error = std::abs(double{found[row][i]} - double{expected[row][i]});
      largest = error <= largest ? largest : error;  // so that no number is the largest
    }
  }
  return largest;
}

int32_t best_token(const std::vector<float>& logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

double squared_distance(const Logits& a, const Logits& b) {
  double squares = 0;
  for (size_t row = 0; row < a.size(); ++row) {
    for (size_t i = 0; i < a[row].size(); ++i) {
      const double difference = double{a[row][i]} - double{b[row][i]};
      squares += difference * difference;
    }
  }
  return squares;
}

// The float64 reference, its operands rounded to bf16 where ops.h says so: what rounding costs, and
// nothing else. (Norms in place are of queries and keys, which are no operands.)
class RoundedTruth final : public ForwardOps {
 public:
  explicit RoundedTruth(Ops& truth) : ForwardOps(truth) {}
  void rms_norm(Matrix x, const PackedVector& weight, double eps, int heads, Matrix out) override {
    ForwardOps::rms_norm(x, weight, eps, heads, out);
    if (out.data != x.data) round(out);
  }
  void linear_swiglu(Matrix x, const PackedWeight& gate_up, Matrix out) override {
    ForwardOps::linear_swiglu(x, gate_up, out);
    round(out);
  }
  void attend(Matrix q, const PreparedPass& pass, const KvStore& kv, int layer,
              Matrix out) override {
    ForwardOps::attend(q, pass, kv, layer, out);
    round(out);
  }

 private:
  static void round(Matrix x) {
    for (int64_t r = 0; r < x.rows; ++r) {
      for (int64_t c = 0; c < x.cols; ++c) {
        double& value = x.row<double>(r)[c];
        value = static_cast<float>(BFloat16(static_cast<float>(value)));
      }
    }
  }
};

// The truth, rounded as `backend` rounds.
BackendUnderTest rounded_like(const BackendUnderTest& backend) {
  struct Owner final : ForwardOps {
    explicit Owner(std::unique_ptr<Ops> truth_, std::unique_ptr<Ops> rounded_)
        : ForwardOps(*rounded_), truth(std::move(truth_)), rounded(std::move(rounded_)) {}
    std::unique_ptr<Ops> truth, rounded;
  };
  BackendUnderTest truth = backend;
  const bool rounds = backend.rounds_operands;
  truth.make = [rounds](Threads&) -> std::unique_ptr<Ops> {
    auto exact = make_ref_ops(DType::f64);
    if (!rounds) return exact;
    auto rounded = std::make_unique<RoundedTruth>(*exact);
    return std::make_unique<Owner>(std::move(exact), std::move(rounded));
  };
  return truth;
}

class Fixture {
 public:
  Fixture(const std::string& name, const BackendUnderTest& backend)
      : folder(kFixtures / name),
        expected(read_fixture_json(folder / "expected.json")),
        config(read_model_config(folder).value()),
        on(config, ModelWeights::open(folder, config).value(), backend) {}

  /// Of float32, as the fixtures suggest. In float64 only what was rounded to float32 is left: the
  /// logits here and there (below 16: 2^-20 apart) and the rotary table; and the fixtures' error.
  double tolerance(double own_error) const {
    return on.ops().activation() == DType::f64 ? own_error + 4 * 0x1p-20 : 2e-4;
  }

  struct Run {
    Logits found, expected;
  };
  /// One of expected["sequences"], read causally.
  Run run(const nlohmann::json& sequence) {
    const Tokens tokens = sequence["tokens"];
    auto cache = on.cache(static_cast<int>(tokens.size()));
    return {on.prefill(cache, tokens),
            read_logits_file(folder / sequence["logits_file"].get<std::string>(),
                             sequence["logits_shape"])};
  }

  std::filesystem::path folder;
  nlohmann::json expected;
  ModelConfig config;
  NetworkOnBackend on;
};

class NetworkFixtures : public NetworkSuite {
 protected:
  // Weights that a backend would round on packing are another model than the fixture's.
  static std::vector<std::string> models() {
    if (GetParam().weights == WeightFormat::bf16) return {"qwen3_bf16"};
    return {"qwen2", "qwen3", "llama", "smollm2", "qwen3_bf16"};
  }
};

TEST_P(NetworkFixtures, CausalLogits) {
  for (const std::string& name : models()) {
    SCOPED_TRACE(name);
    Fixture model(name, GetParam());
    double largest = 0;
    for (const auto& sequence : model.expected["sequences"]) {
      const auto [found, expected] = model.run(sequence);
      largest = std::max(largest, largest_error(found, expected));
      for (size_t i = 0; i < found.size(); ++i) {
        EXPECT_EQ(best_token(found[i]), sequence["greedy_next"][i].get<int32_t>()) << i;
      }
    }
    EXPECT_LE(largest, model.tolerance(model.expected["numpy_float64_max_abs_diff"].get<double>()));
    std::printf("    %-12s largest error %.2e\n", name.c_str(), largest);
  }
}

TEST_P(NetworkFixtures, GreedyContinuation) {
  for (const std::string& name : models()) {
    SCOPED_TRACE(name);
    Fixture model(name, GetParam());
    const Tokens prompt = model.expected["greedy"]["prompt"];
    const Tokens expected = model.expected["greedy"]["tokens"];
    auto cache = model.on.cache(static_cast<int>(prompt.size() + expected.size()));
    Tokens found = {best_token(model.on.prefill(cache, prompt).back())};
    while (found.size() < expected.size()) {
      Pass pass;
      pass.begin_sequence(cache);
      const int32_t row = add_causal(pass, std::span(found).last(1), Keep::page);
      pass.asks.add({.row = row, .draw = found.size()});
      Answer answer;
      model.on.network().evaluate(pass, {&answer, 1});
      cache.commit(1);
      found.push_back(answer.token);
    }
    EXPECT_EQ(found, expected);
  }
}

// ---- passes that are not causal ----

// The passes of masked.json, built by the layouts of plan/.
class MaskedFixture {
 public:
  explicit MaskedFixture(const Fixture& model)
      : all_(read_fixture_json(model.folder / "masked" / "masked.json")),
        folder_(model.folder / "masked"),
        mask_(all_["mask_token_id"]) {}

  const nlohmann::json& pass(const std::string& name) const {
    for (const auto& one : all_["passes"]) {
      if (one["name"] == name) return one;
    }
    ADD_FAILURE() << "no pass " << name;
    return all_;
  }

  Logits logits(const std::string& name) const {
    return read_logits_file(folder_ / pass(name)["logits_file"].get<std::string>(),
                            pass(name)["logits_shape"]);
  }

  int32_t mask() const { return mask_; }

  // Lays out a pass of this name, not tidar_decode, in a sequence without a cache.
  Pass build(const std::string& name) const {
    const auto& one = pass(name);
    const Tokens tokens = one["tokens"];
    Pass built;
    built.begin_sequence();
    if (name == "tidar_train") {
      add_tidar_training(built, first(tokens, one["S"]), one["K"].get<int>(), mask_);
    } else if (name == "block_dual") {
      const auto half = one["S"].get<size_t>();
      add_block_diffusion_training(built, first(tokens, half), std::span(tokens).subspan(half),
                                   one["block_size"].get<int>());
    } else if (name == "full") {
      add_bidirectional(built, tokens);
    } else {
      add_block_causal(built, tokens, one["block_size"].get<int>());
    }
    EXPECT_EQ(built.tokens, tokens);
    EXPECT_EQ(built.positions, one["positions"].get<Tokens>());
    return built;
  }

  static std::span<const int32_t> first(const Tokens& tokens, size_t count) {
    return std::span(tokens).first(count);
  }

 private:
  nlohmann::json all_;
  std::filesystem::path folder_;
  int32_t mask_;
};

class NetworkMaskedFixtures : public NetworkSuite {};

TEST_P(NetworkMaskedFixtures, LayoutsWithoutACache) {
  for (const std::string name : {"qwen2", "qwen3"}) {
    Fixture model(name, GetParam());
    const MaskedFixture masked(model);
    for (const std::string pass_name :
         {"tidar_train", "block_0", "block_1", "block_dual", "full"}) {
      SCOPED_TRACE(testing::Message() << name << " " << pass_name);
      Pass pass = masked.build(pass_name);
      const double error = largest_error(model.on.logits(pass), masked.logits(pass_name));
      EXPECT_LE(error, model.tolerance(0));
      std::printf("    %-6s %-12s largest error %.2e\n", name.c_str(), pass_name.c_str(), error);
    }
  }
}

// The decoding step, its prefix read in the same pass and in one before.
TEST_P(NetworkMaskedFixtures, TidarStep) {
  for (const std::string name : {"qwen2", "qwen3"}) {
    Fixture model(name, GetParam());
    const MaskedFixture masked(model);
    const auto& one = masked.pass("tidar_decode");
    const Tokens tokens = one["tokens"];
    const auto length = one["prefix_length"].get<size_t>();
    const int size = one["K"].get<int>();
    const auto drafts = std::span(tokens).subspan(length, static_cast<size_t>(size));
    const Logits expected = masked.logits("tidar_decode");
    for (const bool is_cached : {false, true}) {
      SCOPED_TRACE(name + (is_cached ? " cached" : " in one pass"));
      auto cache = model.on.cache(static_cast<int>(length) + size);
      if (is_cached) model.on.prefill(cache, std::span(tokens).first(length));
      Pass pass;
      pass.begin_sequence(cache);
      if (!is_cached) add_causal(pass, std::span(tokens).first(length), Keep::page);
      std::vector<MaskGroup> groups;
      for (int j = 1; j <= size; ++j) groups.push_back({j, size, 0});
      add_tidar_step(pass, drafts, masked.mask(), groups);
      const auto skipped = static_cast<int64_t>(is_cached ? length : 0);
      EXPECT_EQ(pass.tokens, Tokens(tokens.begin() + skipped, tokens.end()));
      const Logits rows = rows_of(expected, skipped, pass.rows());
      const double error = largest_error(model.on.logits(pass), rows);
      EXPECT_LE(error, model.tolerance(0));
      std::printf("    %-6s tidar_decode largest error %.2e\n", name.c_str(), error);
    }
  }
}

// ---- what rounding to bf16 costs ----

class RoundedFixtures : public NetworkSuite {};

// A network that rounds may be as far from the exact logits as rounding takes the float64
// reference, and must lie nearer to that than two independent errors would (sqrt 2 times as far):
// most of its roundings are the same. 198 rows give a mean square of errors to about sqrt(2 / 198)
// = 10 %, so a deviation to 5 %; five times that is allowed.
TEST_P(RoundedFixtures, RoundingCostsWhatItMust) {
  constexpr double kSampling = 1.25;
  const std::string name = "qwen3_bf16";
  Fixture model(name, GetParam()), rounded(name, rounded_like(GetParam()));
  double error = 0, true_error = 0, distance = 0;
  size_t rows = 0;
  for (const auto& sequence : model.expected["sequences"]) {
    const auto [found, exact] = model.run(sequence);
    const Logits truth = rounded.run(sequence).found;
    error += squared_distance(found, exact);
    true_error += squared_distance(truth, exact);
    distance += squared_distance(found, truth);
    rows += found.size();
  }
  EXPECT_EQ(rows, 198u);
  EXPECT_LE(std::sqrt(error), kSampling * std::sqrt(true_error));
  EXPECT_LE(distance, true_error);
  const double all = static_cast<double>(rows) * model.config.vocabulary;
  std::printf("    error %.4f, of the rounded truth %.4f, between them %.4f (rms)\n",
              std::sqrt(error / all), std::sqrt(true_error / all), std::sqrt(distance / all));
}

bool computes_in_float(const BackendUnderTest& backend) { return backend.computes_in_float(); }
bool rounds(const BackendUnderTest& backend) {
  return backend.has_plain_weights() && !backend.computes_in_float();
}
bool keeps_weights(const BackendUnderTest& backend) { return backend.weights == WeightFormat::f32; }

std::vector<BackendUnderTest> those_where(std::vector<BackendUnderTest> backends,
                                          bool (*wanted)(const BackendUnderTest&)) {
  std::erase_if(backends, [&](const BackendUnderTest& backend) { return !wanted(backend); });
  return backends;
}

// Programs of their own hold the kernels for GPUs against the fixtures: on the CPU, and on a GPU.
#if defined(TIDAR_KERNELS_ON_HOST)
std::vector<BackendUnderTest> tested() { return kernels_on_host(); }
#elif defined(TIDAR_ON_GPU)
std::vector<BackendUnderTest> tested() {
  std::vector<BackendUnderTest> backends = gpu_backends({});
  std::ranges::move(gpu_backends({.exact_rows = true}), std::back_inserter(backends));
  return backends;
}
#else
std::vector<BackendUnderTest> tested() { return all_backends(); }
#endif

TIDAR_TEST_BACKENDS(NetworkFixtures, those_where(tested(), computes_in_float));
TIDAR_TEST_BACKENDS(NetworkMaskedFixtures, those_where(tested(), keeps_weights));
TIDAR_TEST_BACKENDS(RoundedFixtures, those_where(tested(), rounds));

}  // namespace
}  // namespace tidar
