#pragma once
// A network whose weights can change: the loss of a pass, and its gradient with respect to every
// weight. The forward uses the verbs of serving; the backward halves stand in ops/backward.h.
//
// The residual stream at the entrance of each layer is kept from the forward, and the inside of as
// many layers as TrainableOptions::activation_bytes has room for, from the last one back. What is
// inside the others, about 8 D + 10 H E + 12 G E + 10 F bytes a row with bf16 operands (12 of each
// with f32), is computed a second time when the backward comes to them: about a quarter more
// arithmetic if that is all of them. Results are the same, to the bit.

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/threads.h"
#include "model/config.h"
#include "net/network.h"
#include "net/parameters.h"
#include "ops/backward.h"
#include "plan/pass.h"

namespace tidar {

struct TrainableOptions {
  int max_rows = 1024;  ///< rows of one pass, at least 1
  /// Positions that rows may have: 0 means the config's. Up to max_rows more than those are
  /// allowed, because a last block of masks may reach beyond its text.
  int max_position = 0;
  WeightFormat compute = WeightFormat::f32;  ///< weights in products, a plain one; masters are f32
  int64_t activation_bytes = int64_t{1} << 30;  ///< for the inside of layers; one has room anyway
  int64_t logit_bytes = int64_t{256} << 20;  ///< for logits: so many rows at a time, at least one
  std::vector<std::string> frozen{};         ///< names of parameters that have no gradient
  std::optional<AdapterConfig> adapter{};    ///< one that the weights get; its tensors are 0
};

/// Told the indices in Parameters::all() of neighbours of one layer, or of none.
using GradientsReady = std::function<void(Range parameters)>;

/// Not thread-safe.
class Trainable {
 public:
  /// Allocates everything that passes will need. `ops` must outlive the result; `weights` is only
  /// read. An Error says which option is not among those that can be had, or that there is no
  /// memory.
  static Result<std::unique_ptr<Trainable>> build(const ModelConfig& config,
                                                  const ModelWeights& weights, BackwardOps& ops,
                                                  const TrainableOptions& options);
  ~Trainable();

  const ModelConfig& config() const;
  /// nullptr: none.
  const AdapterConfig* adapter() const;
  Parameters& parameters();

  /// To be called when masters have changed: products see the new values from then on.
  void refresh();

  /// Carries out a pass whose rows are kept nowhere (Keep::scratch, sequences without cache) and
  /// adds the gradient of sum_i labels[i].weight * loss_i to parameters(), where targets count as
  /// constants. losses[i] becomes loss_i: the cross-entropy of label i in nats, or that and the
  /// distance from its target (BackwardOps::cross_entropy). A row may have one label at most.
  /// Targets are rows of the pass, with or without a label. `ready` is called for what stands
  /// behind the layers, for each layer from the last to the first, and for the embedding, as soon
  /// as their gradients have all that this pass adds to them.
  void add_gradients(const Pass& pass, std::span<const Label> labels, std::span<double> losses,
                     const GradientsReady& ready = {});

  /// The losses alone.
  void evaluate(const Pass& pass, std::span<const Label> labels, std::span<double> losses);

  /// Floating-point operations that add_gradients() must do, see net/flops.h.
  double flops(const Pass& pass, int64_t labels) const;

  /// Layers whose inside the backward computes a second time.
  int recomputed_layers() const;

  /// Bytes by purpose; all of it is allocated from the start.
  std::vector<MemoryUse> memory() const;

 private:
  struct Impl;
  explicit Trainable(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidar
