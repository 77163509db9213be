#pragma once
// Checkpoints of a run: Hugging Face folders, with what is needed to go on.
//
//   OUT/step-00001500/
//     config.json, tokenizer.json, …   so that any tool which knows the family can read it
//     model.safetensors                the weights, F32 or BF16; beside a kept adapter the files of
//                                      its base, if any, as it has them
//     adapter/                         an adapter that is kept, as a PEFT folder (model/adapter.h)
//     optimizer.safetensors            master.NAME of every weight, first.NAME and second.NAME of
//                                      those that are trained, average.NAME where one is kept, F32;
//                                      moments in 8 bits as first_codes.NAME, I8, which are bytes,
//                                      and first_scales.NAME, F32, one for 256 (train/moments.h)
//     training.json                    where the run stands, and a checksum of those tensors
//   OUT/latest -> step-00001500
//   OUT/best -> step-00000500          where a measure of it is kept
//
// A folder appears whole or not at all, and older ones are removed only afterwards: whenever the
// program is killed, the newest folder is good.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/result.h"
#include "model/adapter.h"
#include "model/config.h"
#include "net/parameters.h"
#include "train/optimizer.h"
#include "train/trainer.h"

namespace tidar {

struct Checkpoint {
  int64_t step = 0;
  std::filesystem::path folder;
};

/// The checkpoints of a run, oldest first; none when there is no such folder.
std::vector<Checkpoint> checkpoints_of(const std::filesystem::path& out);

/// Where validation was best so far.
struct BestStep {
  double value = 0;  ///< of the measure
  int64_t step = 0;
};

/// How a checkpoint has the adapter that is trained.
struct SavedAdapter {
  AdapterConfig config;
  bool merges = true;            ///< into the weights; else it is kept beside them
  std::filesystem::path base{};  ///< folder whose weight files stay as they are; "": there is none
};

/// The folder of an adapter that is kept, within the checkpoint's.
inline constexpr const char* kAdapterFolder = "adapter";

/// Views of what goes into a checkpoint.
struct CheckpointContents {
  const ModelConfig& config;
  RunMemory memory;
  TrainingState state;
  std::optional<BestStep> best{};
  std::string config_json{};   ///< the config.json that the model had before; or ""
  DType weights = DType::f32;  ///< of model.safetensors: f32 or bf16
  std::optional<SavedAdapter> adapter{};
  std::filesystem::path tokenizer{};  ///< folder from which the tokenizer's files are copied; or ""
  std::string run{};                  ///< the text of the run's config, kept for who comes later
};

/// Writes a checkpoint, lets `latest` point to it and `best` to the best one, and removes all but
/// that and the `keep` newest. model.safetensors has the average where one is kept, and so has an
/// adapter. One of this step that is there already stays as it is if its optimizer.safetensors
/// holds the same bits, and config.json and training.json would be the same; else it is renamed to
/// "step-NNNNNNNN.left". Weights or moments that are NaN or infinite are an Error, as is a full
/// disk; nothing that was there is lost.
Result<Checkpoint> save_checkpoint(const std::filesystem::path& out,
                                   const CheckpointContents& contents, int keep);

/// What restore_checkpoint() brings besides weights and moments.
struct RestoredRun {
  TrainingState state;
  std::optional<BestStep> best{};  ///< nothing when the checkpoint of that step is gone
  std::string run;                 ///< the text of the config that wrote it
};

/// Whether the checkpoint can be restored into them: all of its tensors are there in their shapes,
/// and have the bytes that were written. An Error says what is damaged, or that the folder holds
/// another model's.
Result<void> check_checkpoint(const Checkpoint& checkpoint, const RunMemory& memory);

/// Reads back what `memory` views, once all of it has been checked; after an Error it is as it was.
Result<RestoredRun> restore_checkpoint(const Checkpoint& checkpoint, const RunMemory& memory);

/// Makes `checkpoint` the newest of its run: `latest` points to it, and newer ones are renamed to
/// "step-NNNNNNNN.left", which nobody reads, until a later call replaces them. `best` goes if its
/// checkpoint is no longer there.
Result<void> leave_newer_behind(const std::filesystem::path& out, const Checkpoint& checkpoint);

}  // namespace tidar
