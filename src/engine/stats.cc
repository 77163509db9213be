#include "engine/stats.h"

#include <algorithm>

namespace tidar {

void RequestStats::add(const StepStats& step) {
  new_tokens += step.tokens;
  if (step.decoding) {
    const auto tokens = static_cast<size_t>(step.tokens);
    passes += 1;
    decoded += step.tokens;
    accepted.resize(std::max(accepted.size(), tokens + 1));
    accepted[tokens] += 1;
    rows += step.rows;
    masks += step.masks;
    used_masks += step.used_masks;
    used_groups += step.used_masks > 0 ? 1 : 0;
    guessed_right += step.guessed_right ? 1 : 0;
  }
  places.resize(std::max(places.size(), static_cast<size_t>(step.drafted)));
  for (int i = 0; i < step.drafted; ++i) {
    DraftPlace& place = places[static_cast<size_t>(i)];
    place.drafted += 1;
    place.accepted += i < step.accepted ? 1 : 0;
  }
  drafter_passes += step.drafter_passes;
  prefill_s += step.prefill_s;
  decode_s += step.decode_s;
}

void RequestStats::add(const RequestStats& other) {
  prompt_tokens += other.prompt_tokens;
  cached_tokens += other.cached_tokens;
  new_tokens += other.new_tokens;
  passes += other.passes;
  decoded += other.decoded;
  accepted.resize(std::max(accepted.size(), other.accepted.size()));
  for (size_t i = 0; i < other.accepted.size(); ++i) accepted[i] += other.accepted[i];
  places.resize(std::max(places.size(), other.places.size()));
  for (size_t i = 0; i < other.places.size(); ++i) {
    places[i].drafted += other.places[i].drafted;
    places[i].accepted += other.places[i].accepted;
  }
  drafter_passes += other.drafter_passes;
  rows += other.rows;
  masks += other.masks;
  used_masks += other.used_masks;
  used_groups += other.used_groups;
  guessed_right += other.guessed_right;
  waiting_s += other.waiting_s;
  prefill_s += other.prefill_s;
  decode_s += other.decode_s;
}

DraftPlace RequestStats::guesses() const {
  DraftPlace all;
  for (const DraftPlace& place : places) {
    all.drafted += place.drafted;
    all.accepted += place.accepted;
  }
  return all;
}

}  // namespace tidar
