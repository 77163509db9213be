#pragma once
// The Hugging Face folder that a conversion goes on from, where the model's own files cannot serve
// as they are: because the model is a GGUF file, or because it gets one token more.

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/result.h"
#include "model/config.h"
#include "text/tokenizer_writer.h"

namespace tidar {

struct InitialFolderJob {
  std::filesystem::path model;  ///< a folder, or a GGUF file
  std::filesystem::path out;    ///< what stands there is replaced
  const ModelConfig& config;
  NewToken added{};  ///< a token that the model gets; without content none
};

/// Writes config.json, model.safetensors, and what stands beside them. Matrices that are stored as
/// codes become f32; all others keep their type.
///
/// The added token's id is the first that the tokenizer has no token for. Where that is the
/// vocabulary's size, vocab_size is one more, and so are the rows of the embedding and of a head of
/// its own: as many as there are tokens, not padded to a multiple of anything, which neither this
/// program nor transformers asks for. The new row is the mean of the others. So the token's logit
/// is the mean of theirs: it has no more than its share of probability, 1 / (V + 1), whatever the
/// text (exp is convex), and among themselves all others have what they had.
///
/// `out` appears whole or not at all. Memory: one row.
Result<void> write_initial_folder(const InitialFolderJob& job);

}  // namespace tidar
