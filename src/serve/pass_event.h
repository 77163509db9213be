#pragma once
// The event of a stream that tells what a pass brought one of its outputs: which guesses were
// right, and what stands behind the text for now. Sent only to those that ask for it.

#include <cstdint>
#include <string>

#include "engine/request.h"
#include "format/json.h"
#include "serve/api_response.h"
#include "text/tokenizer.h"

namespace tidar {

enum class RowsTold : uint8_t { no, yes };

/// Rows of a pass, and tokens that are provisional, that are told at most.
inline constexpr size_t kMostRowsTold = 512;
inline constexpr size_t kMostProvisional = 256;

/// {"index", "committed": the texts of new tokens, "rejected": those of guesses that were wrong,
/// "provisional": texts, null where a mask stands, "pass": as engine/explanation_json.h has it,
/// "seen"}. The first pass.accepted of `committed` were guesses. "seen" is null where rows are not
/// told or are too many, else {"cached": keys before those of the rows, "rows": [{"kind", "text"
/// (null: a mask), "position", "group" (whose rows they are), "sees": [[from, to], …]},
/// …]}; kinds are "text", whose token was certain, "draft", "guess", "mask" and "canvas".
///
/// `update` has an explanation.
OrderedJson pass_json(int index, const Update& update, RowsTold rows, int32_t mask_token,
                      const Tokenizer& tokenizer);

/// As it is sent: an event of type "draft", whose data is a chunk without choices.
std::string pass_event(ApiKind kind, const Envelope& envelope, OrderedJson pass);

}  // namespace tidar
