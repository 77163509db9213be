#include "decode/ar.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "decode/sequence.h"
#include "plan/layouts.h"

namespace tidar {
namespace {

// Reading a prompt and decoding are the same turn: read what is unread, and when that is all of it,
// choose what follows.
class ArDecoder final : public SequenceDecoder {
 public:
  explicit ArDecoder(Sequence sequence) : SequenceDecoder(std::move(sequence)) {}

  int min_rows() const override { return 1; }

  int plan(Pass& pass, int row_budget) override {
    TIDAR_CHECK(!full());
    TIDAR_CHECK_GE(row_budget, min_rows());
    sequence_.begin_pass();
    const auto unread = sequence_.unread();
    reading_ = std::min(static_cast<int>(unread.size()), row_budget);
    SequenceCache& cache = sequence_.cache;
    if (!cache.reserve(cache.length() + reading_)) return 0;

    pass.begin_sequence(cache);
    add_causal(pass, unread.first(static_cast<size_t>(reading_)), Keep::page);
    if (reading_ == static_cast<int>(unread.size()))
      pass.add_ask(sequence_.choose(pass.rows() - 1, sequence_.size()));
    return reading_;
  }

  void take(std::span<const Answer> answers) override {
    sequence_.cache.commit(reading_);
    if (sequence_.unread().empty()) {
      TIDAR_CHECK_EQ(answers.size(), 1u);
      const bool reads_prompt = sequence_.in_prompt();
      sequence_.append({answers[0].token, answers[0].logprob});
      if (!reads_prompt) sequence_.count_pass();
    } else {
      TIDAR_CHECK(answers.empty());
    }
  }

 private:
  int reading_ = 0;  // rows of the pass under way
};

}  // namespace

MethodFacts facts_of(const ArOptions&) { return {.equals_ar = true}; }

Result<std::unique_ptr<Decoder>> make_decoder(const ArOptions&, SequenceSpec spec,
                                              SequenceCache cache, const EvaluatorLimits& limits) {
  TIDAR_TRY_VOID(check_spec(spec, limits));
  return std::unique_ptr<Decoder>(
      std::make_unique<ArDecoder>(Sequence(std::move(spec), std::move(cache), limits)));
}

}  // namespace tidar
