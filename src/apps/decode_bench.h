#pragma once
// Times decoding, steps of the engine, while acceptance is played from a trace of a real model
// (decode/played_evaluator.h). So what TiDAR would bring at some size can be measured before such
// weights exist. Methods take turns, so that a machine that slows down slows down all of them.

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "apps/meter.h"
#include "apps/price_source.h"
#include "apps/samples.h"
#include "apps/session.h"
#include "apps/trace_file.h"
#include "base/result.h"
#include "decode/methods.h"
#include "decode/played_evaluator.h"
#include "engine/engine.h"
#include "format/json.h"

namespace tidar {

/// Texts that are decoded side by side by one method.
struct DecodingSpec {
  Method method;
  int batch = 1;
};

/// What that took and brought, counted over steps in which all of the texts were decoding.
struct DecodingTimes {
  DecodingSpec spec;
  Samples tokens_per_s;  ///< one a round
  Samples to_ar;         ///< by that of ar in the same round and batch; none unless ar came before
  double seconds = 0;
  int64_t tokens = 0;
  int64_t steps = 0;   ///< passes of the network
  int64_t passes = 0;  ///< of texts: steps times batch
  int64_t rows = 0;
  double choosing_s = 0;  ///< of the seconds, on which rows to carry
  int64_t bytes = 0;      ///< of weights, keys and values, that the passes had to read

  double tokens_per_pass() const { return of(tokens, passes); }
  double rows_per_step() const { return of(rows, steps); }
  /// The share of rows that brought a token.
  double yield() const { return of(tokens, rows); }
  double choosing_share() const { return choosing_s / seconds; }

 private:
  static double of(int64_t sum, int64_t count) {
    return static_cast<double>(sum) / static_cast<double>(count);
  }
};

/// Each method with each batch.
std::vector<DecodingSpec> decoding_specs(const std::vector<Method>& methods,
                                         std::span<const int32_t> batches);

/// What a network needs for all of them. An Error where the drafts of the trace are too short, or
/// its texts too long for the model.
Result<Room> room_for(const std::vector<DecodingSpec>& specs, const TraceFile& trace,
                      const ModelConfig& config);

class DecodeBench {
 public:
  /// The session's network must have been built with that room. Both must outlive this.
  DecodeBench(Session& session, const TraceFile& trace, const std::optional<EnginePrices>& prices);

  /// In turn, round after round, each of the specs decodes the next texts of the trace, until one
  /// of these ends or a third of `seconds` is over; until each has taken `seconds` and has at least
  /// three samples. Prompts are read in between, and are not counted; where they take far longer,
  /// samples are fewer. `on_turn` is called before each turn with the number of the round. An Error
  /// when texts are too short to decode so many side by side.
  Result<std::vector<DecodingTimes>> run(const std::vector<DecodingSpec>& specs, double seconds,
                                         const std::function<void(int)>& on_turn);

 private:
  struct Contender;

  /// Tokens a second; nullopt where nothing was counted.
  std::optional<double> turn(Contender& contender, size_t first_text, double most_seconds);
  std::vector<RequestId> submit(Engine& engine, const DecodingSpec& spec, size_t first_text);

  int32_t mask_token_;
  std::vector<DraftTrace> texts_;  // in the model's vocabulary
  std::optional<EnginePrices> prices_;
  Meter meter_;
  PlayedEvaluator played_;
  int rows_ = 0;  // of the last pass
};

/// Lines of at most 80 columns.
std::string decodings_table(const std::vector<DecodingTimes>& all);
OrderedJson to_json(const DecodingTimes& times);

}  // namespace tidar
