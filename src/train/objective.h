#pragma once
// What training asks of a network: an objective turns documents into passes and labels, such that
// the loss of a step is the weighted sum of the labels' losses, mostly cross-entropies. The network
// knows nothing of objectives, and objectives nothing of networks.
//
//   ar                every token predicts the next one
//   tidar             that, and all tokens of a block predicted at once from masks (2 S rows)
//   block_diffusion   some tokens of each block predicted from the others and the blocks before it
//   masked_diffusion  some tokens of a document predicted from all others
//
// A loss is made of terms, each a mean over its labels in the whole step, however many passes they
// are spread over: loss = sum over terms of term.weight * mean.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/threads.h"
#include "plan/label.h"
#include "plan/pass.h"

namespace tidar {

enum class ObjectiveKind : uint8_t { ar, tidar, block_diffusion, masked_diffusion };

/// Which rows of TiDAR's second half are masks.
enum class Masking : uint8_t {
  full,    ///< all: every token of every block has a loss at every step
  random,  ///< the ablation: of each block a random part, drawn anew each step; others are clean
};

/// Where the blocks of a document start.
enum class BlockStart : uint8_t {
  aligned,  ///< at multiples of the block size
  random,   ///< the first block is of random length, drawn anew each step
  anchors,  ///< tidar: blocks do not cover the document one after another. One starts with what is
            ///< learnt, behind the prompt where that is given, and others at tokens drawn anew each
            ///< step from all that are learnt, each at most once; they may overlap. There are as
            ///< many as the document's tokens pay for with a mask each, at least one if anything
            ///< is learnt. Where the document goes on, a mask right behind its tokens has a label
};

/// Where the last block of a document ends.
enum class BlockEnd : uint8_t {
  cut,    ///< with the document: all rows have tokens
  whole,  ///< behind it, as in decoding, where nobody knows that a text will end: masks without
          ///< labels fill the block, at most half as many as the document has tokens
  end_tokens,  ///< likewise, but behind a document that ends with the end token these stand for
               ///< more of it: they have labels, and noise masks some of them
};

/// Which row is held against a masked token of block and masked diffusion.
enum class LabelShift : uint8_t {
  none,  ///< its own (LLaDA, MDLM, BD3-LM)
  one,   ///< the one before it, as in the AR model that weights come from (Dream, arXiv 2508.15487;
         ///< Fast-dLLM v2, arXiv 2509.26328). For the first token of a block that is the clean one
         ///< before the block. Nothing predicts the first token of a document: it is never masked
};

/// Levels of noise: the probability that a token is masked is drawn uniformly from them.
struct NoiseRange {
  double low = 1e-3;  ///< LLaDA's (arXiv 2502.09992): 1 / t stays bounded
  double high = 1;
};

/// Whether prompts are learnt: Document::prompt and Document::given.
enum class Prompts : uint8_t {
  learnt,  ///< like everything else
  given,   ///< they have no labels and are never masked by noise
};

/// The block sizes of a part of a run.
struct BlockStage {
  int64_t step = 0;  ///< when so many steps are done
  std::vector<int> sizes;
};

/// What masks of TiDAR are held against, besides their token: what the causal reading of the text
/// before it says of the same place, in the same pass and as a constant. That is what will decide
/// whether a draft is accepted. A mask at the first place of a text has its token alone.
struct TargetOptions {
  Distance distance = Distance::l1;
  double share = 0;  ///< of the distance in a mask's loss; the rest is the cross-entropy; 0: none
};

struct ObjectiveOptions {
  ObjectiveKind kind = ObjectiveKind::ar;
  int mask_token = -1;  ///< all but ar: the id that stands for [M]
  int block_size = 16;  ///< tidar and block_diffusion: K
  double alpha = 1;     ///< tidar: what the AR term weighs beside the other
  /// tidar: the mask at place m of its block counts e^(-m / place_decay) in the mean of its term,
  /// which divides by the sum of these: it stays a mean, and alpha what one term weighs beside the
  /// other, whatever the blocks are. 0: all count the same.
  double place_decay = 0;
  TargetOptions target{};                        ///< tidar
  Masking masking = Masking::full;               ///< tidar
  BlockStart block_start = BlockStart::aligned;  ///< tidar and block_diffusion
  BlockEnd block_end = BlockEnd::cut;            ///< likewise
  /// Likewise: a document has blocks of one of these sizes, drawn anew each step, all equally
  /// likely; empty: block_size.
  std::vector<int> block_sizes{};
  /// Likewise: from each of these steps on, the sizes that block_sizes gives before them all.
  /// Ascending. For blocks that grow with what the model can do.
  std::vector<BlockStage> block_stages{};
  Prompts prompts = Prompts::learnt;
  /// What draws noise: block_diffusion, masked_diffusion, and tidar with random masking. A clipped
  /// range has less variance (BD3-LM, arXiv 2503.09573); each mask still counts 1 / t, so that the
  /// loss is a mean over tokens, but bounds no likelihood.
  NoiseRange noise{};
  LabelShift label_shift = LabelShift::none;  ///< block_diffusion and masked_diffusion
  int end_token = -1;  ///< what ends a text, for BlockEnd::end_tokens and padding
  /// masked_diffusion: a document that ends with the end token has 0 to so many more of it behind,
  /// as many as drawn anew each step, and no more than it has tokens. They are masked and predicted
  /// like its own, as in decoding, where the output has a length that the text may not fill
  /// (LLaDA).
  int padding = 0;
};

/// What an objective must fit.
struct ObjectiveLimits {
  int tokens = 0;      ///< of the longest document
  int vocabulary = 0;  ///< of the model
};

/// A stretch of text that is read as one sequence.
struct Document {
  std::span<const int32_t> tokens;  ///< at least one; the caller's
  int32_t next = -1;                ///< the token behind them, which may be a label; -1: none
  int32_t prompt = 0;               ///< this many first tokens are the prompt
  /// What else is given, as the words of users between answers: places from the first token on,
  /// ascending; the caller's. That of `next` may be among them.
  std::span<const Range> given{};
};

/// A part of the loss that is reported by itself.
struct LossTerm {
  std::string_view name;  ///< "ar", "diffusion"
  double weight = 1;
};

/// A label's part in the mean of its term.
struct LabelShare {
  int32_t term = 0;    ///< index in Objective::terms()
  float share = 0;     ///< the mean is the sum of share * loss over the term's labels
  int32_t place = -1;  ///< tidar's masks: which of its block, the first is 0; -1: no such mask
};

/// One pass of a step: what the network reads, and what it is held against.
struct TrainingPass {
  Pass pass;
  std::vector<Label> labels;       ///< weight = share * the term's weight
  std::vector<LabelShare> shares;  ///< one a label

  /// For objectives: holds `row` against `token`, with a share in its term that is yet to be
  /// divided by the term's count.
  void add_label(int32_t row, int32_t token, const LabelShare& share,
                 const SoftTarget& target = {});
};

/// The random numbers of one document in one step: functions of what they are for and nothing else,
/// so that a step can be repeated, and does not depend on how documents are spread over passes.
class DocumentNoise {
 public:
  /// start: of blocks; length: of blocks, and of what stands behind a text.
  enum class Purpose : uint8_t { level, mask, start, length };

  DocumentNoise(uint64_t seed, uint64_t step, uint32_t document)
      : seed_(seed), step_(step), document_(document) {}

  /// Uniform in (0, 1); of the token or block `place`.
  float uniform(Purpose purpose, int32_t place) const;
  uint64_t step() const { return step_; }

 private:
  uint64_t seed_, step_;
  uint32_t document_;
};

/// The size of a pass.
struct PassExtent {
  int rows = 0;
  int positions = 0;  ///< rows are at positions 0 to positions - 1
};

/// Immutable.
class Objective {
 public:
  virtual ~Objective() = default;

  virtual std::span<const LossTerm> terms() const = 0;

  /// What a pass comes to at most whose documents have so many tokens together.
  virtual PassExtent largest_pass(int tokens) const = 0;

  /// Adds the document to `out`, as one sequence, with its labels; adds to counts[term] what it
  /// contributes to the number that the term's mean divides by.
  virtual void add(const Document& document, const DocumentNoise& noise, TrainingPass& out,
                   std::span<double> counts) const = 0;
};

/// "ar", "tidar:16", "block:8", "masked": the kind, and the block size where it has one. Without a
/// size it is the default. The Error names the nearest kind.
Result<ObjectiveOptions> parse_objective(std::string_view text);

/// An Error when the options make no sense, or do not fit: no mask token or one outside the
/// vocabulary, a block size below 1 or above the longest document, one of block_sizes or of
/// a stage above block_size, stages without sizes or in another order than their steps, anchors for
/// blocks that are not all masks, a negative alpha or place_decay, a target's share outside 0 to 1,
/// noise outside 0 to 1, a negative padding, no end token where one is needed or one that is the
/// mask token or outside the vocabulary, a label_shift of tidar.
Result<std::unique_ptr<Objective>> make_objective(const ObjectiveOptions& options,
                                                  const ObjectiveLimits& limits);

/// What validation measures of a model that is trained with `options`, so that runs can be compared
/// whatever their recipe: the text alone, in blocks of block_sizes, noise of every level, and
/// cross-entropies that all count the same.
ObjectiveOptions measured(ObjectiveOptions options);

/// What the random numbers of a step come from.
struct StepSeed {
  uint64_t seed = 0;
  uint64_t step = 0;
};

/// The passes of one step: one for each pack, which holds the documents that are read side by side.
/// Documents have at least one token. No label is the mask token, even where a text holds it. A
/// term without any label in the whole step counts as 0.
std::vector<TrainingPass> lay_out_step(const Objective& objective,
                                       std::span<const std::vector<Document>> packs,
                                       const StepSeed& seed);

/// Adds the part that a pass has in the mean of every term; `losses` are those of its labels.
void add_term_means(const TrainingPass& pass, std::span<const double> losses,
                    std::span<double> means);

/// The loss of a step: sum of weight * mean.
double total_loss(std::span<const LossTerm> terms, std::span<const double> means);

}  // namespace tidar
