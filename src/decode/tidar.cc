#include "decode/tidar.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "decode/guessed_groups.h"
#include "decode/sequence.h"
#include "decode/tidar_offers.h"
#include "decode/verification.h"

namespace tidar {
namespace {

// Whether the engine is told what the rows of its steps are worth.
bool offers_rows(const TidarOptions& options) {
  return options.groups.kind == GroupPolicy::Kind::paying && options.trust == 1;
}

// Guessed groups of a step at most; draft 0 is certain, and so no place for one.
int most_guessed(const TidarOptions& options) {
  const int most =
      offers_rows(options) ? std::max(options.guessed, TidarOffers::kMostGuessed) : options.guessed;
  return std::min(most, options.draft_length - 1);
}

// A step verifies drafts_: the newest token, which is certain, and guesses behind it. Reading the
// end of the prompt is such a step too, with the last prompt token as its only draft; so the first
// pass is [prompt | K masks] without a case of its own.
class TidarDecoder final : public SequenceDecoder {
 public:
  TidarDecoder(Sequence sequence, TidarOptions options)
      : SequenceDecoder(std::move(sequence)),
        options_(std::move(options)),
        drafts_{sequence_.tokens().back()},
        confidences_{0},
        runners_up_(1),
        offers_(options_.draft_length) {}

  int min_rows() const override;
  int keys_beyond_text(const MethodFacts& facts) const override {
    return drafts_.size() > 1 ? facts.draft_keys : 0;
  }
  bool make_offer(const PassOutlook& outlook, Offer& offer) override;

 private:
  bool add_rows(Pass& pass, int row_budget) override;
  void use(std::span<const Answer> answers) override;
  void use_more(std::span<const Answer> answers) override;

  // The choice after the prompt is the causal reading's alone: no pass has held its mask yet.
  bool mixes() const { return options_.trust < 1 && !sequence_.in_prompt(); }

  // Where masks are read for the text itself, what they say depends on how many of them stand
  // together. So a step is then planned whole, in whatever pass has the rows for it.
  bool steps_are_whole() const { return options_.trust < 1; }

  // The step that comes next, once the prompt before its drafts has been read.
  struct Step {
    int drafts = 0;
    std::vector<MaskGroup> groups{};
    std::vector<int> asked_at_once{};  // groups whose masks are asked with the drafts
    std::vector<GuessedGroup> guessed{};
    int kept_rows() const {
      int rows = drafts;
      for (const GuessedGroup& group : guessed) rows += group.rows();
      return rows;
    }
    int rows() const {
      int rows = kept_rows();
      for (const MaskGroup& group : groups) rows += group.masks;
      return rows;
    }
  };
  // As much of it as `rows` rows hold; all of it, or nothing, where steps are whole.
  Step fit_step(int rows) const;
  Step fit_offered(StepFrame frame) const;
  std::vector<GuessedGroup> likeliest_guessed(const Step& step, const StepFrame& frame) const;

  void plan_step(Pass& pass, Step step);
  void mix(Asks& asks, size_t first_ask) const;
  void ask_groups(std::span<const int> accepted, ChangeRange changes, Asks& asks);
  Ask draft_ask(int32_t row, int32_t position, ChangeRange changes) const;
  void learn_runner_up(size_t place, int32_t chosen);
  void make_next_draft(const Accepted& accepted, std::span<const Answer> asked);
  void take_draft(std::span<const Answer> answers);

  TidarOptions options_;

  // Of the step under way, or to come, one each a draft.
  std::vector<int32_t> drafts_;
  std::vector<float> confidences_;  // log-probabilities; also of drafts that the step leaves out
  std::vector<ListedToken> runners_up_;  // second candidates, where guessed groups may be held

  TidarOffers offers_;
  bool has_offered_ = false;  // for the next pass

  // The pass under way.
  int reading_ = 0;                  // prompt rows before the drafts
  bool steps_ = false;               // whether drafts follow them
  int32_t first_row_ = 0;            // of the drafts
  std::vector<MaskRun> asked_runs_;  // of masks, in the order of their asks
  Chain chain() const { return {drafts_, first_row_, sequence_.report.guessed}; }
};

bool TidarDecoder::add_rows(Pass& pass, int row_budget) {
  more_asks_.clear();
  const int before_drafts = static_cast<int>(sequence_.unread().size()) - 1;
  reading_ = std::min(before_drafts, row_budget);
  Step step;
  if (reading_ == before_drafts) step = fit_step(row_budget - reading_);
  steps_ = step.drafts > 0;
  if (!sequence_.read(pass, reading_, step.kept_rows())) return false;
  if (steps_) plan_step(pass, std::move(step));
  return true;
}

TidarDecoder::Step TidarDecoder::fit_step(int rows) const {
  const StepFrame frame{
      .draft_length = options_.draft_length,
      .row_budget = steps_are_whole() ? rows_of_whole_step(options_.draft_length) : rows,
      .positions_left = sequence_.positions_left() + 1,
      .mixes = mixes()};
  if (has_offered_) return fit_offered(frame);
  Step step{.drafts = fit_drafts(static_cast<int>(drafts_.size()), frame)};
  if (step.drafts < 1) return {};
  const auto confidences = std::span(confidences_).first(static_cast<size_t>(step.drafts));
  const std::vector<int> kept = kept_groups(options_.groups, frame.draft_length, confidences);
  step.groups = fit_groups(step.drafts, kept, frame);
  if (step.rows() > rows) return {};
  if (step.drafts == 1) step.asked_at_once = {1};  // whatever happens, it is used
  step.guessed = likeliest_guessed(step, frame);
  return step;
}

std::vector<GuessedGroup> TidarDecoder::likeliest_guessed(const Step& step,
                                                          const StepFrame& frame) const {
  if (options_.guessed == 0) return {};
  const auto drafts = static_cast<size_t>(step.drafts);
  std::vector<GuessedChance> wanted =
      guessed_chances(std::span(confidences_).first(drafts), std::span(runners_up_).first(drafts));
  wanted.resize(std::min(wanted.size(), static_cast<size_t>(options_.guessed)));
  for (GuessedChance& guess : wanted) guess.masks = options_.draft_length;
  return fit_guessed(step.drafts, wanted, frame.row_budget - step.rows(), frame);
}

TidarDecoder::Step TidarDecoder::fit_offered(StepFrame frame) const {
  const TidarOffers::Step& offered = offers_.step();
  Step step{.drafts = fit_drafts(offered.drafts, frame)};
  frame.draft_length = offered.masks;
  if (!offered.groups.empty()) step.groups = fit_groups(step.drafts, offered.groups, frame);
  step.asked_at_once.assign(offered.groups.begin(), offered.groups.begin() + offered.asked_at_once);
  step.guessed = fit_guessed(step.drafts, offered.guessed, frame.row_budget - step.rows(), frame);
  return step;
}

bool TidarDecoder::make_offer(const PassOutlook& outlook, Offer& offer) {
  has_offered_ = offers_rows(options_) && sequence_.positions_left() > 1;
  if (!has_offered_) return false;
  const bool offers = offers_.make(outlook, sequence_.experience(), confidences_, runners_up_,
                                   sequence_.positions_left(), offer);
  // While the prompt is read, the pass takes what rows it gets, and drafts behind the last of them.
  return offers && sequence_.unread().size() == 1;
}

int TidarDecoder::min_rows() const {
  const bool step_is_next = sequence_.unread().size() == 1;
  if (!steps_are_whole() || !step_is_next) return 1;
  return fit_step(rows_of_whole_step(options_.draft_length)).rows();
}

void TidarDecoder::plan_step(Pass& pass, Step step) {
  drafts_.resize(static_cast<size_t>(step.drafts));
  runners_up_.resize(drafts_.size());
  StepReport& report = sequence_.report;
  report.groups = std::move(step.groups);
  report.guessed = std::move(step.guessed);
  first_row_ = add_tidar_step(pass, drafts_, sequence_.mask_token(), report.groups, report.guessed);
  const size_t first_ask = ask_drafts(sequence_, chain(), pass.asks);
  if (mixes()) mix(pass.asks, first_ask);
  ask_groups(step.asked_at_once, pass.asks[first_ask].changes, pass.asks);
}

// The first mask of a group stands in the place of the token that is chosen in its case. Where that
// token changes what comes behind it other than through the network, or what is allowed there, all
// groups have to wait for it.
void TidarDecoder::ask_groups(std::span<const int> accepted, ChangeRange changes, Asks& asks) {
  asked_runs_.clear();
  if (sequence_.history.counts() || sequence_.history.constraint() != nullptr) return;
  for (const MaskGroup& group : sequence_.report.groups) {
    if (std::find(accepted.begin(), accepted.end(), group.accepted) == accepted.end()) continue;
    for (int m = 1; m < group.masks; ++m) {
      const int32_t position = sequence_.size() + group.accepted - 1 + m;
      asks.add(draft_ask(group.first_row + m, position, changes));
    }
    asked_runs_.push_back({group.first_row + 1, group.masks - 1});
  }
}

Ask TidarDecoder::draft_ask(int32_t row, int32_t position, ChangeRange changes) const {
  Ask ask = sequence_.choose(row, position, changes);
  ask.runner_up = most_guessed(options_) > 0;
  return ask;
}

// What follows a draft is chosen from its own row and from the first mask of the group behind it.
void TidarDecoder::mix(Asks& asks, size_t first_ask) const {
  for (size_t i = 0; i < drafts_.size(); ++i) {
    Ask& ask = asks[first_ask + i];
    ask.other_row = group_row(sequence_.report.groups, static_cast<int>(i) + 1);
    ask.trust = options_.trust;
  }
}

void TidarDecoder::use(std::span<const Answer> answers) {
  if (!steps_) return sequence_.cache.commit(reading_);
  const size_t verifying = drafts_.size() + sequence_.report.guessed.size();
  const Accepted accepted = accept_drafts(sequence_, reading_, chain(), answers.first(verifying));
  sequence_.experience().acceptance.learn(std::span(confidences_).subspan(1),
                                          static_cast<int>(drafts_.size()) - 1,
                                          accepted.drafts - 1);
  const auto right = static_cast<size_t>(accepted.drafts);
  learn_runner_up(right, answers[right - 1].token);
  if (has_offered_) offers_.learn(sequence_.experience(), accepted.drafts);
  has_offered_ = false;
  make_next_draft(accepted, answers.subspan(verifying));
}

// Of the first guess that was wrong, if one was.
void TidarDecoder::learn_runner_up(size_t place, int32_t chosen) {
  if (place >= drafts_.size() || runners_up_[place].token < 0) return;
  sequence_.experience().acceptance.learn_runner_up(confidences_[place], runners_up_[place].logprob,
                                                    runners_up_[place].token == chosen);
}

// The token chosen behind the accepted drafts overwrites what the masks had for its position.
void TidarDecoder::make_next_draft(const Accepted& accepted, std::span<const Answer> asked) {
  drafts_.assign(1, sequence_.tokens().back());
  confidences_.assign(1, 0);
  runners_up_.assign(1, {});
  if (ended()) return;
  const MaskRun run = accepted.guessed != nullptr
                          ? draft_behind(*accepted.guessed, sequence_.report.groups)
                          : next_draft(sequence_.report.groups, accepted.drafts);
  sequence_.report.used = run;
  if (run.masks == 0) return;
  for (const MaskRun& known : asked_runs_) {
    const int skipped = run.first_row - known.first_row;
    if (skipped >= 0 && skipped < known.masks) {
      return take_draft(
          asked.subspan(static_cast<size_t>(skipped), static_cast<size_t>(run.masks)));
    }
    asked = asked.subspan(static_cast<size_t>(known.masks));
  }
  const ChangeRange changes = sequence_.history.add_changes(more_asks_);
  for (int32_t m = 0; m < run.masks; ++m) {
    Ask ask = draft_ask(run.first_row + m, sequence_.size() + m, changes);
    // Behind the first guess it depends on the guesses before, which are not known yet.
    if (m == 0) ask.allowed = sequence_.history.add_allowed(more_asks_);
    more_asks_.add(ask);
  }
}

void TidarDecoder::use_more(std::span<const Answer> answers) {
  TIDAR_CHECK_EQ(answers.size(), more_asks_.size());
  more_asks_.clear();
  take_draft(answers);
}

void TidarDecoder::take_draft(std::span<const Answer> answers) {
  std::shared_ptr<const Constraint> constraint = sequence_.history.constraint();
  for (const Answer& answer : answers) {
    if (answer.token < 0) break;  // the draft is only shorter
    ListedToken runner_up = answer.runner_up;
    if (constraint != nullptr) {
      if (runner_up.token >= 0 && constraint->after(runner_up.token) == nullptr) runner_up = {};
      constraint = constraint->after(answer.token);
      if (constraint == nullptr) break;
    }
    drafts_.push_back(answer.token);
    confidences_.push_back(answer.logprob);
    runners_up_.push_back(runner_up);
  }
  sequence_.report.provisional.assign(drafts_.begin() + 1, drafts_.end());
}

Result<void> check_options(const TidarOptions& options, const SequenceSpec& spec,
                           const EvaluatorLimits& limits) {
  TIDAR_TRY_VOID(check_mask_token(spec, "TiDAR"));
  if (options.draft_length < 1 || options.draft_length > limits.max_rows)
    return error("draft length: expected 1 to {} (rows of a pass), found {}", limits.max_rows,
                 options.draft_length);
  if (!(options.trust >= 0 && options.trust <= 1))
    return error("trust: expected a number from 0 (diffusion) to 1 (AR), found {}", options.trust);
  if (options.guessed < 0)
    return error("guessed groups: expected a count of at least 0, found {}", options.guessed);
  if (options.guessed > 0 && options.trust < 1)
    return error(
        "guessed groups need trust 1, where a draft is only ever confirmed; this is trust {}",
        options.trust);
  const int whole = rows_of_whole_step(options.draft_length);
  if (options.trust < 1 && whole > limits.max_rows)
    return error(
        "trust below 1 needs passes of {} rows for drafts of {} tokens, since what masks say "
        "depends on how many there are; these have {}: draft fewer tokens, or trust 1",
        whole, options.draft_length, limits.max_rows);
  return {};
}

}  // namespace

MethodFacts facts_of(const TidarOptions& options) {
  const int guessed = rows_of_guessed(options.draft_length, most_guessed(options));
  return {.needs_mask = true,
          .equals_ar = options.trust == 1,
          .rows = rows_of_whole_step(options.draft_length) + guessed,
          .draft_keys = options.draft_length - 1 + guessed};
}

MethodFacts facts_of(const SelfSpeculativeOptions& options) {
  return {.needs_mask = true,
          .equals_ar = true,
          .rows = options.draft_length + 1,
          .draft_keys = options.draft_length - 1};
}

Result<std::unique_ptr<Decoder>> make_decoder(const TidarOptions& options, SequenceSpec spec,
                                              SequenceCache cache, const EvaluatorLimits& limits) {
  TIDAR_TRY_VOID(check_spec(spec, limits));
  TIDAR_TRY_VOID(check_options(options, spec, limits));
  return decoder_of<TidarDecoder>(std::move(spec), std::move(cache), limits, options);
}

Result<std::unique_ptr<Decoder>> make_decoder(const SelfSpeculativeOptions& options,
                                              SequenceSpec spec, SequenceCache cache,
                                              const EvaluatorLimits& limits) {
  const TidarOptions two_passes{.draft_length = options.draft_length, .groups = no_groups()};
  return make_decoder(two_passes, std::move(spec), std::move(cache), limits);
}

}  // namespace tidar
