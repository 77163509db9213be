#pragma once
// Carries out passes: the one transformer block of all families, over any backend of ops/.

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/adapter.h"
#include "model/config.h"
#include "model/weights.h"
#include "net/weight_formats.h"
#include "ops/ops.h"
#include "plan/evaluator.h"

namespace tidar {

struct NetworkOptions {
  int max_rows = 512;    ///< rows of one pass, at least 1
  int pages = 0;         ///< pages of kPageSlots keys; 0: enough for one sequence of full length
  int max_position = 0;  ///< positions, at most the config's; 0: the config's
  WeightFormats weights = WeightFormat::f32;  ///< packed matrices
  DType kv = DType::f32;                      ///< keys and values
  /// An adapter of this model, which stays beside its weights; nullptr: none. Only read while the
  /// network is built.
  const Adapter* adapter = nullptr;
};

/// Bytes by purpose; all of it is allocated when the network is built.
struct MemoryUse {
  std::string purpose;  ///< "weights", which an adapter is among, "keys and values", "activations",
                        ///< "logits"
  int64_t bytes = 0;
};

class Network final : public Evaluator {
 public:
  /// Packs the weights for `ops` (releasing each tensor's file pages as it goes) and allocates
  /// everything that passes will need. `ops` must outlive the network, and have the formats of the
  /// weights. An Error says which option is out of its range, that `ops` has no keys of this type,
  /// or for what there is no memory.
  static Result<std::unique_ptr<Network>> build(const ModelConfig& config,
                                                const ModelWeights& weights, Ops& ops,
                                                const NetworkOptions& options);
  ~Network() override;

  const EvaluatorLimits& limits() const override;
  void evaluate(const Pass& pass, std::span<Answer> answers) override;
  void answer(const Asks& asks, std::span<Answer> answers) override;

  std::vector<MemoryUse> memory() const;
  /// Bytes of weights that a pass reads, the head included when `with_head`.
  int64_t weight_bytes(bool with_head) const;

 private:
  struct Impl;
  explicit Network(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidar
