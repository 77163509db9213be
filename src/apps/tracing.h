#pragma once
// `tidar generate --trace`: records how a model drafts the texts that it has written.

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "apps/session.h"
#include "apps/trace_file.h"
#include "base/result.h"
#include "engine/request.h"

namespace tidar {

class Tracing {
 public:
  /// Rows of a pass with which a text is traced at a good speed.
  static constexpr int kRows = 512;

  /// Begins a file; none where `path` is "", and add() and end() then do nothing. An Error when it
  /// cannot be written, and for a request whose guesses depend on more than where they stand: that
  /// does not go by TiDAR at trust 1, or that counts what was said.
  static Result<Tracing> begin(const std::string& path, const Request& request,
                               const Session& session);

  bool on() const { return writer_.has_value(); }

  /// Adds an answer to the prompt of `spec`; one without tokens is left out. No page of the
  /// evaluator may be in use; it has pages for the text.
  Result<void> add(Evaluator& evaluator, const SequenceSpec& spec, std::span<const int32_t> answer);

  /// The file appears.
  Result<void> end();

 private:
  std::optional<TraceWriter> writer_;
  int draft_length_ = 0;
  int texts_ = 0;
};

}  // namespace tidar
