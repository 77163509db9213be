#include "decode/speculative.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "decode/verification.h"
#include "plan/layouts.h"

namespace tidar {
namespace {

class SpeculativeDecoder final : public SequenceDecoder {
 public:
  SpeculativeDecoder(Sequence sequence, int draft_length, std::unique_ptr<Drafter> drafter,
                     int vocabulary)
      : SequenceDecoder(std::move(sequence)),
        draft_length_(draft_length),
        vocabulary_(vocabulary),
        drafter_(std::move(drafter)) {}

  int min_rows() const override { return 1; }

 private:
  bool add_rows(Pass& pass, int row_budget) override;
  void use(std::span<const Answer> answers) override;

  int most_guesses(int rows_left) const;
  void draft(int most);

  int draft_length_;
  int vocabulary_;
  std::unique_ptr<Drafter> drafter_;

  // The pass under way.
  int reading_ = 0;              // rows before the drafts
  std::vector<int32_t> drafts_;  // empty while more of the prompt must be read
};

bool SpeculativeDecoder::add_rows(Pass& pass, int row_budget) {
  const int before_drafts = static_cast<int>(sequence_.unread().size()) - 1;
  reading_ = std::min(before_drafts, row_budget);
  drafts_.clear();
  const bool verifies = reading_ == before_drafts && reading_ < row_budget;
  const int most = verifies ? most_guesses(row_budget - reading_) : 0;

  // Guesses may cost passes of another model: first their room must be sure.
  if (!sequence_.read(pass, reading_, verifies ? 1 + most : 0)) return false;
  if (!verifies) return true;
  draft(most);
  const int32_t first_row = add_causal(pass, drafts_, Keep::page);
  ask_drafts(sequence_, {.drafts = drafts_, .first_row = first_row}, pass.asks);
  return true;
}

// A guess is of use only where a position follows it. The pass that reads the end of the prompt has
// none: it commits one token, as it does for AR.
int SpeculativeDecoder::most_guesses(int rows_left) const {
  if (sequence_.in_prompt()) return 0;
  return std::min({draft_length_, rows_left - 1, sequence_.positions_left() - 1});
}

// The newest token and guesses behind it.
void SpeculativeDecoder::draft(int most) {
  drafts_.assign(1, sequence_.tokens().back());
  if (most == 0) return;
  const auto guesses = drafter_->draft(sequence_.tokens(), most);
  sequence_.report.drafter_passes = drafter_->passes();
  TIDAR_CHECK_LE(guesses.size(), static_cast<size_t>(most));
  // Another model may know tokens that this one lacks.
  const auto known = std::find_if(guesses.begin(), guesses.end(),
                                  [this](int32_t token) { return token >= vocabulary_; });
  drafts_.insert(drafts_.end(), guesses.begin(), known);
}

void SpeculativeDecoder::use(std::span<const Answer> answers) {
  if (drafts_.empty()) return sequence_.cache.commit(reading_);
  accept_drafts(sequence_, reading_, {.drafts = drafts_}, answers);
}

}  // namespace

MethodFacts facts_of(const SpeculativeOptions& options) {
  return {.equals_ar = true, .rows = options.draft_length + 1, .draft_keys = options.draft_length};
}

MethodFacts facts_of(const LookupMethodOptions& options) {
  return facts_of(SpeculativeOptions{.draft_length = options.draft_length});
}

Result<std::unique_ptr<Decoder>> make_decoder(const SpeculativeOptions& options, SequenceSpec spec,
                                              SequenceCache cache, const EvaluatorLimits& limits) {
  TIDAR_TRY_VOID(check_spec(spec, limits));
  if (options.draft_length < 1)
    return error("draft length: expected at least 1, found {}", options.draft_length);
  if (!options.drafters) return error("speculative decoding needs a drafter; none was given");
  TIDAR_TRY(auto drafter, options.drafters(spec));
  return decoder_of<SpeculativeDecoder>(std::move(spec), std::move(cache), limits,
                                        options.draft_length, std::move(drafter),
                                        limits.vocabulary);
}

Result<std::unique_ptr<Decoder>> make_decoder(const LookupMethodOptions& options, SequenceSpec spec,
                                              SequenceCache cache, const EvaluatorLimits& limits) {
  const SpeculativeOptions by_lookup{.draft_length = options.draft_length,
                                     .drafters = lookup_drafters(options.lookup)};
  return make_decoder(by_lookup, std::move(spec), std::move(cache), limits);
}

}  // namespace tidar
