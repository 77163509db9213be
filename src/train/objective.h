#pragma once
// What training asks of a network: an objective turns documents into passes and labels, such that
// the loss of a step is the weighted sum of the labels' cross-entropies. The network knows nothing
// of objectives, and objectives nothing of networks.
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
};

/// Where the last block of a document ends.
enum class BlockEnd : uint8_t {
  cut,    ///< with the document: all rows have tokens
  whole,  ///< behind it, as in decoding, where nobody knows that a text will end: masks without
          ///< labels fill the block, at most half as many as the document has tokens
};

/// Whether prompts (Document::prompt) are learnt.
enum class Prompts : uint8_t {
  learnt,  ///< like everything else
  given,   ///< they have no labels and are never masked by noise
};

struct ObjectiveOptions {
  ObjectiveKind kind = ObjectiveKind::ar;
  int mask_token = -1;              ///< all but ar: the id that stands for [M]
  int block_size = 16;              ///< tidar and block_diffusion: K
  double alpha = 1;                 ///< tidar: what the AR term weighs beside the other
  Masking masking = Masking::full;  ///< tidar
  BlockStart block_start = BlockStart::aligned;  ///< tidar and block_diffusion
  BlockEnd block_end = BlockEnd::cut;            ///< likewise
  /// Likewise: a document has blocks of one of these sizes, drawn anew each step, all equally
  /// likely; empty: block_size.
  std::vector<int> block_sizes{};
  Prompts prompts = Prompts::learnt;
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
};

/// A part of the loss that is reported by itself.
struct LossTerm {
  std::string_view name;  ///< "ar", "diffusion"
  double weight = 1;
};

/// A label's part in the mean of its term.
struct LabelShare {
  int32_t term = 0;    ///< index in Objective::terms()
  float share = 0;     ///< the mean is the sum of share * cross-entropy over the term's labels
  int32_t place = -1;  ///< tidar's masks: which of its block, the first is 0; -1: no such mask
};

/// One pass of a step: what the network reads, and what it is held against.
struct TrainingPass {
  Pass pass;
  std::vector<Label> labels;       ///< weight = share * the term's weight
  std::vector<LabelShare> shares;  ///< one a label

  /// For objectives: holds `row` against `token`, with a share in its term that is yet to be
  /// divided by the term's count.
  void add_label(int32_t row, int32_t token, const LabelShare& share);
};

/// The random numbers of one document in one step: functions of what they are for and nothing else,
/// so that a step can be repeated, and does not depend on how documents are spread over passes.
class DocumentNoise {
 public:
  enum class Purpose : uint8_t { level, mask, start, block_size };

  DocumentNoise(uint64_t seed, uint64_t step, uint32_t document)
      : seed_(seed), step_(step), document_(document) {}

  /// Uniform in (0, 1); of the token or block `place`.
  float uniform(Purpose purpose, int32_t place) const;

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
                   std::span<int64_t> counts) const = 0;
};

/// The kind of that name: ar, tidar, block, masked. The Error names the nearest.
Result<ObjectiveKind> objective_named(std::string_view name);

/// "ar", "tidar:16", "block:8", "masked": the kind, and the block size where it has one. Without a
/// size it is the default.
Result<ObjectiveOptions> parse_objective(std::string_view text);

/// An Error when the options make no sense, or do not fit: no mask token or one outside the
/// vocabulary, a block size below 1 or above the longest document, one of block_sizes above
/// block_size, a negative alpha.
Result<std::unique_ptr<Objective>> make_objective(const ObjectiveOptions& options,
                                                  const ObjectiveLimits& limits);

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
