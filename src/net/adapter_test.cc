// Networks with an adapter: which rows it touches, and what it adds to them.

#include <algorithm>
#include <array>
#include <list>

#include "model/adapter_testing.h"
#include "net/network_testing.h"
#include "ops/host_matrix.h"

namespace tidar {
namespace {

// Other tokens than the mask.
Tokens random_text(Rng& rng, int count, int vocabulary) {
  Tokens text = random_tokens(rng, count, vocabulary);
  for (int32_t& token : text) token = token == kMaskToken ? kMaskToken + 1 : token;
  return text;
}

bool differ(const Logits& a, const Logits& b) { return a != b; }

class NetworkAdapter : public NetworkSuite {
 protected:
  // Calls body(rng, config, weights) for a random model of each family.
  template <class Body>
  void for_each_model(uint64_t seed, Body&& body) {
    for (int kind = 0; kind < kModelKinds; ++kind) {
      SCOPED_TRACE(testing::Message() << "seed " << seed << ", model kind " << kind);
      Rng rng(seed * kModelKinds + static_cast<uint64_t>(kind));
      const ModelConfig config = random_model(rng, kind);
      const ModelWeights weights = ModelWeights::random(config, DType::f32, rng.bits());
      body(rng, config, weights);
      if (HasFatalFailure()) return;
    }
  }
};

// Equal quality by construction: rows without a mask have the bits that they have without adapter.
TEST_P(NetworkAdapter, OfMaskRowsLeavesAllOthersAsTheyAre) {
  for_each_model(1, [](Rng& rng, const ModelConfig& config, const ModelWeights& weights) {
    const RandomAdapter random(config, random_adapter_config(rng, AdapterRows::masks, kMaskToken),
                               rng);
    NetworkOnBackend plain(config, weights, GetParam());
    NetworkOnBackend adapted(config, weights, GetParam(), 2, &random.adapter);
    const int length = 2 + rng.below(100), block = 1 + rng.below(8);
    const Tokens text = random_text(rng, length, config.vocabulary);
    auto plain_cache = plain.cache(length), cache = adapted.cache(length);
    expect_equal(adapted.prefill(cache, text), plain.prefill(plain_cache, text));

    Pass pass;
    pass.begin_sequence();
    add_tidar_training(pass, text, block, kMaskToken);
    const Logits before = plain.logits(pass), after = adapted.logits(pass);
    expect_equal(rows_of(after, 0, length), rows_of(before, 0, length));
    for (int row = length; row < static_cast<int>(after.size()); ++row) {
      EXPECT_TRUE(differ(rows_of(after, row, 1), rows_of(before, row, 1))) << "row " << row;
    }
  });
}

TEST_P(NetworkAdapter, RowsDoNotDependOnTheirCompany) {
  for_each_model(2, [](Rng& rng, const ModelConfig& config, const ModelWeights& weights) {
    for (const AdapterRows rows : {AdapterRows::masks, AdapterRows::all}) {
      const RandomAdapter random(config, random_adapter_config(rng, rows, kMaskToken), rng);
      NetworkOnBackend on(config, weights, GetParam(), 2, &random.adapter);
      const int length = 10 + rng.below(60), block = 1 + rng.below(8);
      const Tokens text = random_text(rng, length, config.vocabulary);
      Pass pass;
      pass.begin_sequence();
      add_tidar_training(pass, text, block, kMaskToken);
      const Logits training = on.logits(pass);
      auto cache = on.cache(length);
      expect_equal(rows_of(training, 0, length), on.prefill(cache, text));
      for (const int b : {0, (length - 1) / block}) {
        const int masks = std::min(block, length - b * block);
        expect_equal(
            rows_of(training, length + b * block, masks),
            masks_behind(on, std::span(text).first(static_cast<size_t>(b * block)), masks));
      }
    }
  });
}

// A pass of masks alone does not know which of the two it is.
TEST_P(NetworkAdapter, OfMaskRowsDoesToThemWhatOneOfAllRowsDoes) {
  for_each_model(3, [](Rng& rng, const ModelConfig& config, const ModelWeights& weights) {
    AdapterConfig of_masks = random_adapter_config(rng, AdapterRows::masks, kMaskToken);
    AdapterConfig of_all = of_masks;
    of_all.rows = AdapterRows::all;
    Rng same_numbers = rng, again = rng;
    const RandomAdapter masks(config, of_masks, same_numbers), all(config, of_all, again);
    NetworkOnBackend on_masks(config, weights, GetParam(), 2, &masks.adapter);
    NetworkOnBackend on_all(config, weights, GetParam(), 2, &all.adapter);
    expect_equal(masks_behind(on_masks, {}, 9), masks_behind(on_all, {}, 9));
  });
}

TIDAR_TEST_BACKENDS(NetworkAdapter, all_backends());

// What products with merged weights say.
class MergedAdapter : public NetworkAdapter {};

// The same weights, some of them merged with their adapter in double.
struct MergedWeights {
  MergedWeights(const ModelConfig& config, const ModelWeights& base, const Adapter& adapter)
      : weights(ModelWeights::of_memory(config, merge(config, base, adapter))) {}

  std::list<std::vector<float>> numbers;
  ModelWeights weights;

 private:
  static double at(const StoredTensor& tensor, int64_t row, int64_t col) {
    return reinterpret_cast<const float*>(tensor.data.data())[row * tensor.shape[1] + col];
  }
  std::vector<StoredTensor> merge(const ModelConfig& config, const ModelWeights& from,
                                  const Adapter& adapter) {
    std::vector<StoredTensor> tensors;
    for (const WeightSpec& spec : weight_table(config)) {
      StoredTensor tensor = from.get(spec.role, spec.layer);
      const auto* const values = reinterpret_cast<const float*>(tensor.data.data());
      std::vector<float>& own =
          numbers.emplace_back(values, values + tensor.data.size() / sizeof(float));
      if (const Adapter::Pair* pair = adapter.find(spec.role, spec.layer)) {
        for (int64_t n = 0; n < spec.shape[0]; ++n) {
          for (int64_t k = 0; k < spec.shape[1]; ++k) {
            double sum = 0;
            for (int64_t i = 0; i < pair->a.shape[0]; ++i) {
              sum += at(pair->b, n, i) * at(pair->a, i, k);
            }
            float& value = own[static_cast<size_t>(n * spec.shape[1] + k)];
            value = static_cast<float>(value + adapter.config().scale() * sum);
          }
        }
      }
      tensor.data = std::as_bytes(std::span(own));
      tensors.push_back(std::move(tensor));
    }
    return tensors;
  }
};

TEST_P(MergedAdapter, SaysTheSame) {
  for_each_model(4, [](Rng& rng, const ModelConfig& config, const ModelWeights& weights) {
    for (int round = 0; round < 3; ++round) {
      AdapterConfig adapter = random_adapter_config(rng, AdapterRows::all, kMaskToken);
      if (round == 2) adapter.scaling = AdapterScaling::by_root;
      const RandomAdapter random(config, adapter, rng);
      const MergedWeights merged(config, weights, random.adapter);
      NetworkOnBackend beside(config, weights, GetParam(), 2, &random.adapter);
      NetworkOnBackend within(config, merged.weights, GetParam());
      NetworkOnBackend without(config, weights, GetParam());
      const Tokens text = random_tokens(rng, 2 + rng.below(80), config.vocabulary);
      const int length = static_cast<int>(text.size());
      auto a = beside.cache(length), b = within.cache(length), c = without.cache(length);
      const Logits found = beside.prefill(a, text), expected = within.prefill(b, text);
      const Logits plain = without.prefill(c, text);
      double worst = 0, moved = 0;
      for (size_t row = 0; row < found.size(); ++row) {
        for (size_t t = 0; t < found[row].size(); ++t) {
          worst = std::max(worst, std::abs(double{found[row][t]} - double{expected[row][t]}));
          moved = std::max(moved, std::abs(double{plain[row][t]} - double{expected[row][t]}));
        }
      }
      EXPECT_LE(worst, 2e-4);
      EXPECT_GE(moved, 0.01) << "the adapter should show";
    }
  });
}

TIDAR_TEST_BACKENDS(MergedAdapter, backends_where([](const BackendUnderTest& backend) {
                      return backend.computes_in_float() && backend.weights == WeightFormat::f32;
                    }));

}  // namespace
}  // namespace tidar
