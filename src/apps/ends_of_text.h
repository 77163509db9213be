#pragma once
// Which token ends a text, where a checkpoint leaves a choice.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "apps/corpus_run.h"
#include "base/result.h"
#include "model/config.h"
#include "text/tokenizer.h"

namespace tidar {

struct EndOfText {
  int32_t token = -1;  ///< -1: the model has none
  std::string why;     ///< for people
};

/// The token that `named` means, an id or the text of one, which must be among those of the model's
/// config: at another one decoding would not end. Where that is empty the one of the config; of
/// several the one that the model gives the highest probability behind the first documents of the
/// data, which are read for it if they are text. Also an Error: a config that names a token that
/// the tokenizer does not have.
Result<EndOfText> end_of_text(std::string_view named, const std::filesystem::path& model,
                              const ModelConfig& config, const Tokenizer& tokenizer,
                              const CorpusFlags& data, int threads);

}  // namespace tidar
