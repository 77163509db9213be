#pragma once
// What `tidar eval` tells of documents (eval/document_runs.h).

#include <string>

#include "eval/document_runs.h"
#include "format/json.h"

namespace tidar {

/// Lines of at most 80 columns: the nll, a row a method, and for each of these that drafts how
/// often the places of its drafts were right.
std::string documents_text(const DocumentSummary& summary);

/// {"done", "all", "scores": {"nll": {"mean", "standard_error", "count"}}, "tokens", "methods":
/// [{"method", "draft_length", "groups", "given": {"texts", "tokens", "passes", "tokens_per_pass",
/// "rows_per_pass", "accepted", "places": [{"guesses", "right"}]}, "own": {the same, "seconds",
/// "tokens_per_s", "ratio_to_ar", "same_as_ar"}}]}
OrderedJson to_json(const DocumentSummary& summary);

}  // namespace tidar
