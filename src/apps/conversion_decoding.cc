#include "apps/conversion_decoding.h"

#include <algorithm>
#include <memory>

#include "apps/document_measurement.h"
#include "apps/documents_report.h"
#include "apps/method_list.h"
#include "eval/document_runs.h"
#include "eval/documents.h"
#include "eval/fingerprint.h"
#include "eval/results_file.h"

namespace tidar {

namespace {

constexpr int kDecodedDocuments = 16;
constexpr int kMostNew = 192;  // tokens of a text of the model's own

/// TiDAR at each draft length that was trained, rows as they pay and all of them, and lookup.
std::vector<Method> methods_of(const ModelConfig& config) {
  std::vector<int32_t> lengths;
  for (int length = config.tidar->block_size; length >= std::min(4, config.tidar->block_size);
       length /= 2) {
    lengths.insert(lengths.begin(), length);
  }
  std::vector<Method> methods = {ArOptions{}};
  const auto add = [&](const std::vector<Method>& more) {
    methods.insert(methods.end(), more.begin(), more.end());
  };
  add(with_draft_lengths(parse_methods("tidar").value(), lengths));
  const std::span longest(&lengths.back(), 1);
  add(with_draft_lengths(parse_methods("tidar:all,lookup").value(), longest));
  return methods;
}

}  // namespace

Result<std::string> decode_held_out(const HeldOutDecoding& what, const RunHooks& hooks) {
  TIDAR_TRY(Session session, Session::open(what.model));
  const ModelConfig& config = session.config();
  DocumentTask task;
  for (Method& method : methods_of(config)) task.methods.push_back({.method = std::move(method)});
  task.request.max_new = kMostNew;
  task.request.sequence.sampling.temperature = what.temperature;
  task.request.sequence.mask_token = config.tidar->mask_token;
  task.request.eos.assign(config.eos_tokens.begin(), config.eos_tokens.end());
  TIDAR_TRY(DocumentSet set,
            read_documents(what.validation.front(), {.tokenizer = session.tokenizer(),
                                                     .vocabulary = config.vocabulary,
                                                     .mask_token = config.tidar->mask_token,
                                                     .longest = config.max_positions,
                                                     .limit = kDecodedDocuments}));
  task.documents = std::move(set.documents);
  TIDAR_TRY(const std::string model, fingerprint_of_model(what.model.model));
  TIDAR_TRY(ResultsFile results, ResultsFile::open(what.results, {{"model", model}}));
  TIDAR_TRY(const DocumentSummary summary,
            measure_documents(session, std::move(task), {}, results, hooks));
  return documents_text(summary);
}

}  // namespace tidar
