#pragma once
// A model written as a Hugging Face folder whose matrices are codes, in the form pack-quantized of
// compressed-tensors.

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/folder_parts.h"
#include "base/result.h"
#include "base/threads.h"
#include "model/config.h"
#include "model/weights.h"
#include "net/weight_formats.h"

namespace tidar {

/// How one tensor of a model is written.
struct TensorPlan {
  WeightSpec spec;
  WeightFormat format = WeightFormat::f32;  ///< what packing it would make of it
  /// Whether its codes are written. Embedding and head are not, as other loaders want them plain,
  /// nor are matrices whose inputs are no multiple of 32, or whose format has no codes: those stay
  /// as they are stored, or are f32 where they are stored as codes.
  bool as_codes = false;
};

/// In the order of the weight table.
std::vector<TensorPlan> plan_quantized(const ModelConfig& config, const WeightFormats& formats);

/// What `write_quantized_folder` was asked for.
struct QuantizedFolderJob {
  std::filesystem::path model;  ///< a folder, or a GGUF file
  std::filesystem::path out;
  const ModelConfig& config;
  const ModelWeights& weights;
  Threads& threads;
  /// Called before each tensor; false ends the work.
  std::function<bool(size_t done, size_t of, std::string_view tensor)> proceed;
};

struct WrittenFolder {
  bool finished = false;     ///< proceed() never said no; otherwise nothing was written
  int64_t weight_bytes = 0;  ///< of model.safetensors
  Neighbours beside;         ///< files beside it
};

/// Writes config.json, model.safetensors, and what stands beside them, or, of a GGUF file, the
/// tokenizer's files that it has in it. `out` appears whole or not at all. Memory: codes, or
/// decoded rows, of one tensor. The codes are those that packing the model's own weights in these
/// formats would make: a network has the same bits from either.
Result<WrittenFolder> write_quantized_folder(const QuantizedFolderJob& job,
                                             const std::vector<TensorPlan>& plan);

}  // namespace tidar
