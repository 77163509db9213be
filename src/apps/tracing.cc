#include "apps/tracing.h"

#include <utility>

#include "decode/draft_trace.h"

namespace tidar {

Result<Tracing> Tracing::begin(const std::string& path, const Request& request,
                               const Session& session) {
  Tracing tracing;
  if (path.empty()) return tracing;
  const auto* tidar = std::get_if<TidarOptions>(&request.method);
  if (tidar == nullptr || tidar->trust != 1) {
    return error("--trace records what TiDAR drafts: it needs --method tidar at --trust-ar 1");
  }
  if (request.sequence.penalties.count()) {
    return error("--trace: guesses must not depend on what was said; leave out penalties");
  }
  tracing.draft_length_ = tidar->draft_length;
  TIDAR_TRY(TraceWriter writer,
            TraceWriter::create(path, session.flags().model, session.config().vocabulary));
  tracing.writer_.emplace(std::move(writer));
  return tracing;
}

Result<void> Tracing::add(Evaluator& evaluator, const SequenceSpec& spec,
                          std::span<const int32_t> answer) {
  if (!on() || answer.empty()) return {};
  ++texts_;
  return writer_->add(record_drafts(evaluator, spec, answer, draft_length_));
}

Result<void> Tracing::end() {
  if (!on()) return {};
  if (texts_ == 0) return error("--trace: no answer has a token; there is nothing to record");
  return writer_->commit();
}

}  // namespace tidar
