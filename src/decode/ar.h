#pragma once
// Autoregressive decoding: one token a pass. What every other method is compared with.

#include <memory>

#include "decode/decoder.h"
#include "decode/method_facts.h"

namespace tidar {

/// There is nothing to choose.
struct ArOptions {
  static constexpr MethodTitle kTitle = {"ar", "one token a pass"};
};

MethodFacts facts_of(const ArOptions& options);

/// `cache` may hold the keys of the first tokens of the prompt, not of all; further pages are taken
/// from its pool as the text grows. Fails as check_spec() does.
Result<std::unique_ptr<Decoder>> make_decoder(const ArOptions& options, SequenceSpec spec,
                                              SequenceCache cache, const EvaluatorLimits& limits);

}  // namespace tidar
