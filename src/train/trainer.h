#pragma once
// One run of training: step after step, from a place that can be saved and gone back to.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/threads.h"
#include "comm/communicator.h"
#include "net/trainable.h"
#include "train/gradient_exchange.h"
#include "train/objective.h"
#include "train/optimizer.h"
#include "train/schedule.h"
#include "train/spike_guard.h"
#include "train/token_stream.h"
#include "train/weight_average.h"

namespace tidar {

struct TrainerOptions {
  int packs = 8;  ///< of a step, of each rank; each is a pass, and gradients are summed up
  uint64_t seed = 0;
  Schedule schedule;
  AdamWOptions adamw;
  std::vector<ParameterUpdate> updates{};  ///< of the model's parameters, one each; or none
  double ema = 0;                          ///< decay of the mean of weights; 0: none is kept
  double clip = 1;
  double spike_factor = 10;
};

/// What one step did, of all ranks together.
struct TrainedStep {
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

/// What a run has in memory, and its checkpoints on disk: views.
struct RunMemory {
  const Parameters& parameters;
  const Moments& moments;                  ///< of all elements
  const WeightAverage* average = nullptr;  ///< nullptr: none is kept
};

/// Where a run stands; with RunMemory, all that it depends on.
struct TrainingState {
  int64_t step = 0;  ///< steps done
  int64_t tokens = 0;
  int64_t updates = 0;  ///< AdamW::updates()
  StreamPosition position;
  SpikeHistory spikes;
};

/// Runs that go on from a saved state are the same, to the bit, as if they had not been cut, on the
/// same backend and with as many ranks. Several ranks do what one with as many packs does, but for
/// the order in which sums are made. Not thread-safe.
class Trainer {
 public:
  /// `model`, `objective`, `ranks` and `threads` must outlive this; `stream` is the training text,
  /// the same on all ranks.
  Trainer(Trainable& model, const Objective& objective, TokenStream stream,
          const TrainerOptions& options, Communicator& ranks, Threads& threads);

  bool done() const { return state_.step >= options_.schedule.steps; }

  /// The next step. An Error when a shard holds what it may not, and when loss or gradient are not
  /// finite: the weights are then those of the last step, and the sentence names the step and
  /// where its text stands.
  Result<TrainedStep> step();

  /// To be saved.
  TrainingState state() const;
  /// Of all ranks together; to be called on all of them. Views that stay good for as long as this
  /// lives, and `gathered`, which becomes the moments of all where each rank has its own part.
  RunMemory memory(std::optional<Moments>& gathered);
  /// The same to be restored into: no rank waits for another, and `gathered` has those of this rank
  /// alone until they are written.
  RunMemory memory_to_restore(std::optional<Moments>& gathered);
  /// Takes over what was written to `gathered`, before restore().
  void take(const std::optional<Moments>& gathered);
  int64_t moment_bytes() const { return optimizer_.moments().bytes(); }
  int64_t average_bytes() const { return average_ ? average_->bytes() : 0; }

  /// To be restored: first what memory() views is written, and then the rest. Refused when the text
  /// is not that of the saved run.
  Result<void> restore(const TrainingState& state);

  /// Gives the model the mean of its weights, where one is kept, and at the second call its own
  /// weights again. No step in between.
  void exchange_average();

 private:
  struct Batch;
  Result<Batch> read_batch();
  Error not_finite(const Batch& batch, const TrainedStep& report) const;

  Trainable& model_;
  const Objective& objective_;
  TokenStream stream_;
  TrainerOptions options_;
  Communicator& ranks_;
  Threads& threads_;
  GradientExchange exchange_;
  AdamW optimizer_;
  std::optional<WeightAverage> average_;
  SpikeGuard guard_;
  TrainingState state_;
};

/// While it lives, the model has the mean of its weights, where one is kept.
class AverageInUse {
 public:
  explicit AverageInUse(Trainer& trainer) : trainer_(trainer) { trainer.exchange_average(); }
  ~AverageInUse() { trainer_.exchange_average(); }
  AverageInUse(const AverageInUse&) = delete;
  AverageInUse& operator=(const AverageInUse&) = delete;

 private:
  Trainer& trainer_;
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

/// The loss of the next `packs` packs of a stream, fewer where its epoch ends, with the same noise
/// at every call. Ranks share the packs, and all get the sums. An Error when a shard holds what it
/// may not, and when the loss is not finite.
Result<TextLoss> text_loss(Trainable& model, const Objective& objective, TokenStream& stream,
                           int packs, Communicator& ranks);

}  // namespace tidar
