#pragma once
// What drafts bring on documents: methods read the same texts, and write their own behind the same
// prompts.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/scores.h"
#include "engine/engine.h"
#include "eval/documents.h"
#include "eval/results_file.h"
#include "eval/run.h"
#include "plan/evaluator.h"

namespace tidar {

/// One of the methods that are compared.
struct ComparedMethod {
  Method method;
  std::optional<Prices> prices{};  ///< of passes, where the method goes by them
  PriceUse price_use = PriceUse::fixed;
};

struct DocumentTask {
  std::vector<TextDocument> documents;
  /// The first is AR, with which the others are compared.
  std::vector<ComparedMethod> methods;
  /// What all texts have in common: sampling, mask token, end-of-text tokens, max_new of a method's
  /// own text. Its prompt and method are not used, and its seed is that of the whole run.
  Request request;
};

/// Texts that a method decoded.
struct DecodedTexts {
  int64_t texts = 0;
  /// Of these, as far as results tell: tokens, passes, rows, places; decode_s of own texts alone.
  RequestStats stats{};

  double tokens_per_s() const {
    return stats.decode_s > 0 ? static_cast<double>(stats.decoded) / stats.decode_s : 0;
  }
};

/// One method on all documents that are done.
struct MethodOnDocuments {
  Method method;
  /// While it says the documents' own texts. Nothing of AR, for which it is one token a pass, and
  /// of methods that do not equal it, which could not be held to a text.
  std::optional<DecodedTexts> given{};
  DecodedTexts own{};      ///< while it continues their prompts
  int64_t same_as_ar = 0;  ///< of its own texts, those with the very tokens of AR's
};

struct DocumentSummary {
  int64_t done = 0, all = 0;  ///< documents
  int64_t tokens = 0;         ///< of the texts of those that are done
  Score nll{};                ///< nats a token of the texts behind their prompts; by documents
  std::vector<MethodOnDocuments> methods{};  ///< as in the task
};

/// What a network needs for the task: rows of a pass, and keys of one sequence.
struct DocumentNeeds {
  int rows = 1;
  int keys = 1;
};
DocumentNeeds needs_of(const DocumentTask& task, int max_position);

/// Measures the methods, which take turns document by document, so that a machine that slows down
/// slows all of them; one text at a time. A line of results a method and document; a run goes on
/// with the documents that have no results yet. `evaluator` must have room for needs_of(task). An
/// Error names the document.
Result<DocumentSummary> run_documents(const DocumentTask& task, Evaluator& evaluator,
                                      ResultsFile& results, const RunHooks& hooks);

}  // namespace tidar
