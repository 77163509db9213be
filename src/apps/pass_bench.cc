#include "apps/pass_bench.h"

#include <algorithm>

#include "base/stopwatch.h"
#include "plan/layouts.h"

namespace tidar {
namespace {

constexpr int kLeastPasses = 3;

}  // namespace

PassSpec tidar_step(int drafts, int cached) {
  return {.name = fmt::format("K = {}", drafts),
          .rows = drafts * (drafts + 1),
          .asked = 2 * drafts,
          .cached = cached,
          .drafts = drafts};
}

PassBench::PassBench(Session& session)
    : session_(session),
      meter_(session.network(), session.key_bytes()),
      pool_(session.network().limits().pages),
      cache_(pool_) {}

std::vector<int32_t> PassBench::random_tokens(int count) {
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  for (int32_t& token : tokens) token = rng_.below(session_.config().vocabulary);
  return tokens;
}

const SequenceCache& PassBench::cached(int keys) {
  if (cache_.length() > keys) cache_.truncate(keys);
  while (cache_.length() < keys) {
    const int rows = std::min(keys - cache_.length(), session_.network().limits().max_rows);
    TIDAR_CHECK(cache_.reserve(cache_.length() + rows));
    pass_.clear();
    pass_.begin_sequence(cache_);
    add_causal(pass_, random_tokens(rows), Keep::page);
    meter_.evaluate(pass_, {});
    cache_.commit(rows);
  }
  return cache_;
}

double PassBench::time(const PassSpec& spec) {
  // A pass that commits may find the keys of its earlier samples; the others find what they name.
  const bool goes_on =
      spec.commits && cache_.length() >= spec.cached && cache_.length() < spec.cached + kPageSlots;
  if (!goes_on) cached(spec.cached);
  const std::vector<int32_t> tokens = random_tokens(spec.rows);
  answers_.resize(static_cast<size_t>(spec.asked));
  const Stopwatch watch;
  TIDAR_CHECK(cache_.reserve(cache_.length() + spec.rows));
  pass_.clear();
  pass_.begin_sequence(cache_);
  spec.drafts > 0 ? carry_out_step(spec, tokens) : carry_out(spec, tokens);
  if (spec.commits) cache_.commit(spec.rows);
  return watch.seconds();
}

void PassBench::carry_out(const PassSpec& spec, std::span<const int32_t> tokens) {
  add_causal(pass_, tokens, Keep::page);
  for (int i = spec.rows - spec.asked; i < spec.rows; ++i) {
    pass_.asks.add({.row = i, .draw = static_cast<uint64_t>(i)});
  }
  meter_.evaluate(pass_, answers_);
}

void PassBench::carry_out_step(const PassSpec& spec, std::span<const int32_t> tokens) {
  const auto drafts = static_cast<size_t>(spec.drafts);
  std::vector<MaskGroup> groups;
  for (int j = 1; j <= spec.drafts; ++j) groups.push_back({.accepted = j, .masks = spec.drafts});
  const int32_t first = add_tidar_step(pass_, tokens.first(drafts), tokens.back(), groups);
  asks_.clear();
  for (int i = 0; i < spec.drafts; ++i) {
    const auto draw = static_cast<uint64_t>(i);
    pass_.asks.add({.row = first + i, .draw = draw});
    asks_.add({.row = groups.back().first_row + i, .draw = drafts + draw});
  }
  const std::span answers(answers_);
  meter_.evaluate(pass_, answers.first(drafts));
  meter_.answer(asks_, answers.last(drafts));
}

double PassBench::flops(const PassSpec& spec) const {
  const ModelConfig& config = session_.config();
  const double rows = spec.rows;
  const double head = double{1} * config.vocabulary * config.hidden;
  // The embedding is looked up, not multiplied with.
  const double tables = config.head == HeadWeight::tied ? head : 2 * head;
  const double body = static_cast<double>(config.parameters()) - tables;
  double keys_seen = 0;
  for (const Sight& sight : pass_.sights) keys_seen += sight.prefix.size() + sight.block.size();
  const double attention = 4.0 * config.layers * config.heads * config.head_size * keys_seen;
  return 2 * rows * body + 2 * spec.asked * head + attention;
}

std::string PassBench::verbs(const PassSpec& spec, const Roofs& roofs) {
  cached(spec.cached);
  time(spec);
  session_.timed_ops()->reset();
  for (int i = 0; i < kLeastPasses; ++i) time(spec);
  return session_.timed_ops()->table(roofs);
}

void PassBench::add_samples(PassTimes& times) {
  constexpr double kShort = 2e-3;  // what passes of a model that lies in caches take
  const double first = time(times.spec);
  if (first > kShort) return times.seconds.add(first);
  const double before = times.seconds.total();
  while (times.seconds.total() - before < kShort) times.seconds.add(time(times.spec));
}

std::vector<PassTimes> PassBench::run(const std::vector<PassSpec>& specs, double seconds,
                                      const std::function<void(int)>& on_round) {
  std::vector<PassTimes> all;
  for (const PassSpec& spec : specs) {
    cached(spec.cached);
    time(spec);
    all.push_back({spec, {}, meter_.pass_bytes(), flops(spec)});
  }
  bool more = true;
  for (int round = 1; more; ++round) {
    on_round(round);
    more = false;
    for (PassTimes& times : all) {
      const bool enough = times.seconds.count() >= kLeastPasses && times.seconds.total() >= seconds;
      if (enough) continue;
      add_samples(times);
      more = true;
    }
  }
  return all;
}

}  // namespace tidar
