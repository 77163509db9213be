#include "apps/continuations.h"

#include <algorithm>
#include <map>
#include <utility>

#include "eval/run.h"

namespace tidar {
namespace {

/// Rows of a pass for each text at least, so that prompts are read at the products' speed.
constexpr int kRowsEach = 16;

class Run {
 public:
  Run(Engine& engine, const ContinuationPlan& plan,
      const std::function<Result<void>(Continuation)>& use, const ContinuationHooks& hooks)
      : engine_(engine), plan_(plan), use_(use), hooks_(hooks) {}

  Result<void> go();

 private:
  /// Submits the next sample that is not there; false when there is none.
  bool submit();
  void next_prompt() {
    ++prompt_;
    sample_ = 0;
  }
  Result<void> take(const Update& update);

  Engine& engine_;
  const ContinuationPlan& plan_;
  const std::function<Result<void>(Continuation)>& use_;
  const ContinuationHooks& hooks_;

  size_t prompt_ = 0;  // the next one
  int sample_ = 0;
  std::map<RequestId, Continuation> running_;
};

bool Run::submit() {
  while (prompt_ < plan_.prompts.size()) {
    if (sample_ == plan_.samples) {
      next_prompt();
      continue;
    }
    const NumberedPrompt& prompt = plan_.prompts[prompt_];
    const int sample = sample_++;
    if (hooks_.have && hooks_.have(prompt, sample)) continue;
    Request request = plan_.request;
    request.sequence.prompt = prompt.ids;
    Sampling& sampling = request.sequence.sampling;
    sampling.seed = seed_of(sampling.seed, prompt.line, sample);
    const uint64_t seed = sampling.seed;
    const auto id = engine_.submit(std::move(request));
    if (id.ok()) {
      running_.emplace(*id, Continuation{.prompt = &prompt, .sample = sample, .seed = seed});
      return true;
    }
    if (hooks_.refused) hooks_.refused(prompt, id.error().message);
    next_prompt();
  }
  return false;
}

Result<void> Run::take(const Update& update) {
  const auto found = running_.find(update.id);
  Continuation& continuation = found->second;
  continuation.text += update.text;
  continuation.tokens.insert(continuation.tokens.end(), update.tokens.begin(), update.tokens.end());
  if (update.explanation) continuation.explained.push_back(*update.explanation);
  if (!update.totals) return {};
  continuation.finish = update.finish;
  continuation.stats = *update.totals;
  Continuation ended = std::move(continuation);
  running_.erase(found);
  return use_(std::move(ended));
}

Result<void> Run::go() {
  // As many again wait, so that one that ends makes room for the next within the same step.
  const auto most = 2 * static_cast<size_t>(plan_.together);
  for (bool more = true; !(hooks_.stopped && hooks_.stopped());) {
    while (more && running_.size() < most) more = submit();
    if (running_.empty()) return {};
    int64_t tokens = 0;
    for (const Update& update : engine_.step()) {
      tokens += static_cast<int64_t>(update.tokens.size());
      TIDAR_TRY_VOID(take(update));
    }
    if (hooks_.stepped) hooks_.stepped(tokens);
  }
  for (const auto& [id, continuation] : running_) engine_.cancel(id);
  return {};
}

}  // namespace

uint64_t seed_of(uint64_t seed, int64_t line, int sample) {
  if (sample == 0) return seed + static_cast<uint64_t>(line) - 1;
  return seed_of_sample(seed, static_cast<uint64_t>(line), static_cast<uint64_t>(sample));
}

Room room_for(ContinuationPlan& plan, const ModelConfig& config) {
  const auto shorter = [](const NumberedPrompt& a, const NumberedPrompt& b) {
    return a.ids.size() < b.ids.size();
  };
  plan.request.sequence.prompt =
      std::max_element(plan.prompts.begin(), plan.prompts.end(), shorter)->ids;
  return {.rows = plan.together * std::max(kRowsEach, useful_rows(plan.request)),
          .sequences = plan.together,
          .keys_each = most_keys(plan.request, {.max_position = config.max_positions})};
}

Result<void> continue_prompts(Engine& engine, const ContinuationPlan& plan,
                              const std::function<Result<void>(Continuation)>& use,
                              const ContinuationHooks& hooks) {
  engine.limit_active(plan.together);
  return Run(engine, plan, use, hooks).go();
}

}  // namespace tidar
