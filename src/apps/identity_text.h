#pragma once
// What identities of runs (eval/run_identity.h) say of flags and of how a model is computed: where
// two texts are the same, so are the results, as far as these decide. They say neither device nor
// kernels.

#include <string>

#include "apps/method_flags.h"
#include "apps/session.h"
#include "base/sampling.h"

namespace tidar {

std::string text_of(const MethodFlags& method);
/// "temperature 0.8, top-k 0, …"
std::string text_of(const Sampling& sampling);
/// "weights bf16, products bf16, keys bf16", and where a flag names an adapter its fingerprint.
Result<std::string> computing_text(const Session& session);

}  // namespace tidar
