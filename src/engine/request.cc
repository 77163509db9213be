#include "engine/request.h"

#include <algorithm>

namespace tidar {

std::string_view name_of(FinishReason reason) {
  switch (reason) {
    case FinishReason::none:
      return "";
    case FinishReason::stop:
      return "stop";
    case FinishReason::length:
      return "length";
    case FinishReason::context:
      return "context";
    case FinishReason::no_choice:
      return "no_choice";
    case FinishReason::cancelled:
      return "cancelled";
    case FinishReason::deadline:
      return "deadline";
  }
  return "";
}

Result<std::unique_ptr<Decoder>> make_decoder(const Request& request, PagePool& pool,
                                              const EvaluatorLimits& limits) {
  if (request.max_new < 1) {
    return error("the number of new tokens must be at least 1, found {}", request.max_new);
  }
  for (const std::string& stop : request.stop) {
    if (stop.empty()) return error("a stop string must not be empty");
  }
  return make_decoder(request.method, request.sequence, SequenceCache(pool), limits);
}

int useful_rows(const Request& request) {
  return facts_of(request.method).useful_rows(static_cast<int>(request.sequence.prompt.size()));
}

int most_keys(const Request& request, const EvaluatorLimits& limits) {
  const MethodFacts facts = facts_of(request.method);
  const size_t tokens = request.sequence.prompt.size() + static_cast<size_t>(request.max_new);
  return facts.keeps_keys ? keys_of_pass(tokens, facts.draft_keys, limits) : 0;
}

int keys_of_pass(size_t text_tokens, int keys_beyond, const EvaluatorLimits& limits) {
  const int64_t keys = static_cast<int64_t>(text_tokens) + keys_beyond;
  return static_cast<int>(std::min<int64_t>(keys, limits.max_position));
}

}  // namespace tidar
