#include "apps/document_measurement.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "apps/draft_model.h"
#include "apps/price_source.h"

namespace tidar {

Result<DocumentSummary> measure_documents(Session& session, DocumentTask task,
                                          const MethodAids& aids, ResultsFile& results,
                                          const RunHooks& hooks) {
  const DocumentNeeds needs = needs_of(task, session.config().max_positions);
  const Room room = {.rows = std::max(kReadingRows, needs.rows), .keys_each = needs.keys};
  TIDAR_TRY_VOID(session.build_network(room));
  std::vector<std::unique_ptr<DraftModel>> draft_models;
  for (ComparedMethod& compared : task.methods) {
    Request request = task.request;
    request.method = compared.method;
    TIDAR_TRY(draft_models.emplace_back(),
              DraftModel::attach(aids.draft_model, session, room, request));
    compared.method = std::move(request.method);
    TIDAR_TRY(auto prices, engine_prices(aids.prices, compared.method, session));
    if (!prices) continue;
    compared.prices = std::move(prices->prices);
    compared.price_use = prices->use;
  }
  return run_documents(task, session.network(), results, hooks);
}

}  // namespace tidar
