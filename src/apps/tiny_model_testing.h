#pragma once
// For tests of what whole decodings promise: untrained networks whose vocabularies are so small
// that drafts are often right by chance.

#include <memory>
#include <vector>

#include "base/rng.h"
#include "net/network_testing.h"
#ifdef TIDAR_ON_GPU
#include "net/gpu_testing.h"
#endif

namespace tidar {

inline constexpr int kTinyVocabulary = 6;
inline constexpr int32_t kTinyMask = kTinyVocabulary - 1;

/// A model of one of kModelKinds on a backend, and the numbers that its test draws.
struct TinyModel {
  /// Of the same seed and kind the same.
  TinyModel(uint64_t seed, int kind, const BackendUnderTest& backend)
      : rng(seed + static_cast<uint64_t>(kind)), config(tiny(random_model(rng, kind))) {
    on = another(backend);
  }

  /// The same shape with other weights.
  std::unique_ptr<NetworkOnBackend> another(const BackendUnderTest& backend) {
    const ModelWeights weights = ModelWeights::random(config, DType::f32, rng.bits());
    return std::make_unique<NetworkOnBackend>(config, weights, backend);
  }

  Rng rng;
  ModelConfig config;
  std::unique_ptr<NetworkOnBackend> on;

 private:
  static ModelConfig tiny(ModelConfig config) {
    config.vocabulary = kTinyVocabulary;
    return config;
  }
};

/// Those that such tests run over: all that keep the bits of a row whatever its company.
inline std::vector<BackendUnderTest> tiny_model_backends() {
#ifdef TIDAR_ON_GPU
  return gpu_backends({.exact_rows = true});
#else
  return backends_where([](const BackendUnderTest& backend) { return backend.name != "ref_f64"; });
#endif
}

}  // namespace tidar
