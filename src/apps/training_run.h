#pragma once
// A run of training, put together from its config, and what a user sees of it: lines on stderr, the
// files of its folder (apps/run_log.h, train/checkpoint.h). What a step is stands in
// train/trainer.h.

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/backend.h"
#include "apps/command.h"
#include "apps/decoding_check.h"
#include "apps/interrupt.h"
#include "apps/output.h"
#include "apps/run_log.h"
#include "base/result.h"
#include "base/stopwatch.h"
#include "base/threads.h"
#include "comm/communicator.h"
#include "format/folder_lock.h"
#include "model/config.h"
#include "net/trainable.h"
#include "ops/backward.h"
#include "text/tokenizer.h"
#include "train/checkpoint.h"
#include "train/run_config.h"
#include "train/trainer.h"

namespace tidar {

/// The flags of `tidar train`. All that the result depends on stands in the config instead.
struct TrainFlags {
  std::string config;            ///< a file, see train/run_config.h
  std::vector<std::string> set;  ///< "field=value", in place of what it says
  bool resume = false;
  std::optional<int64_t> resume_from;  ///< a step; nothing: the newest
  std::string isa = "best";            ///< one of isa_choices()
  int threads = 0;                     ///< 0: as many as this process may run on
};

/// What some steps of a run showed.
struct Trial {
  double step_s = 0;        ///< seconds of a step, on average, without the first one
  double step_tokens = 0;   ///< likewise, over all of the text
  double epoch_tokens = 0;  ///< of the text
  double validation_s = 0;  ///< seconds of a validation
  double loss = 0;          ///< on validation text behind the steps, mean over its sets; 0: none
  int64_t memory_bytes = 0;
};

/// One run, of which one object lives at a time: it holds a lock on the folder `out`. Move-only.
class TrainingRun {
 public:
  /// Reads the config and everything that it names, and puts the run where it is to begin: at step
  /// 0, or with --resume at its newest checkpoint, or at that of --resume-from. An Error when the
  /// folder `out` holds checkpoints and the run is not to be resumed, when another program trains
  /// into it, and when anything that the config names cannot be used.
  /// Called on all ranks, of which the first one locks, writes and speaks; `ranks` must outlive the
  /// result.
  static Result<TrainingRun> open(const TrainFlags& flags, Communicator& ranks);

  /// Trains to the end, or until Ctrl-C, and saves a checkpoint then. The value is the program's
  /// exit code. An Error when a loss is not finite (nothing is saved of that step), when text or a
  /// file of `out` cannot be read or written. Where rank 0 alone fails, the others' Error is
  /// without words.
  Result<int> go();

  /// In place of go(): some steps, of which nothing is kept; at least two, and then until `steps`
  /// are done or `seconds` over. Validation is read once behind them if there is any.
  Result<Trial> try_out(int64_t steps, double seconds);

 private:
  struct Pace;  // what was done since the last line of the log

  explicit TrainingRun(Communicator& ranks) : ranks_(ranks) {}
  Result<void> open_model(const TrainFlags& flags);
  Result<void> open_texts();  // behind open_model: texts must fit the model
  /// From the checkpoint of a step, or from the newest; newer ones are left behind.
  Result<void> resume(std::optional<int64_t> from);
  /// The Error of a checkpoint that cannot be restored, and which older one can.
  Error broken(const Checkpoint& checkpoint, const RunMemory& memory, const Error& why) const;

  /// A note of the first rank.
  void say(std::string_view text) const;
  /// What the first rank alone does; all learn whether it could.
  Result<void> on_first_rank(const std::function<Result<void>()>& body);
  /// Of all ranks.
  int step_packs() const;

  std::vector<MemoryUse> memory() const;
  int64_t memory_bytes() const;
  void describe() const;
  /// What products reach at best on these threads, for the share of it that training reaches.
  void measure_roof();
  /// One line of log.jsonl; show() is what a terminal sees of the same.
  Result<void> log_step(const TrainedStep& report, const Pace& pace);
  void show(const TrainedStep& report, const Pace& pace, Progress& progress) const;
  Result<TextLoss> loss_on(const Objective& objective,
                           const std::vector<std::filesystem::path>& shards);
  /// The mean of each term, and of the AR loss, on validation text.
  Result<OrderedJson> losses_on(const std::vector<std::filesystem::path>& shards);
  /// Of training, on validation text: the mean over its sets.
  Result<double> validation_loss();
  /// Those, and how well the model drafts (apps/decoding_check.h), shown and logged.
  Result<void> validate();
  /// How well the model drafts, for both.
  Result<void> try_drafts(OrderedJson& line, std::string& text);
  /// Whether what `measure` names is better than ever before, in the line of a validation.
  Result<bool> is_best(const OrderedJson& line, BestStep& best) const;
  /// How checkpoints have the adapter; nothing where the weights themselves are trained.
  std::optional<SavedAdapter> saved_adapter() const;
  /// A checkpoint of the last step; removes those that are too many.
  Result<void> save();

  Communicator& ranks_;
  RunConfig config_;
  std::string config_text_;  // kept in every checkpoint
  ModelConfig model_config_;
  std::string config_json_;       // of the folder that it began with; or ""
  std::optional<BestStep> best_;  // by config_.best
  std::optional<Tokenizer> tokenizer_;
  std::map<std::string, std::vector<std::filesystem::path>> validation_;
  std::vector<NumberedPrompt> prompts_;
  std::vector<ParameterUpdate> updates_;
  double product_gflops_ = 0;  // 0: not measured
  std::string text_note_;      // what there is to read
  int64_t epoch_tokens_ = 0;
  double step_tokens_ = 0;  // of a step, on average
  int64_t began_at_ = 0;    // step after which go() began
  Stopwatch training_;      // since then

  // Each after those that it uses, so that it ends before them.
  std::unique_ptr<Threads> threads_;
  Backend backend_;
  std::unique_ptr<BackwardOps> backward_;
  std::unique_ptr<Trainable> model_;
  std::unique_ptr<Objective> objective_;
  std::unique_ptr<Objective> measured_;  // by validation
  std::unique_ptr<Objective> ar_;        // for validation, where the objective has no AR term
  std::unique_ptr<Trainer> trainer_;
  std::optional<RunLog> log_;
  std::optional<FolderLock> lock_;  // of `out`
};

}  // namespace tidar
