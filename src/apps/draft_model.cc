#include "apps/draft_model.h"

#include <algorithm>

#include "decode/model_drafter.h"

namespace tidar {
namespace {

/// Rows in which a long prompt is read at once.
constexpr int kPromptRows = 512;

}  // namespace

Result<std::unique_ptr<DraftModel>> DraftModel::attach(const std::string& folder, ModelFlags target,
                                                       int sequences, Request& request) {
  auto* const speculative = std::get_if<SpeculativeOptions>(&request.method);
  if (speculative == nullptr) return std::unique_ptr<DraftModel>();
  target.model = folder;
  target.context = 0;
  TIDAR_TRY(Session session, Session::open(target));
  std::unique_ptr<DraftModel> model(new DraftModel(std::move(session)));
  const EvaluatorLimits limits{.max_position = model->session_.config().max_positions};
  const auto prompt = static_cast<int>(request.sequence.prompt.size());
  // Its first pass reads the prompt and the token behind it.
  TIDAR_TRY_VOID(model->session_.build_network(std::min(prompt + 1, kPromptRows),
                                               sequences * most_keys(request, limits)));
  Network& network = model->session_.network();
  model->pool_ = std::make_unique<PagePool>(network.limits().pages);
  speculative->drafters = model_drafters(network, *model->pool_);
  return model;
}

}  // namespace tidar
