#include "eval/monte_carlo_scorer.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "base/rng.h"
#include "base/scores.h"
#include "plan/layouts.h"

namespace tidar {
namespace {

/// A token that one sample has masked.
struct MaskedPlace {
  int32_t position = 0;
  double weight = 0;
};

class MonteCarloScorer final : public TextScorer {
 public:
  MonteCarloScorer(Evaluator& evaluator, const MonteCarloOptions& options)
      : evaluator_(evaluator), options_(options) {
    TIDAR_CHECK_GE(options.samples, 2);
    TIDAR_CHECK_GE(options.mask_token, 0);
    TIDAR_CHECK(options.block_size == 0 || options.shift == LogitShift::none);
  }

  int longest_text() const override {
    const EvaluatorLimits& limits = evaluator_.limits();
    // A sample of blocks holds the text as it is, and once more with masks.
    const int rows = options_.block_size > 0 ? limits.max_rows / 2 : limits.max_rows;
    return std::min(rows, limits.max_position);
  }
  const ScoringCost& cost() const override { return cost_; }
  Result<void> score(const NextGroup& next, const TakeScores& take) override;

 private:
  Result<TextScore> score(const ScoredText& text, uint64_t id);
  Blocks blocks_of(const ScoredText& text) const;
  /// Chooses the masked places of a sample.
  std::vector<MaskedPlace> draw(const ScoredText& text, uint64_t key) const;
  /// Adds samples until the pass is full or `wanted` are in it. Returns how many.
  int plan(const ScoredText& text, uint64_t id, int first, int wanted);
  void add_sample(const ScoredText& text, int32_t begin, std::span<const MaskedPlace> places);

  Evaluator& evaluator_;
  MonteCarloOptions options_;
  ScoringCost cost_;

  // Of the pass under way.
  Pass pass_;
  std::vector<std::vector<MaskedPlace>> samples_;
  std::vector<int32_t> noised_;
  std::vector<Answer> answers_;
};

uint64_t key_of(uint64_t seed, uint64_t id, uint64_t sample) {
  const auto bits = philox(seed, id, sample);
  return uint64_t{bits[0]} << 32 | bits[1];
}

Blocks MonteCarloScorer::blocks_of(const ScoredText& text) const {
  const int size = options_.block_size;
  if (size == 0) return Blocks(static_cast<int>(text.tokens.size()));
  if (options_.borders == BlockBorders::multiples) return Blocks(size);
  return Blocks(size, (text.from - 1) % size + 1);
}

std::vector<MaskedPlace> MonteCarloScorer::draw(const ScoredText& text, uint64_t key) const {
  Rng rng(key);
  const Blocks blocks = blocks_of(text);
  const auto size = static_cast<int32_t>(text.tokens.size());
  std::vector<MaskedPlace> places;
  for (int32_t begin = text.from; begin < size;) {
    const int32_t end = blocks.around(begin, size).to;
    std::vector<int32_t> positions(static_cast<size_t>(end - begin));
    std::iota(positions.begin(), positions.end(), begin);
    const int count = end - begin;
    const int masked = 1 + rng.below(count);
    for (int i = 0; i < masked; ++i) {
      std::swap(positions[static_cast<size_t>(i)],
                positions[static_cast<size_t>(i + rng.below(count - i))]);
      places.push_back({positions[static_cast<size_t>(i)], double(count) / masked});
    }
    begin = end;
  }
  return places;
}

void MonteCarloScorer::add_sample(const ScoredText& text, int32_t begin,
                                  std::span<const MaskedPlace> places) {
  noised_ = text.tokens;
  for (const MaskedPlace& place : places) {
    noised_[static_cast<size_t>(place.position)] = options_.mask_token;
  }
  int32_t first_row = 0;  // of position `begin`
  if (options_.block_size == 0) {
    pass_.begin_sequence();
    first_row = add_bidirectional(pass_, noised_);
  } else {
    const Blocks blocks = blocks_of(text);
    const auto size = static_cast<int32_t>(noised_.size());
    const int32_t shift = pass_.next_key() - begin;
    first_row = pass_.rows();
    for (int32_t i = begin; i < size; ++i) {
      const KeyRange block = blocks.around(i, size);
      pass_.add_row(noised_[static_cast<size_t>(i)], i,
                    {{0, block.from}, {block.from + shift, block.to + shift}}, Keep::scratch);
    }
  }
  const int back = options_.shift == LogitShift::one ? 1 : 0;
  for (const MaskedPlace& place : places) {
    Ask ask;
    ask.kind = AskKind::score;
    ask.row = first_row + place.position - begin - back;
    ask.token = text.tokens[static_cast<size_t>(place.position)];
    pass_.asks.add(ask);
  }
}

int MonteCarloScorer::plan(const ScoredText& text, uint64_t id, int first, int wanted) {
  pass_.clear();
  samples_.clear();
  const auto size = static_cast<int32_t>(text.tokens.size());
  int32_t begin = 0;
  if (options_.block_size > 0) {
    // The finished text is read once for all samples of the pass.
    const Blocks blocks = blocks_of(text);
    begin = blocks.around(text.from, size).from;
    pass_.begin_sequence();
    if (options_.keys == BlockKeys::causal) {
      add_causal(pass_, text.tokens, Keep::scratch);
    } else {
      add_block_causal(pass_, text.tokens, blocks);
    }
  }
  const int room = (evaluator_.limits().max_rows - pass_.rows()) / (size - begin);
  const int count = std::min(room, wanted);
  for (int i = 0; i < count; ++i) {
    samples_.push_back(draw(text, key_of(options_.seed, id, static_cast<uint64_t>(first + i))));
    add_sample(text, begin, samples_.back());
  }
  return count;
}

Result<TextScore> MonteCarloScorer::score(const ScoredText& text, uint64_t id) {
  const auto size = static_cast<int>(text.tokens.size());
  if (text.from < 1 || text.from >= size) {
    return error("a text of {} tokens has none to score from token {} on", size, text.from);
  }
  if (size > longest_text()) {
    return error("a text of {} tokens does not fit: there is room for {}", size, longest_text());
  }
  std::vector<double> logprobs;
  while (static_cast<int>(logprobs.size()) < options_.samples) {
    const int done = static_cast<int>(logprobs.size());
    TIDAR_CHECK_GE(plan(text, id, done, options_.samples - done), 1);
    answers_.resize(pass_.asks.size());
    evaluator_.evaluate(pass_, answers_);
    ++cost_.passes;
    cost_.rows += pass_.rows();
    size_t answer = 0;
    for (const auto& places : samples_) {
      double sum = 0;
      for (const MaskedPlace& place : places) {
        const float logprob = answers_[answer++].logprob;
        if (!std::isfinite(logprob)) return not_finite();
        sum += place.weight * double{logprob};
      }
      logprobs.push_back(sum);
    }
  }
  const Score mean = score_of(logprobs);
  return TextScore{mean.mean, mean.standard_error};
}

Result<void> MonteCarloScorer::score(const NextGroup& next, const TakeScores& take) {
  while (const std::optional<TextGroup> group = next()) {
    std::vector<TextScore> scores;
    for (const ScoredText& text : group->texts) {
      // Choices of one question share their noise as far as their lengths allow: then chance says
      // less about which of them is better.
      TIDAR_TRY(const TextScore one, score(text, static_cast<uint64_t>(group->id)));
      scores.push_back(one);
    }
    TIDAR_TRY(const bool more, take(group->id, scores));
    if (!more) break;
  }
  return {};
}

}  // namespace

std::unique_ptr<TextScorer> make_monte_carlo_scorer(Evaluator& evaluator,
                                                    const MonteCarloOptions& options) {
  return std::make_unique<MonteCarloScorer>(evaluator, options);
}

}  // namespace tidar
