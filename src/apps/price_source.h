#pragma once
// Where an engine's prices come from: --prices, a file of the user's cache, or measuring.

#include <optional>
#include <string>

#include "apps/session.h"
#include "base/result.h"
#include "decode/methods.h"
#include "engine/engine.h"
#include "engine/measure_prices.h"

namespace tidar {

/// Prices for an engine, and what becomes of them.
struct EnginePrices {
  Prices prices;
  PriceUse use = PriceUse::follows;
};

/// Measures them on the session's network, which must be built, behind as many cached keys as texts
/// have, as far as there is room. Its pages may hold anything, and hold the same afterwards.
Prices measure_prices_of(const Session& session, double budget_s = PriceMeasuring().budget_s);

/// Whether the method's decoders offer rows that the engine buys by their prices.
bool goes_by_prices(const Method& method);

/// Nothing for methods that do not go by prices, else what the flag says: a file; "none"; or "":
/// the file of this model, this way of computing and this machine in $XDG_CACHE_HOME/tidar or
/// ~/.cache/tidar, which is measured and written where there is none or it cannot be used, and
/// lowered where a short measurement finds passes faster than it says; or "measure", which measures
/// and writes it anew. The session's network must be built.
Result<std::optional<EnginePrices>> engine_prices(const std::string& flag, const Method& method,
                                                  const Session& session);

}  // namespace tidar
