#include "engine/request.h"

#include <algorithm>
#include <utility>

#include "decode/ar.h"

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
    case FinishReason::cancelled:
      return "cancelled";
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
  SequenceCache cache(pool);
  if (const auto* tidar = std::get_if<TidarOptions>(&request.method)) {
    return make_tidar(request.sequence, *tidar, std::move(cache), limits);
  }
  return make_ar(request.sequence, std::move(cache), limits);
}

int useful_rows(const Method& method) {
  const auto* tidar = std::get_if<TidarOptions>(&method);
  return tidar == nullptr ? 1 : tidar->draft_length * (tidar->draft_length + 1);
}

bool depends_on_rows(const Method& method) {
  const auto* tidar = std::get_if<TidarOptions>(&method);
  return tidar != nullptr && tidar->trust != 1;
}

int most_keys(const Request& request, const EvaluatorLimits& limits) {
  const auto* tidar = std::get_if<TidarOptions>(&request.method);
  const int64_t drafts = tidar == nullptr ? 0 : tidar->draft_length - 1;
  const int64_t keys =
      static_cast<int64_t>(request.sequence.prompt.size()) + request.max_new + drafts;
  return static_cast<int>(std::min<int64_t>(keys, limits.max_position));
}

}  // namespace tidar
