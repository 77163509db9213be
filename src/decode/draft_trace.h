#pragma once
// What the masks of a model would draft at every place of a text: recorded once, and played back to
// decoders of other methods and over other networks (played_evaluator.h). It knows nothing of draft
// lengths and groups that a decoder has: whatever masks a step holds, their guesses are here.

#include <cstdint>
#include <span>
#include <vector>

#include "base/sampling.h"
#include "decode/decoder.h"

namespace tidar {

/// What a mask says; token -1: nothing, as the context ends before its draft does.
struct Guess {
  int32_t token = -1;
  float logprob = 0;
  ListedToken runner_up{};  ///< its second candidate (Answer::runner_up)
  friend bool operator==(const Guess&, const Guess&) = default;
};

/// A text, and for each position p of its answer and each n up to the longest draft: the guesses of
/// n masks that stand together from p on, where all before p is the text. Mask m guesses the token
/// at p + m, so mask 0 that at p itself; at trust 1 the token chosen there takes its place. How
/// many masks stand together is kept apart since each sees the others.
class DraftTrace {
 public:
  /// Without guesses. The text is longer than its prompt, which is not empty.
  DraftTrace(std::vector<int32_t> text, int prompt_tokens, int draft_length);

  const std::vector<int32_t>& text() const { return text_; }
  int size() const { return static_cast<int>(text_.size()); }
  int prompt_tokens() const { return prompt_tokens_; }
  int answer_tokens() const { return size() - prompt_tokens_; }
  int draft_length() const { return static_cast<int>(drafts_.size()); }

  /// Whether `position` is one of the answer.
  bool in_answer(int position) const { return prompt_tokens_ <= position && position < size(); }
  /// The guesses of all drafts of 1 … draft_length() masks, `masks` for each position of the
  /// answer.
  std::span<const Guess> drafts(int masks) const { return drafts_[static_cast<size_t>(masks) - 1]; }
  std::span<Guess> drafts(int masks) { return drafts_[static_cast<size_t>(masks) - 1]; }
  /// Those of the draft that stands at `position` of the text, which is one of the answer.
  std::span<const Guess> draft(int position, int masks) const {
    return drafts(masks).subspan(place(position, masks), static_cast<size_t>(masks));
  }
  std::span<Guess> draft(int position, int masks) {
    return drafts(masks).subspan(place(position, masks), static_cast<size_t>(masks));
  }

  /// The same text and the same right and wrong guesses in a vocabulary of `vocabulary` >= 3 tokens
  /// without `mask_token`. Ids stay as they are where that holds all of the text's; else the n-th
  /// new token of the text becomes the n-th id, so that what was equal stays equal, and what was
  /// not stays so unless the vocabulary is smaller than the text's.
  DraftTrace in_vocabulary(int vocabulary, int32_t mask_token) const;

 private:
  // Of the first guess of draft() among those of drafts().
  size_t place(int position, int masks) const;

  std::vector<int32_t> text_;
  int prompt_tokens_;
  std::vector<std::vector<Guess>> drafts_;  // [masks - 1]: `masks` guesses a position
};

/// Records what masks draft behind the prompt of `spec`, whose answer is not empty: a causal pass
/// over the text, and passes of masks. Guesses are chosen as `spec` says, but for its constraint,
/// which is not looked at; it names a mask token, and its penalties must not count what was said.
/// No page of the evaluator may be in use; it has pages for the text, and passes of at least
/// `draft_length` rows.
DraftTrace record_drafts(Evaluator& evaluator, const SequenceSpec& spec,
                         std::span<const int32_t> answer, int draft_length);

}  // namespace tidar
