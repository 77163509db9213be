#pragma once
// What a GGUF file says of its network, in the words of a config.json: there is one reader of
// configs (config.h), and this is what it is given.

#include "base/result.h"
#include "format/gguf.h"
#include "format/json.h"

namespace tidar {

/// The config.json that the model of this file would have. Errors: an architecture that is not
/// supported, an entry that is missing or that no config can express. Whether the values make sense
/// is the reader's to check.
///
/// A mask token (entry tokenizer.ggml.mask_token_id) is of masked diffusion, unless the entries
/// tidar.layout and tidar.block_size, which are our own, say more.
Result<Json> config_of_gguf(const Gguf& file);

}  // namespace tidar
