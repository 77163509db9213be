#include "apps/decode_bench.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "apps/ids.h"
#include "apps/method_list.h"
#include "apps/output.h"
#include "base/stopwatch.h"

namespace tidar {
namespace {

constexpr int kLeastRounds = 3;
/// Rows of a pass, as far as there are not more texts: as a server would have them. Groups that
/// find no room in it are left out.
constexpr int kPassRows = 512;
/// Reading prompts may take so many times as long as what is counted.
constexpr double kMostOverhead = 5;

int32_t mask_for(const ModelConfig& config) {
  const int known = known_mask_token(-1, config);
  return known >= 0 ? known : config.vocabulary - 1;
}

std::vector<DraftTrace> in_vocabulary(const TraceFile& trace, int vocabulary, int32_t mask_token) {
  std::vector<DraftTrace> texts;
  for (const DraftTrace& text : trace.texts) {
    texts.push_back(text.in_vocabulary(vocabulary, mask_token));
  }
  return texts;
}

}  // namespace

std::vector<DecodingSpec> decoding_specs(const std::vector<Method>& methods,
                                         std::span<const int32_t> batches) {
  std::vector<DecodingSpec> specs;
  for (const int32_t batch : batches) {
    for (const Method& method : methods) specs.push_back({method, batch});
  }
  return specs;
}

Result<Room> room_for(const std::vector<DecodingSpec>& specs, const TraceFile& trace,
                      const ModelConfig& config) {
  Room room{.rows = kPassRows};
  int longest_draft = 0;
  for (const DecodingSpec& spec : specs) {
    const int length = draft_length_of(spec.method);
    const bool has_masks = facts_of(spec.method).needs_mask;
    if (has_masks && length > trace.draft_length()) {
      return error("--draft-length {}: the drafts of the trace have {} tokens; record longer ones",
                   length, trace.draft_length());
    }
    longest_draft = std::max(longest_draft, length);
    room.sequences = std::max(room.sequences, spec.batch);
  }
  room.rows = std::max(room.rows, room.sequences);
  room.keys_each = trace.longest() + longest_draft;
  if (room.keys_each > config.max_positions) {
    return error("the trace has a text of {} tokens, and the model {} positions: too few for it",
                 trace.longest(), config.max_positions);
  }
  if (config.vocabulary < 3) return error("a vocabulary of {} is too small", config.vocabulary);
  return room;
}

/// One of those that take turns. Its engine is its own: what guesses taught, and what passes cost,
/// stays from turn to turn.
struct DecodeBench::Contender {
  DecodingTimes times;
  std::unique_ptr<Engine> engine;
  double wall_s = 0;  // of its turns, the reading of prompts included

  bool done(double seconds) const {
    const bool spent = times.seconds >= seconds || wall_s >= kMostOverhead * seconds;
    return spent && times.tokens_per_s.count() >= kLeastRounds;
  }
};

DecodeBench::DecodeBench(Session& session, const TraceFile& trace,
                         const std::optional<EnginePrices>& prices)
    : mask_token_(mask_for(session.config())),
      texts_(in_vocabulary(trace, session.config().vocabulary, mask_token_)),
      prices_(prices),
      meter_(session.network(), session.key_bytes()),
      played_(meter_, texts_) {
  meter_.on_pass = [this](const Pass& pass) { rows_ = pass.rows(); };
}

Result<std::vector<DecodingTimes>> DecodeBench::run(const std::vector<DecodingSpec>& specs,
                                                    double seconds,
                                                    const std::function<void(int)>& on_turn) {
  std::vector<Contender> contenders;
  for (const DecodingSpec& spec : specs) {
    Contender contender;
    contender.times.spec = spec;
    contender.engine = std::make_unique<Engine>(played_);
    if (prices_ && goes_by_prices(spec.method)) {
      contender.engine->set_prices(prices_->prices, prices_->use);
    }
    contenders.push_back(std::move(contender));
  }
  const auto done = [&](const Contender& contender) { return contender.done(seconds); };
  // Short texts of a small batch need many rounds; a large one does not take turns in all of them.
  const auto batch_done = [&](int batch) {
    return std::all_of(contenders.begin(), contenders.end(), [&](const Contender& contender) {
      return contender.times.spec.batch != batch || done(contender);
    });
  };
  for (int round = 1; !std::all_of(contenders.begin(), contenders.end(), done); ++round) {
    std::map<int, double> ar;                          // tokens a second, by batch
    std::vector<std::pair<Contender*, double>> rates;  // of this round
    std::set<int> batches_done;
    for (const Contender& contender : contenders) {
      if (batch_done(contender.times.spec.batch)) batches_done.insert(contender.times.spec.batch);
    }
    for (Contender& contender : contenders) {
      DecodingTimes& times = contender.times;
      const int batch = times.spec.batch;
      if (batches_done.contains(batch)) continue;
      on_turn(round);
      const auto first_text = static_cast<size_t>(round - 1) * static_cast<size_t>(batch);
      const auto found = turn(contender, first_text, seconds / kLeastRounds);
      if (!found && round >= kLeastRounds && times.tokens_per_s.count() == 0) {
        return error("--batch {}: texts of the trace end before so many of them have begun", batch);
      }
      if (!found) continue;
      times.tokens_per_s.add(*found);
      if (is_ar(times.spec.method)) ar[batch] = *found;
      rates.emplace_back(&contender, *found);
    }
    for (const auto& [contender, found] : rates) {
      DecodingTimes& times = contender->times;
      if (const auto of_ar = ar.find(times.spec.batch); of_ar != ar.end()) {
        times.to_ar.add(found / of_ar->second);
      }
    }
  }
  std::vector<DecodingTimes> all;
  for (Contender& contender : contenders) all.push_back(std::move(contender.times));
  return all;
}

std::vector<RequestId> DecodeBench::submit(Engine& engine, const DecodingSpec& spec,
                                           size_t first_text) {
  std::vector<RequestId> ids;
  for (size_t i = 0; i < static_cast<size_t>(spec.batch); ++i) {
    const size_t number = (first_text + i) % texts_.size();
    const DraftTrace& text = texts_[number];
    const auto prompt = text.text().begin();
    Request request;
    request.sequence.prompt.assign(prompt, prompt + text.prompt_tokens());
    request.sequence.sampling.seed = number;  // by which the evaluator knows the text
    request.sequence.mask_token = mask_token_;
    request.method = spec.method;
    request.max_new = text.answer_tokens();
    ids.push_back(engine.submit(std::move(request)).value());
  }
  return ids;
}

std::optional<double> DecodeBench::turn(Contender& contender, size_t first_text,
                                        double most_seconds) {
  const Stopwatch wall;
  Engine& engine = *contender.engine;
  DecodingTimes& times = contender.times;
  const auto batch = static_cast<size_t>(times.spec.batch);
  const std::vector<RequestId> ids = submit(engine, times.spec, first_text);
  std::set<RequestId> begun;  // whose prompts have been read
  double seconds = 0;
  int64_t tokens = 0;
  for (bool ended = false; !ended && (seconds == 0 || seconds < most_seconds);) {
    const bool counts = begun.size() == batch;
    const double choosing_before = engine.choosing_seconds();
    const Stopwatch watch;
    const std::vector<Update> updates = engine.step();
    const double step_s = watch.seconds();
    for (const Update& update : updates) {
      ended = ended || update.finish != FinishReason::none;
      begun.insert(update.id);
      if (counts) tokens += static_cast<int64_t>(update.tokens.size());
    }
    if (!counts) continue;
    seconds += step_s;
    times.steps += 1;
    times.passes += times.spec.batch;
    times.rows += rows_;
    times.choosing_s += engine.choosing_seconds() - choosing_before;
    times.bytes += meter_.pass_bytes();
  }
  for (const RequestId id : ids) engine.cancel(id);
  times.seconds += seconds;
  times.tokens += tokens;
  contender.wall_s += wall.seconds();
  if (seconds == 0) return std::nullopt;
  return static_cast<double>(tokens) / seconds;
}

std::string decodings_table(const std::vector<DecodingTimes>& all) {
  Table table({"method", "K", "groups", "batch", "tokens/s", "+-", "x AR", "a pass", "rows",
               "brought", "choice"});
  for (const DecodingTimes& times : all) {
    const Method& method = times.spec.method;
    const int length = draft_length_of(method);
    table.add(
        {std::string(name_of(method)), length == 0 ? "" : std::to_string(length), groups_of(method),
         std::to_string(times.spec.batch), fmt::format("{:.1f}", times.tokens_per_s.median()),
         fmt::format("{:.0f}%", 100 * times.tokens_per_s.spread()),
         times.to_ar.count() == 0 ? "-" : fmt::format("{:.2f}", times.to_ar.median()),
         fmt::format("{:.2f}", times.tokens_per_pass()),
         fmt::format("{:.1f}", times.rows_per_step()), fmt::format("{:.0f}%", 100 * times.yield()),
         fmt::format("{:.1f}%", 100 * times.choosing_share())});
  }
  return table.text();
}

OrderedJson to_json(const DecodingTimes& times) {
  OrderedJson json;
  put_method(json, times.spec.method);
  json["batch"] = times.spec.batch;
  json["tokens_per_s"] = times.tokens_per_s.median();
  json["spread"] = times.tokens_per_s.spread();
  json["ratio_to_ar"] =
      times.to_ar.count() == 0 ? OrderedJson() : OrderedJson(times.to_ar.median());
  json["tokens_per_pass"] = times.tokens_per_pass();
  json["rows_per_pass"] = times.rows_per_step();
  json["rows_that_brought_a_token"] = times.yield();
  json["choosing_share"] = times.choosing_share();
  json["gb_per_s"] = static_cast<double>(times.bytes) / times.seconds / 1e9;
  json["seconds"] = times.seconds;
  json["tokens"] = times.tokens;
  json["passes"] = times.steps;
  json["samples"] = times.tokens_per_s.count();
  return json;
}

}  // namespace tidar
