#pragma once
// The part of a text that is being denoised: tokens and masks, which a diffusion method turns into
// tokens in any order, pass by pass.
//
// What is chosen for a mask is drawn anew in every pass until it is revealed, as in the methods'
// own programs: its noise is a function of seed, position and number of the pass. Were it one of
// the position alone, as where drafts are verified, a choice that was put off for being improbable
// would be drawn again and again, and the output would not have the distribution of the method.

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "decode/reveal.h"
#include "decode/sequence.h"

namespace tidar {

/// Which row tells the token of a position.
enum class LogitShift : uint8_t {
  none,  ///< its own: a masked row predicts itself (LLaDA, MDLM, TiDAR)
  one,   ///< the row before it, as in the autoregressive model that it was trained from (Dream)
};

/// Says what of a spec a method with a canvas cannot follow: it needs a mask token, and cannot
/// count what was said before a place (repetition, presence, frequency), since places come in any
/// order. Nor does it score a prompt, which it may not read causally.
Result<void> check_canvas_spec(const SequenceSpec& spec, std::string_view method);

class Canvas {
 public:
  /// `rule` has passed check_rule().
  explicit Canvas(const RevealRule& rule) : rule_(rule) {}

  /// Opens the positions [begin, end). Where the sequence's text reaches into it, tokens are known;
  /// the rest are masks.
  void open(const Sequence& sequence, int32_t begin, int32_t end);

  int32_t begin() const { return begin_; }
  int32_t end() const { return begin_ + static_cast<int32_t>(tokens_.size()); }
  /// Tokens and masks.
  std::span<const int32_t> tokens() const { return tokens_; }
  /// Masks at positions below `end`.
  int masks_before(int32_t end) const;

  /// Asks `pass` for the tokens of all masks at positions below `end`; `row_of_begin` is the row of
  /// position begin().
  void ask(const Sequence& sequence, Pass& pass, int32_t row_of_begin, int32_t end,
           LogitShift shift);

  /// Takes the answers to those asks: reveals as many places as the rule says, with `count` in the
  /// place of its own. Fails the sequence if nothing could be chosen for one of them.
  void reveal(Sequence& sequence, std::span<const Answer> answers, int count);

  /// Adds to the sequence what is known behind its text without a gap.
  void commit_known(Sequence& sequence) const;

 private:
  bool is_masked(int32_t position) const { return masked_[static_cast<size_t>(position - begin_)]; }

  RevealRule rule_;
  int32_t begin_ = 0;
  int64_t passes_ = 0;  // that asked, since the text began
  // One each position.
  std::vector<int32_t> tokens_;
  std::vector<Answer> revealed_;
  std::vector<bool> masked_;  // a known token may be the mask token's id
};

}  // namespace tidar
