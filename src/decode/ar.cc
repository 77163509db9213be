#include "decode/ar.h"

#include <algorithm>
#include <utility>

#include "decode/sequence.h"

namespace tidar {
namespace {

// Reading a prompt and decoding are the same turn: read what is unread, and when that is all of it,
// choose what follows.
class ArDecoder final : public SequenceDecoder {
 public:
  explicit ArDecoder(Sequence sequence) : SequenceDecoder(std::move(sequence)) {}

  int min_rows() const override { return 1; }

 private:
  bool add_rows(Pass& pass, int row_budget) override {
    const int unread = static_cast<int>(sequence_.unread().size());
    reading_ = std::min(unread, row_budget);
    if (!sequence_.read(pass, reading_)) return false;
    if (reading_ == unread) {
      const History& history = sequence_.history;
      Ask ask = sequence_.choose(pass.rows() - 1, sequence_.size(), history.add_changes(pass.asks));
      ask.allowed = history.add_allowed(pass.asks);
      pass.asks.add(ask);
    }
    return true;
  }

  void use(std::span<const Answer> answers) override {
    sequence_.cache.commit(reading_);
    for (const Answer& answer : answers) sequence_.append(answer);
  }

  int reading_ = 0;  // rows of the pass under way
};

}  // namespace

MethodFacts facts_of(const ArOptions&) { return {.equals_ar = true}; }

Result<std::unique_ptr<Decoder>> make_decoder(const ArOptions&, SequenceSpec spec,
                                              SequenceCache cache, const EvaluatorLimits& limits) {
  TIDAR_TRY_VOID(check_spec(spec, limits));
  return decoder_of<ArDecoder>(std::move(spec), std::move(cache), limits);
}

}  // namespace tidar
