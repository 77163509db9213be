#pragma once
// What the Hugging Face folders that this program writes of a model have in common.

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "format/tensors.h"
#include "model/config.h"
#include "model/weights.h"

namespace tidar {

/// What stands beside a model's weights.
struct Neighbours {
  std::vector<std::string> copied;    ///< by name
  std::vector<std::string> left_out;  ///< folders, and other copies of the weights
};

/// Copies what stands beside config.json and the weights of a folder; of a GGUF file writes the
/// tokenizer's files that it has in it.
Result<Neighbours> write_neighbours(const std::filesystem::path& model,
                                    const std::filesystem::path& folder);

/// The text of the model's config.json, or what it would be of a GGUF file.
Result<std::string> config_json_of(const std::filesystem::path& model, const ModelConfig& config);

/// A tensor that is written as numbers, without its data: of the type in which it is stored, or f32
/// where it is stored as codes.
TensorToWrite as_numbers(const ModelWeights& weights, const WeightSpec& spec);

/// Writes those numbers. Memory: one row.
Result<void> write_numbers(const ModelWeights& weights, const WeightSpec& spec,
                           TensorFileWriter& file);

}  // namespace tidar
