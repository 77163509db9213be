#pragma once
// For tests: carries decoders through passes as the head of decoder.h says.

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

/// A decoder and what it has put out.
struct Driven {
  std::unique_ptr<Decoder> decoder;
  int wanted = 0;  ///< tokens; a pass may bring more, which stay
  std::vector<TokenLogprob> output{};
  std::vector<PageId> pages{};  ///< of its last pass

  bool done() const {
    return decoder->full() || decoder->failed() || static_cast<int>(output.size()) >= wanted;
  }
  std::vector<int32_t> tokens() const {
    std::vector<int32_t> out;
    for (const TokenLogprob& token : output) out.push_back(token.token);
    return out;
  }
};

/// Rows for the next decoder, of those that the pass has left.
using RowBudget = std::function<int(int left)>;

inline int every_row(int left) { return left; }

/// One pass of all that are not done. False when none could go on.
inline bool drive_pass(Evaluator& evaluator, Pass& pass, std::span<Driven* const> all,
                       const RowBudget& budget = every_row) {
  pass.clear();
  std::vector<Driven*> inside;
  std::vector<size_t> first_ask;
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
    const auto committed = driven.decoder->committed();
    driven.output.insert(driven.output.end(), committed.begin(), committed.end());
  }
  for (Driven* driven : inside) {
    const auto asks = driven->decoder->more_asks();
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
