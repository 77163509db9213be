#include "decode/model_drafter.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "decode/history.h"
#include "plan/layouts.h"

namespace tidar {
namespace {

// What of the spec the other model can be told.
SequenceSpec within(SequenceSpec spec, int vocabulary) {
  std::erase_if(spec.penalties.bias,
                [&](const LogitChange& bias) { return bias.token >= vocabulary; });
  if (spec.mask_token >= vocabulary) spec.mask_token = -1;
  return spec;
}

class ModelDrafter final : public Drafter {
 public:
  ModelDrafter(const SequenceSpec& spec, Evaluator& evaluator, PagePool& pool)
      : evaluator_(evaluator),
        cache_(pool),
        sampling_(spec.sampling),
        history_(spec.penalties, spec.mask_token, spec.prompt, spec.constraint),
        known_(spec.prompt.size()) {}

  std::span<const int32_t> draft(std::span<const int32_t> text, int most) override;
  int passes() const override { return passes_; }

 private:
  bool follow(std::span<const int32_t> text);
  bool read(std::span<const int32_t> tokens);
  int32_t choose_next();

  Evaluator& evaluator_;
  SequenceCache cache_;
  Sampling sampling_;
  History history_;               // of what was committed
  size_t known_;                  // tokens of the text that history_ knows
  std::vector<int32_t> read_;     // tokens whose keys cache_ holds
  std::vector<int32_t> guesses_;  // behind the text
  Asks asks_;
  Pass pass_;
  int passes_ = 0;  // for the last draft
};

std::span<const int32_t> ModelDrafter::draft(std::span<const int32_t> text, int most) {
  guesses_.clear();
  passes_ = 0;
  if (!follow(text)) return {};
  while (true) {
    const int32_t next = choose_next();
    if (next < 0) break;
    guesses_.push_back(next);
    if (static_cast<int>(guesses_.size()) == most) break;
    if (!read(std::span<const int32_t>(guesses_).last(1))) break;
  }
  return guesses_;
}

// Reads what it has not read of the text. Keys of guesses that turned out right are kept; the
// newest token is always read again, so that something can be asked.
bool ModelDrafter::follow(std::span<const int32_t> text) {
  const auto differ = std::mismatch(read_.begin(), read_.end(), text.begin(), text.end() - 1);
  read_.erase(differ.first, read_.end());
  cache_.truncate(static_cast<int>(read_.size()));
  for (; known_ < text.size(); ++known_) history_.append(text[known_]);
  return read(text.subspan(read_.size()));
}

bool ModelDrafter::read(std::span<const int32_t> tokens) {
  const EvaluatorLimits& limits = evaluator_.limits();
  const size_t length = read_.size() + tokens.size();
  const auto lacks = [&](int32_t token) { return token >= limits.vocabulary; };
  if (std::any_of(tokens.begin(), tokens.end(), lacks)) return false;
  if (length > static_cast<size_t>(limits.max_position)) return false;
  if (!cache_.reserve(static_cast<int>(length))) return false;
  while (!tokens.empty()) {
    const auto some = tokens.first(std::min(tokens.size(), static_cast<size_t>(limits.max_rows)));
    pass_.clear();
    pass_.begin_sequence(cache_);
    add_causal(pass_, some, Keep::page);
    evaluator_.evaluate(pass_, {});
    ++passes_;
    cache_.commit(static_cast<int>(some.size()));
    read_.insert(read_.end(), some.begin(), some.end());
    tokens = tokens.subspan(some.size());
  }
  return true;
}

// What follows everything that was read, by the last row of the last pass.
int32_t ModelDrafter::choose_next() {
  asks_.clear();
  Ask ask;
  ask.row = pass_.rows() - 1;
  ask.sampling = sampling_;
  ask.changes = history_.add_changes(asks_);
  ask.own_changes = history_.add_changes_after(guesses_, asks_);
  ask.allowed = history_.add_allowed_after(guesses_, asks_);
  ask.draw = read_.size();
  asks_.add(ask);
  Answer answer;
  evaluator_.answer(asks_, {&answer, 1});
  return answer.token;
}

}  // namespace

DrafterFactory model_drafters(Evaluator& evaluator, PagePool& pool) {
  return [&](const SequenceSpec& spec) -> Result<std::unique_ptr<Drafter>> {
    const int vocabulary = evaluator.limits().vocabulary;
    return std::unique_ptr<Drafter>(
        std::make_unique<ModelDrafter>(within(spec, vocabulary), evaluator, pool));
  };
}

}  // namespace tidar
