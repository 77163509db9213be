#include "apps/draft_model.h"

#include <algorithm>

#include "decode/model_drafter.h"

namespace tidar {
namespace {

bool share_tokens(const Session& a, const Session& b) {
  const Tokenizer *const one = a.tokenizer(), *const other = b.tokenizer();
  if (one == nullptr || other == nullptr) return a.config().vocabulary == b.config().vocabulary;
  bool same = one->size() == other->size();
  for (int32_t id = 0; same && id < one->size(); ++id) same = one->bytes(id) == other->bytes(id);
  return same;
}

}  // namespace

Result<std::unique_ptr<DraftModel>> DraftModel::attach(const std::string& folder,
                                                       const Session& target, Room room,
                                                       Request& request) {
  auto* const speculative = std::get_if<SpeculativeOptions>(&request.method);
  if (speculative == nullptr) return std::unique_ptr<DraftModel>();
  ModelFlags flags = target.flags();
  flags.model = folder;
  flags.context = 0;
  flags.adapter.clear();  // it is the other model's
  TIDAR_TRY(Session session, Session::open(flags));
  if (!share_tokens(target, session)) {
    return error(
        "--draft-model {}: its tokens are not those of {}; a draft must be of the same "
        "vocabulary",
        folder, target.flags().model);
  }
  std::unique_ptr<DraftModel> model(new DraftModel(std::move(session)));
  room.rows = std::min(room.keys_each, kPromptRows);
  TIDAR_TRY_VOID(model->session_.build_network(room));
  Network& network = model->session_.network();
  model->pool_ = std::make_unique<PagePool>(network.limits().pages);
  speculative->drafters = model_drafters(network, *model->pool_);
  return model;
}

}  // namespace tidar
