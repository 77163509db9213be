#pragma once
// Which token stands for what is not known yet, in a model that never had one.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/config.h"
#include "text/tokenizer.h"
#include "text/tokenizer_writer.h"

namespace tidar {

struct MaskChoice {
  int32_t token = -1;
  std::string why;   ///< for people: "<|mask|>, which is made for it"
  NewToken added{};  ///< where the tokenizer has no such token, and is to get it; or no content
};

/// The token that `named` means, an id or the text of a token; where that is empty the checkpoint's
/// own, else one that no text can have, or that is reserved, and where there is none a new one
/// (new_mask): a token that these texts merely happen not to have is one that the model could not
/// say any more. counts[id] says how often each id stands in the texts, and ids behind its end do
/// not. An Error when the named one or the checkpoint's is outside the vocabulary, begins or ends
/// texts, or stands in them.
Result<MaskChoice> choose_mask(std::string_view named, const ModelConfig& config,
                               const Tokenizer& tokenizer, std::span<const int64_t> counts);

/// A token that is added to the tokenizer, by a usual name that it does not have yet, and where the
/// model has no row for it, to the model (apps/initial_folder.h).
MaskChoice new_mask(const ModelConfig& config, const Tokenizer& tokenizer);

}  // namespace tidar
