#pragma once
// Measuring methods on documents with a session: what they need is built first.

#include <string>

#include "apps/session.h"
#include "base/result.h"
#include "eval/document_runs.h"

namespace tidar {

/// What methods need beside the model.
struct MethodAids {
  std::string draft_model{};  ///< folder or file; "": no method drafts with one
  std::string prices{};       ///< as apps/price_source.h says
};

/// run_documents() (eval/document_runs.h) on the session's network, which is built for it.
Result<DocumentSummary> measure_documents(Session& session, DocumentTask task,
                                          const MethodAids& aids, ResultsFile& results,
                                          const RunHooks& hooks);

}  // namespace tidar
