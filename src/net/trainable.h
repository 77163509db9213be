#pragma once
// A network whose weights can change: the loss of a pass, and its gradient with respect to every
// weight. The forward uses the verbs of serving; the backward halves stand in ops/backward.h.
//
// Only the residual stream at the entrance of each layer is kept from the forward; a layer's
// inside, but for the last one's, is computed a second time when the backward comes to it. For L
// layers and R rows that is L R D numbers instead of about L R (3 D + 2 (H + 2 G) E + 3 F), for up
// to a third more arithmetic.

#include <memory>
#include <span>
#include <vector>

#include "model/config.h"
#include "net/network.h"
#include "net/parameters.h"
#include "ops/backward.h"
#include "plan/pass.h"

namespace tidar {

struct TrainableOptions {
  int max_rows = 1024;         ///< rows of one pass
  int max_position = 0;        ///< 0: what the config allows
  DType compute = DType::f32;  ///< weights in products: f32 or bf16; masters are f32
};

/// Not thread-safe.
class Trainable {
 public:
  /// `ops` must outlive the result; `weights` is only read.
  Trainable(const ModelConfig& config, const ModelWeights& weights, BackwardOps& ops,
            const TrainableOptions& options);
  ~Trainable();

  const ModelConfig& config() const;
  Parameters& parameters();

  /// To be called when masters have changed: products see the new values from then on.
  void refresh();

  /// Carries out a pass whose rows are kept nowhere (Keep::scratch, sequences without cache) and
  /// adds the gradient of sum_i labels[i].weight * CE_i to parameters(). losses[i] becomes CE_i,
  /// the cross-entropy of label i in nats. A row may have one label at most.
  void add_gradients(const Pass& pass, std::span<const Label> labels, std::span<double> losses);

  /// The losses alone.
  void evaluate(const Pass& pass, std::span<const Label> labels, std::span<double> losses);

  /// Bytes by purpose; all of it is allocated from the start.
  std::vector<MemoryUse> memory() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidar
