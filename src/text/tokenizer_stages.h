#pragma once
// The stages around the model of a tokenizer.json: how text is normalised and cut before it, and
// how tokens become text behind it. For tokenizer_json.cc.

#include <optional>
#include <string_view>
#include <vector>

#include "text/bpe.h"
#include "text/decoding.h"
#include "text/json_object.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"

namespace tidar {

/// The elements of a field of the file, {"type": T, …} or nested {"type": "Sequence", `list`: […]},
/// one after another; none when it is absent or null.
Result<std::vector<JsonObject>> elements_of(const JsonObject& file, std::string_view key,
                                            std::string_view list);

Error unsupported_type(const JsonObject& object, std::string_view type, std::string_view known);

Result<Normalizer> read_normalizer(const JsonObject& file);
Result<PreTokenizer> read_pre_tokenizer(const JsonObject& file, BpeUnit unit);
/// Nothing when it is ByteLevel, by which byte-level BPE is known.
Result<std::optional<CharacterDecoding>> read_decoder(const JsonObject& file);

}  // namespace tidar
