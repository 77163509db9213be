#pragma once
// One run of training: step after step, from a place that can be saved and gone back to.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/threads.h"
#include "net/trainable.h"
#include "train/objective.h"
#include "train/optimizer.h"
#include "train/schedule.h"
#include "train/spike_guard.h"
#include "train/token_stream.h"

namespace tidar {

struct TrainerOptions {
  int packs = 8;  ///< of a step; each is a pass, and gradients are summed up
  uint64_t seed = 0;
  Schedule schedule;
  AdamWOptions adamw;
  double clip = 1;
  double spike_factor = 10;
};

/// What one step did.
struct StepReport {
  int64_t step = 0;  ///< counted from 1
  double loss = 0;
  std::vector<double> terms;  ///< means of Objective::terms()
  double gradient_norm = 0;   ///< before clipping
  double rate = 0;
  bool left_out = false;  ///< a spike: the weights have not changed
  int64_t tokens = 0;     ///< of the step's packs
  int64_t rows = 0;       ///< of its passes
  double flops = 0;       ///< net/flops.h
  int64_t epoch = 0;
};

/// Where a run stands; with weights and moments, all that it depends on.
struct TrainingState {
  int64_t step = 0;  ///< steps done
  int64_t tokens = 0;
  int64_t updates = 0;  ///< AdamW::updates()
  StreamPosition position;
  SpikeHistory spikes;
};

/// Runs that go on from a saved state are the same, to the bit, as if they had not been cut, on the
/// same backend. Not thread-safe.
class Trainer {
 public:
  /// `model`, `objective` and `threads` must outlive this; `stream` is the training text.
  Trainer(Trainable& model, const Objective& objective, TokenStream stream,
          const TrainerOptions& options, Threads& threads);

  bool done() const { return state_.step >= options_.schedule.steps; }

  /// The next step. An Error when a shard holds what it may not, and when loss or gradient are not
  /// finite: the weights are then those of the last step, and the sentence names the step and
  /// where its text stands.
  Result<StepReport> step();

  /// To be saved.
  TrainingState state() const;
  const AdamW& optimizer() const { return optimizer_; }

  /// To be restored: the moments are written to optimizer().moments(), the masters to the model's
  /// parameters, and then the rest. Refused when the text is not that of the saved run.
  Result<void> restore(const TrainingState& state);

 private:
  struct Batch;
  Result<Batch> read_batch();
  Error not_finite(const Batch& batch, const StepReport& report) const;

  Trainable& model_;
  const Objective& objective_;
  TokenStream stream_;
  TrainerOptions options_;
  Threads& threads_;
  AdamW optimizer_;
  SpikeGuard guard_;
  TrainingState state_;
};

/// How well the masks of one place in their block tell its token.
struct PlaceLoss {
  int64_t labels = 0;
  double loss = 0;         ///< mean cross-entropy, in nats
  double probability = 0;  ///< mean of what the mask gives to the token of the text
};

/// Loss of a text that is not trained on.
struct TextLoss {
  double loss = 0;
  std::vector<double> terms;
  std::vector<PlaceLoss> places;  ///< tidar: of place 0, 1, …
  int64_t tokens = 0;
};

/// The documents of a pack; views of its tokens.
std::vector<Document> documents_of(const TokenPack& pack);

/// The loss of at most the first `packs` packs of a stream, which is read from where it stands,
/// with the same noise at every call. An Error when a shard holds what it may not, and when the
/// loss is not finite.
Result<TextLoss> text_loss(Trainable& model, const Objective& objective, TokenStream& stream,
                           int packs);

}  // namespace tidar
