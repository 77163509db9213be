#include "apps/decoding_check.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "apps/method_flags.h"
#include "cache/pages.h"
#include "engine/engine.h"
#include "net/network.h"

namespace tidar {

namespace {

/// Prompts that are continued side by side: passes then have enough rows for the products to run at
/// full speed.
constexpr int kTogether = 4;

/// Views of the masters of the weights, or of the tensors of their adapter.
std::vector<StoredTensor> masters_of(Trainable& model, bool of_adapter) {
  std::vector<StoredTensor> tensors;
  for (const Parameter& parameter : model.parameters().all()) {
    if ((parameter.spec.part != WeightPart::whole) != of_adapter) continue;
    const Matrix& value = parameter.value;
    tensors.push_back({parameter.spec.name,
                       DType::f32,
                       parameter.spec.shape,
                       {value.data, static_cast<size_t>(value.bytes())},
                       "memory"});
  }
  return tensors;
}

/// What became of all prompts by one method.
struct Continued {
  std::vector<std::vector<int32_t>> texts;
  int64_t decoded = 0;
  int64_t passes = 0;
};

Result<Continued> continue_all(Network& network, std::span<const NumberedPrompt> prompts,
                               Request request) {
  Engine engine(network);
  const uint64_t seed = request.sequence.sampling.seed;
  std::map<RequestId, size_t> place;
  Continued result;
  result.texts.resize(prompts.size());
  for (size_t i = 0; i < prompts.size(); ++i) {
    request.sequence.prompt = prompts[i].ids;
    request.sequence.sampling.seed = seed + i;
    TIDAR_TRY(const RequestId id, engine.submit(request));
    place.emplace(id, i);
  }
  TIDAR_TRY_VOID(run_until_idle(engine, [&](const Update& update) -> Result<void> {
    auto& text = result.texts[place.at(update.id)];
    for (const TokenLogprob& token : update.tokens) text.push_back(token.token);
    if (!update.totals) return {};
    if (update.finish == FinishReason::no_choice) {
      return error("the prompt in line {}: {}", prompts[place.at(update.id)].line, kNoChoice);
    }
    result.decoded += update.totals->decoded;
    result.passes += update.totals->passes;
    return {};
  }));
  return result;
}

/// Room for kTogether of the longest sequences, and rows for all of them.
NetworkOptions options_of(const ModelConfig& config, const Backend& backend,
                          std::span<const NumberedPrompt> prompts,
                          const DecodingCheckOptions& options, const Method& sample_method) {
  size_t longest = 0;
  for (const auto& prompt : prompts) longest = std::max(longest, prompt.ids.size());
  int rows = facts_of(sample_method).rows, draft = 1;
  for (const int length : options.draft_lengths) {
    draft = std::max(draft, length);
    rows = std::max(rows, facts_of(TidarOptions{.draft_length = length}).rows);
  }
  const int keys =
      std::min(config.max_positions, static_cast<int>(longest) + options.max_new + 2 * draft);
  const DType operand = backend.ops->operand(options.weights);
  return {.max_rows = kTogether * rows,
          .pages = kTogether * pages_for(keys),
          .max_position = config.max_positions,
          .weights = options.weights,
          .kv = backend.ops->supports_kv(operand) ? operand : DType::f32};
}

}  // namespace

Result<DecodingCheck> check_decoding(Trainable& model, const Backend& backend,
                                     std::span<const NumberedPrompt> prompts,
                                     const DecodingCheckOptions& options) {
  const ModelConfig& config = model.config();
  std::optional<Adapter> adapter;
  if (model.adapter() != nullptr) {
    adapter = Adapter::of_memory(config, *model.adapter(), masters_of(model, true));
  }
  Method sample_method = ArOptions{};
  if (options.samples > 0 && options.draft_lengths.empty()) {
    TIDAR_TRY(sample_method, make_method({}, config, options.max_new));
  }
  NetworkOptions network_options = options_of(config, backend, prompts, options, sample_method);
  network_options.adapter = adapter ? &*adapter : nullptr;
  TIDAR_TRY(const std::unique_ptr<Network> network,
            Network::build(config, ModelWeights::of_memory(config, masters_of(model, false)),
                           *backend.ops, network_options));
  Request request;
  request.sequence.mask_token = options.mask_token;
  request.max_new = options.max_new;
  request.eos.assign(config.eos_tokens.begin(), config.eos_tokens.end());
  Request sampled = request;
  sampled.sequence.sampling.temperature = 1;
  sampled.sequence.sampling.seed = options.seed;
  DecodingCheck check;
  if (options.draft_lengths.empty()) {
    sampled.method = sample_method;
    const auto first = std::min(prompts.size(), static_cast<size_t>(options.samples));
    TIDAR_TRY(Continued texts, continue_all(*network, prompts.first(first), sampled));
    check.samples = std::move(texts.texts);
    return check;
  }
  TIDAR_TRY(const Continued ar, continue_all(*network, prompts, request));
  for (const int length : options.draft_lengths) {
    request.method = sampled.method = TidarOptions{.draft_length = length};
    TIDAR_TRY(const Continued tidar, continue_all(*network, prompts, request));
    TIDAR_TRY(Continued drawn, continue_all(*network, prompts, sampled));
    DecodedAt at = {.draft_length = length,
                    .tokens = tidar.decoded,
                    .passes = tidar.passes,
                    .prompts = static_cast<int>(prompts.size()),
                    .sampled_tokens = drawn.decoded,
                    .sampled_passes = drawn.passes};
    for (size_t i = 0; i < prompts.size(); ++i) at.same_as_ar += tidar.texts[i] == ar.texts[i];
    check.at.push_back(at);
    check.samples = std::move(drawn.texts);  // the same at every length: those of AR
  }
  check.samples.resize(std::min(check.samples.size(), static_cast<size_t>(options.samples)));
  return check;
}

}  // namespace tidar
