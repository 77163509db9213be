#pragma once
// What a pass was offered, held and brought, as programs read it.

#include "engine/explanation.h"
#include "format/json.h"

namespace tidar {

/// {"decoding", "tokens" (how many), "rows", "asked", "drafted", "accepted", "groups": [{"group",
/// "masks", "used"}, …], "guessed": [{"group", "token", "masks", "used"}, …], "offer": null or
/// {"guesses": [{"chance", "worth"}, …], "groups": [{"group", "masks", "chance", "worth"}, …],
/// "guessed": the same, "granted" (rows)}, "pass": {"rows", "asked", "expected_s" (or null),
/// "seconds"}}
OrderedJson to_json(const Explanation& explanation);

}  // namespace tidar
