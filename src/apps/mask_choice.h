#pragma once
// Which token stands for what is not known yet, in a model that never had one.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/config.h"
#include "text/tokenizer.h"

namespace tidar {

struct MaskChoice {
  int32_t token = -1;
  std::string why;  ///< for people: "<|mask|>, which is made for it"
};

/// The token that `named` means, an id or the text of a token; where that is empty the checkpoint's
/// own, else one that no text can have, or that is reserved, or at least none of these texts has:
/// counts[id] says how often each id stands in them, and ids behind its end do not. An Error when
/// the named one or the checkpoint's is outside the vocabulary, ends texts, or stands in them, and
/// when every id does.
Result<MaskChoice> choose_mask(std::string_view named, const ModelConfig& config,
                               const Tokenizer& tokenizer, std::span<const int64_t> counts);

}  // namespace tidar
