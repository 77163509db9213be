#pragma once
// For tests: carries decoders through passes as the head of decoder.h says.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "decode/ar.h"
#include "decode/tidar.h"

namespace tidar {

/// How the guesses at one place of a draft fared.
struct PlaceCount {
  int64_t drafted = 0;
  int64_t accepted = 0;
  friend bool operator==(const PlaceCount&, const PlaceCount&) = default;
};

/// The sum of reports. Passes that read the prompt count nowhere.
struct Totals {
  int64_t passes = 0;
  int64_t committed = 0;
  std::vector<int64_t> accepted{};   ///< accepted[a]: decoding passes that committed a tokens
  std::vector<PlaceCount> places{};  ///< places[i]: the guess i + 1 places behind a certain token
  int64_t drafter_passes = 0;

  void add(const StepReport& report) {
    if (!report.decoding) return;
    const size_t tokens = report.committed.size();
    accepted.resize(std::max(accepted.size(), tokens + 1));
    ++accepted[tokens];
    ++passes;
    committed += static_cast<int64_t>(tokens);
    drafter_passes += report.drafter_passes;
    places.resize(std::max(places.size(), static_cast<size_t>(report.drafted)));
    for (int i = 0; i < report.drafted; ++i) {
      PlaceCount& place = places[static_cast<size_t>(i)];
      ++place.drafted;
      if (i < report.accepted) ++place.accepted;
    }
  }
};

/// A decoder and what it has put out.
struct Driven {
  std::unique_ptr<Decoder> decoder;
  int wanted = 0;  ///< tokens; a pass may bring more, which stay
  std::vector<TokenLogprob> output{};
  Totals totals{};
  std::vector<PageId> pages{};  ///< of its last pass

  bool done() const { return decoder->ended() || static_cast<int>(output.size()) >= wanted; }
  std::vector<int32_t> tokens() const {
    std::vector<int32_t> out;
    for (const TokenLogprob& token : output) out.push_back(token.token);
    return out;
  }
};

/// Both log-probabilities of the first tokens.
inline void expect_same_logprobs(std::span<const TokenLogprob> a, std::span<const TokenLogprob> b,
                                 size_t count) {
  for (size_t i = 0; i < count; ++i) {
    EXPECT_EQ(a[i].logprob, b[i].logprob);
    EXPECT_EQ(a[i].policy_logprob, b[i].policy_logprob);
  }
}

/// Rows for the next decoder, of those that the pass has left.
using RowBudget = std::function<int(int left)>;

inline int every_row(int left) { return left; }

/// One pass of all that are not done. False when none could go on.
inline bool drive_pass(Evaluator& evaluator, Pass& pass, std::span<Driven* const> all,
                       const RowBudget& budget = every_row) {
  pass.clear();
  std::vector<Driven*> inside;
  std::vector<size_t> first_ask;
  std::vector<int> rows;
  for (Driven* driven : all) {
    const int left = evaluator.limits().max_rows - pass.rows();
    if (driven->done() || left < driven->decoder->min_rows()) continue;
    first_ask.push_back(pass.asks.size());
    const int rows_before = pass.rows();
    const int granted = std::clamp(budget(left), driven->decoder->min_rows(), left);
    const int added = driven->decoder->plan(pass, granted);
    TIDAR_CHECK_EQ(added, pass.rows() - rows_before);
    TIDAR_CHECK_LE(added, granted);
    if (added == 0) {
      first_ask.pop_back();
      continue;
    }
    inside.push_back(driven);
    rows.push_back(added);
    driven->pages = pass.sequences.back().pages;
  }
  if (inside.empty()) return false;

  std::vector<Answer> answers(pass.asks.size());
  evaluator.evaluate(pass, answers);
  first_ask.push_back(answers.size());
  for (size_t i = 0; i < inside.size(); ++i) {
    Driven& driven = *inside[i];
    driven.decoder->take(
        std::span<const Answer>(answers).subspan(first_ask[i], first_ask[i + 1] - first_ask[i]));
    const StepReport& report = driven.decoder->report();
    TIDAR_CHECK_EQ(report.rows, rows[i]);
    driven.output.insert(driven.output.end(), report.committed.begin(), report.committed.end());
    driven.totals.add(report);
  }
  for (Driven* driven : inside) {
    const Asks& asks = driven->decoder->more_asks();
    if (asks.empty() || driven->done()) continue;
    std::vector<Answer> more(asks.size());
    evaluator.answer(asks, more);
    driven->decoder->take(more);
    TIDAR_CHECK(driven->decoder->more_asks().empty());
  }
  return true;
}

/// Passes until all are done.
inline void drive(Evaluator& evaluator, std::span<Driven* const> all,
                  const RowBudget& budget = every_row) {
  Pass pass;
  const auto done = [](const Driven* driven) { return driven->done(); };
  while (!std::all_of(all.begin(), all.end(), done))
    TIDAR_CHECK(drive_pass(evaluator, pass, all, budget));
}

/// The same for one.
inline void drive(Evaluator& evaluator, Driven& one, const RowBudget& budget = every_row) {
  Driven* const all[] = {&one};
  drive(evaluator, all, budget);
}

}  // namespace tidar
