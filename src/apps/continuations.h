#pragma once
// Texts that continue the prompts of a file, several samples of each, some at a time in one engine:
// what `tidar generate --prompts` writes.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/prompts.h"
#include "apps/session.h"
#include "base/result.h"
#include "base/sampling.h"
#include "engine/engine.h"
#include "engine/request.h"

namespace tidar {

/// One sample of what continues a prompt.
struct Continuation {
  const NumberedPrompt* prompt = nullptr;  ///< of its plan
  int sample = 0;
  uint64_t seed = 0;
  std::string text{};
  std::vector<TokenLogprob> tokens{};
  std::vector<Explanation> explained{};  ///< its passes, where the request wants that
  FinishReason finish = FinishReason::none;
  RequestStats stats{};
};

struct ContinuationPlan {
  std::vector<NumberedPrompt> prompts;
  int samples = 1;   ///< of each prompt
  int together = 1;  ///< that share passes; no text depends on it
  /// What all have in common. The prompt is not used, and the seed is that of all: each sample
  /// draws from one of its own.
  Request request;

  int64_t all() const { return static_cast<int64_t>(prompts.size()) * samples; }
};

/// The seed of a sample of the prompt in line `line`: of the first, sample 0, `seed` + line - 1; of
/// further ones seed_of_sample() (eval/run.h).
uint64_t seed_of(uint64_t seed, int64_t line, int sample);

/// What a network needs for the plan, whose request it gives the longest prompt.
Room room_for(ContinuationPlan& plan, const ModelConfig& config);

/// How the run is fed and watched; empty functions are not called.
struct ContinuationHooks {
  /// Whether a sample is there already, and is not made again.
  std::function<bool(const NumberedPrompt& prompt, int sample)> have{};
  /// A prompt that the engine refuses; its samples are left out.
  std::function<void(const NumberedPrompt& prompt, const std::string& problem)> refused{};
  /// After each step, with the new tokens that it brought.
  std::function<void(int64_t tokens)> stepped{};
  std::function<bool()> stopped{};  ///< whether to end before the next step
};

/// Hands every sample to `use` when it ends, whose first Error ends the run. Those under way when
/// it is stopped are cancelled, and lost. `engine` must be idle, and have pages for plan.together
/// of them; no more than these are active from then on (Engine::limit_active()).
Result<void> continue_prompts(Engine& engine, const ContinuationPlan& plan,
                              const std::function<Result<void>(Continuation)>& use,
                              const ContinuationHooks& hooks);

}  // namespace tidar
