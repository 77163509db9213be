#include "decode/draft_trace.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "decode/history.h"
#include "plan/layouts.h"

namespace tidar {
namespace {

// Where tokens go that another vocabulary has.
class TokenMap {
 public:
  TokenMap(std::span<const int32_t> text, int vocabulary, int32_t mask_token)
      : vocabulary_(vocabulary), mask_token_(mask_token) {
    TIDAR_CHECK_GE(vocabulary, 3);  // a mask, a token, and another one
    keeps_ids_ = std::all_of(text.begin(), text.end(), [&](int32_t token) { return fits(token); });
    if (keeps_ids_) return;
    int32_t next = 0;
    for (const int32_t token : text) {
      const auto [place, is_new] = new_ids_.try_emplace(token, next);
      if (!is_new) continue;
      place->second = usable(next);
      next = place->second + 1;
    }
  }

  int32_t of_text(int32_t token) const { return keeps_ids_ ? token : new_ids_.at(token); }

  // A guess where the text has `right`, a token of this vocabulary.
  int32_t of_wrong_guess(int32_t token, int32_t right) const {
    int32_t mapped = token;
    if (!keeps_ids_) {
      const auto known = new_ids_.find(token);
      mapped = known == new_ids_.end() ? token % vocabulary_ : known->second;
    }
    if (fits(mapped) && mapped != right) return mapped;
    return usable(right + 1);
  }

 private:
  bool fits(int32_t token) const { return token < vocabulary_ && token != mask_token_; }
  // The id, or the next one that is a token; behind the last comes the first.
  int32_t usable(int32_t id) const {
    id %= vocabulary_;
    while (!fits(id)) id = (id + 1) % vocabulary_;
    return id;
  }

  int vocabulary_;
  int32_t mask_token_;
  bool keeps_ids_ = true;
  std::unordered_map<int32_t, int32_t> new_ids_;
};

// Fills a trace by passes of masks, as many drafts in each as it has rows for.
class Recorder {
 public:
  Recorder(Evaluator& evaluator, const SequenceSpec& spec, DraftTrace& trace)
      : evaluator_(evaluator),
        spec_(spec),
        trace_(trace),
        history_(spec.penalties, spec.mask_token, spec.prompt),
        pool_(evaluator.limits().pages),
        cache_(pool_) {}

  void read_text();
  void record(int position, int masks);
  /// Carries out the passes that are still to be made.
  void flush();

 private:
  struct Asked {
    int position, masks;
  };

  Evaluator& evaluator_;
  const SequenceSpec& spec_;
  DraftTrace& trace_;
  History history_;
  PagePool pool_;
  SequenceCache cache_;
  Pass pass_;
  ChangeRange changes_;
  std::vector<Asked> asked_;  // in the pass
};

// The last token needs no key: nothing is drafted behind it.
void Recorder::read_text() {
  const int keys = trace_.size() - 1;
  TIDAR_CHECK(cache_.reserve(keys));
  const auto text = std::span(trace_.text());
  while (cache_.length() < keys) {
    const int rows = std::min(keys - cache_.length(), evaluator_.limits().max_rows);
    pass_.clear();
    pass_.begin_sequence(cache_);
    add_causal(pass_, text.subspan(static_cast<size_t>(cache_.length()), static_cast<size_t>(rows)),
               Keep::page);
    evaluator_.evaluate(pass_, {});
    cache_.commit(rows);
  }
  pass_.clear();
}

void Recorder::record(int position, int masks) {
  if (position + masks > evaluator_.limits().max_position) return;
  if (pass_.rows() + masks > evaluator_.limits().max_rows) flush();
  if (asked_.empty()) {
    pass_.clear();
    pass_.begin_sequence(cache_);
    changes_ = history_.add_changes(pass_.asks);
  }
  const int32_t first_row = add_masks(pass_, position, masks, spec_.mask_token);
  for (int32_t m = 0; m < masks; ++m) {
    pass_.asks.add({.row = first_row + m,
                    .sampling = spec_.sampling,
                    .changes = changes_,
                    .draw = static_cast<uint64_t>(position + m),
                    .runner_up = true});
  }
  asked_.push_back({position, masks});
}

void Recorder::flush() {
  if (asked_.empty()) return;
  std::vector<Answer> answers(pass_.asks.size());
  evaluator_.evaluate(pass_, answers);
  auto answer = answers.begin();
  for (const Asked& asked : asked_) {
    for (Guess& guess : trace_.draft(asked.position, asked.masks)) {
      if (answer->token >= 0) guess = {answer->token, answer->logprob, answer->runner_up};
      ++answer;
    }
  }
  asked_.clear();
}

}  // namespace

DraftTrace::DraftTrace(std::vector<int32_t> text, int prompt_tokens, int draft_length)
    : text_(std::move(text)), prompt_tokens_(prompt_tokens) {
  TIDAR_CHECK_GE(prompt_tokens, 1);
  TIDAR_CHECK_GE(answer_tokens(), 1);
  for (int masks = 1; masks <= draft_length; ++masks) {
    drafts_.emplace_back(static_cast<size_t>(answer_tokens()) * static_cast<size_t>(masks));
  }
}

size_t DraftTrace::place(int position, int masks) const {
  TIDAR_CHECK(in_answer(position));
  TIDAR_CHECK_LE(masks, draft_length());
  return static_cast<size_t>(position - prompt_tokens_) * static_cast<size_t>(masks);
}

DraftTrace DraftTrace::in_vocabulary(int vocabulary, int32_t mask_token) const {
  const TokenMap map(text_, vocabulary, mask_token);
  DraftTrace mapped = *this;
  for (int32_t& token : mapped.text_) token = map.of_text(token);
  for (int masks = 1; masks <= draft_length(); ++masks) {
    for (int position = prompt_tokens_; position < size(); ++position) {
      const std::span<Guess> guesses = mapped.draft(position, masks);
      for (int m = 0; m < masks; ++m) {
        Guess& guess = guesses[static_cast<size_t>(m)];
        // What is guessed behind the end is never verified.
        const auto at = static_cast<size_t>(std::min(position + m, size() - 1));
        for (int32_t* token : {&guess.token, &guess.runner_up.token}) {
          if (*token < 0) continue;
          const bool right = position + m < size() && *token == text_[at];
          *token = right ? mapped.text_[at] : map.of_wrong_guess(*token, mapped.text_[at]);
        }
      }
    }
  }
  return mapped;
}

DraftTrace record_drafts(Evaluator& evaluator, const SequenceSpec& spec,
                         std::span<const int32_t> answer, int draft_length) {
  TIDAR_CHECK(!spec.penalties.count());
  TIDAR_CHECK_LE(draft_length, evaluator.limits().max_rows);
  std::vector<int32_t> text = spec.prompt;
  text.insert(text.end(), answer.begin(), answer.end());
  DraftTrace trace(std::move(text), static_cast<int>(spec.prompt.size()), draft_length);
  Recorder recorder(evaluator, spec, trace);
  recorder.read_text();
  for (int position = trace.prompt_tokens(); position < trace.size(); ++position) {
    for (int masks = 1; masks <= draft_length; ++masks) recorder.record(position, masks);
  }
  recorder.flush();
  return trace;
}

}  // namespace tidar
