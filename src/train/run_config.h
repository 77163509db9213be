#pragma once
// What a training run is: the file that `tidar train --config` reads, one flat JSON object. Fields
// that are left out have the defaults below, where a comment names no other; a field that is not
// known is an Error.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/result.h"
#include "model/adapter.h"
#include "ops/weight_format.h"
#include "train/objective.h"
#include "train/optimizer.h"
#include "train/packing.h"
#include "train/parameter_rules.h"
#include "train/schedule.h"

namespace tidar {

/// How TiDAR is trained where the file says no more; docs/training.md has the evidence.
enum class Recipe : uint8_t {
  mixed,  ///< alpha 4, blocks that start anywhere and end whole, of K tokens, half as many, a
          ///< quarter … down to 4
  paper,  ///< as arXiv 2511.08923 describes it: alpha 1, aligned blocks of one size, cut at the end
};

/// Gives "alpha", "block_start", "block_end" and "block_sizes" the recipe's values, in options that
/// have their defaults: those are the paper's. Of objectives other than tidar nothing changes.
void follow(Recipe recipe, ObjectiveOptions& options);

/// "lora": low-rank matrices that are trained in place of the weights, which stay as they are. Its
/// fields "r", "lora_alpha", "target_modules" and "use_rslora" are PEFT's (model/adapter.h).
struct LoraRun {
  AdapterConfig adapter;  ///< with "rows": "all" or "masks"; its mask token is not set yet
  /// "merge": whether checkpoints have their product in the weights, or beside them as a PEFT
  /// folder. One of mask rows cannot be merged, and is not by default.
  bool merges = true;
};

/// Paths are relative to the folder in which the program runs.
struct RunConfig {
  std::filesystem::path out;  ///< "out": folder of checkpoints and logs

  // The model: either weights to go on from, or a config.json for random ones.
  std::filesystem::path init;          ///< "init": Hugging Face folder
  std::filesystem::path model_config;  ///< "model_config": a config.json
  std::filesystem::path tokenizer;     ///< "tokenizer": folder; default: init

  // The loss.
  std::string objective_text = "ar";  ///< "objective": ar, tidar:K, block:K, masked
  /// That, with "recipe" ("mixed", or "paper"; see follow()), "alpha", "place_decay", "target" (an
  /// object: "kind" ("l1", "kl"), "share"), "masking" ("full", "random"), "block_start" ("aligned",
  /// "random", "anchors"), "block_end" ("cut", "whole", "end_tokens"), "block_sizes",
  /// "block_stages" (sizes by step), "prompts" ("learnt", "given"), "noise" (two levels),
  /// "label_shift" ("none", "one"), "padding".
  ObjectiveOptions objective;
  std::string mask_token;  ///< "mask_token": an id, or the text of a token; "": the checkpoint's
  std::string end_token;   ///< "end_token": likewise; "": the first of the model's

  // The data.
  std::vector<std::filesystem::path> train;                              ///< "train": token shards
  std::map<std::string, std::vector<std::filesystem::path>> validation;  ///< "validation": by name
  /// "repeat": how often an epoch reads a shard of "train", by its name there: 2.5, 0.1. Else once.
  std::map<std::string, double> repeat;
  int sequence = 512;  ///< "sequence": tokens of a pack
  int packs = 8;       ///< "packs": of a step and rank, each a pass; gradients are summed up
  Packing packing = Packing::filled;  ///< "packing": "filled" or "whole", see packing.h
  uint64_t seed = 0;                  ///< "seed": of random weights, shuffle and noise

  // The optimizer.
  double epochs = 0;     ///< "epochs": how often the text is read, in place of "steps"; or 0
  Schedule schedule;     ///< "steps", "schedule" (cosine, linear, wsd), "learning_rate",
                         ///< "final_learning_rate" (default: a tenth of it), "warmup_steps"
                         ///< (default: a hundredth of the steps), "decay_steps"; where "epochs"
                         ///< are given, without steps until set_steps()
  AdamWOptions adamw;    ///< "beta1", "beta2", "epsilon", "weight_decay", "moments" ("f32",
                         ///< "8bit")
  ParameterRules rules;  ///< "frozen", "no_decay", "rates"
  std::optional<LoraRun> lora;
  double ema = 0;            ///< "ema": decay of the mean of weights that is kept; 0: none
  double clip = 1;           ///< "clip": largest norm of gradients; 0: any
  double spike_factor = 10;  ///< "spike_factor", see spike_guard.h; 0: no guard
  WeightFormat compute = WeightFormat::f32;  ///< "precision": "f32" or "bf16"; masters are f32
  double activation_gib = 1;  ///< "activation_gib": for what is kept of layers, else it is computed
                              ///< a second time
  double logit_gib = 0.25;    ///< "logit_gib": for logits, so many rows at a time

  // What is measured and kept meanwhile. 0: never, but for checkpoints, of which the last is kept.
  int64_t validate_every = 500;      ///< "validate_every": steps
  int validation_packs = 32;         ///< "validation_packs": of each set, at most
  std::filesystem::path prompts;     ///< "prompts_file": JSONL, {"prompt": text}, to be continued
  int prompt_count = 32;             ///< "prompt_count": of these, at most
  int samples = 3;                   ///< "samples": continuations that are written down
  int max_new = 256;                 ///< "max_new": tokens of a continuation, at most
  std::vector<int> draft_lengths;    ///< "draft_lengths": default: tidar's block size
  int64_t checkpoint_every = 500;    ///< "checkpoint_every": steps
  int keep = 2;                      ///< "keep": this many newest checkpoints
  std::string best;                  ///< "best": a number of the validation's log lines, such as
                                     ///< "held.ar" or "draft_8.tokens_per_pass"; the checkpoint
                                     ///< where it was best is kept, too
  DType saved_weights = DType::f32;  ///< "weights": type of model.safetensors; "f32" or "bf16"
  int64_t log_every = 10;            ///< "log_every": steps, at least 1
};

/// The text of such a file, with fields set anew: "steps=100", "objective=tidar:8",
/// "block_sizes=[4,8]". What is not JSON is a text. An Error names a setting without a field.
Result<std::string> with_fields(std::string_view json, const std::string& where,
                                std::span<const std::string> settings);

/// Parses the text of such a file. `where` names it in errors.
Result<RunConfig> parse_run_config(std::string_view json, const std::string& where);

/// Of a run whose length is given in epochs: so many steps, of which the first hundredth are the
/// warm-up unless the file names one. An Error when the schedule makes no sense with them.
Result<void> set_steps(RunConfig& run, int64_t steps);

}  // namespace tidar
