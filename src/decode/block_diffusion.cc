#include "decode/block_diffusion.h"

#include <algorithm>
#include <utility>

#include "decode/canvas.h"
#include "plan/layouts.h"

namespace tidar {
namespace {

class BlockDiffusionDecoder final : public SequenceDecoder {
 public:
  BlockDiffusionDecoder(Sequence sequence, const BlockDiffusionOptions& options)
      : SequenceDecoder(std::move(sequence)),
        options_(options),
        blocks_(blocks_of(sequence_.size(), options)),
        prompt_blocks_(blocks_.around(sequence_.size(), sequence_.size() + 1).from),
        canvas_(options.reveal) {
    drop_unusable_keys();
    open_block(prompt_blocks_);
  }

  int min_rows() const override { return options_.block_size; }

 private:
  // By passes of its own: those that denoise are what the method costs, and they read the block
  // before them at most.
  bool reads() const override {
    const int32_t length = sequence_.cache.length();
    return length < prompt_blocks_ || canvas_.begin() - length > options_.block_size;
  }
  int32_t readable_tokens() const override { return canvas_.begin(); }
  bool add_rows(Pass& pass, int row_budget) override;
  void use(std::span<const Answer> answers) override;

  static Blocks blocks_of(int32_t prompt_size, const BlockDiffusionOptions& options) {
    const int size = options.block_size;
    if (options.borders == BlockBorders::multiples) return Blocks(size);
    return Blocks(size, (prompt_size - 1) % size + 1);
  }

  void drop_unusable_keys();
  void open_block(int32_t begin);
  int readable_rows(int row_budget) const;
  void read(Pass& pass) const;

  BlockDiffusionOptions options_;
  Blocks blocks_;
  int32_t prompt_blocks_;  // end of the blocks that are prompt alone
  Canvas canvas_;          // the block that is being denoised

  // The pass under way.
  int reading_ = 0;  // rows of text before the block
  bool denoises_ = false;
};

void BlockDiffusionDecoder::drop_unusable_keys() {
  int32_t usable = std::min(sequence_.cache.length(), prompt_blocks_);
  if (options_.keys == BlockKeys::block) usable = blocks_.around(usable, sequence_.size()).from;
  sequence_.cache.truncate(usable);
}

void BlockDiffusionDecoder::open_block(int32_t begin) {
  const int32_t limit = sequence_.size() + sequence_.positions_left();
  canvas_.open(sequence_, begin, blocks_.around(begin, limit).to);
}

// Rows of finished text that a pass can read: all, or whole blocks where keys are a block's.
int BlockDiffusionDecoder::readable_rows(int row_budget) const {
  const int32_t length = sequence_.cache.length();
  const int32_t fits = std::min(canvas_.begin(), length + row_budget);
  if (options_.keys == BlockKeys::causal || fits == canvas_.begin()) return fits - length;
  return blocks_.around(fits, canvas_.begin()).from - length;
}

bool BlockDiffusionDecoder::add_rows(Pass& pass, int row_budget) {
  reading_ = readable_rows(row_budget);
  SequenceCache& cache = sequence_.cache;
  if (!cache.reserve(cache.length() + reading_)) return false;

  pass.begin_sequence(cache);
  read(pass);
  const auto block = static_cast<int>(canvas_.tokens().size());
  denoises_ = !reads() && pass.next_key() == canvas_.begin() && reading_ + block <= row_budget;
  if (denoises_) {
    const int32_t first_row = add_block(pass, canvas_.tokens(), Keep::scratch);
    canvas_.ask(sequence_, pass, first_row, canvas_.end(), LogitShift::none);
  }
  return true;
}

void BlockDiffusionDecoder::read(Pass& pass) const {
  const auto text = sequence_.unread().first(static_cast<size_t>(reading_));
  if (options_.keys == BlockKeys::causal) {
    add_causal(pass, text, Keep::page);
    return;
  }
  const int32_t begin = sequence_.cache.length(), end = begin + reading_;
  for (int32_t at = begin; at < end;) {
    const KeyRange block = blocks_.around(at, end);
    add_block(pass,
              text.subspan(static_cast<size_t>(at - begin), static_cast<size_t>(block.size())),
              Keep::page);
    at = block.to;
  }
}

void BlockDiffusionDecoder::use(std::span<const Answer> answers) {
  sequence_.cache.commit(reading_);
  if (!denoises_) return;
  canvas_.reveal(sequence_, answers, options_.reveal.count);
  canvas_.commit_known(sequence_);
  if (sequence_.size() == canvas_.end() && !full()) open_block(canvas_.end());
}

Result<void> check_options(const BlockDiffusionOptions& options, const SequenceSpec& spec,
                           const EvaluatorLimits& limits) {
  TIDAR_TRY_VOID(check_canvas_spec(spec, "block diffusion"));
  TIDAR_TRY_VOID(check_rule(options.reveal));
  if (options.block_size < 1 || options.block_size > limits.max_rows)
    return error("block size: expected 1 to {} (rows of a pass), found {}", limits.max_rows,
                 options.block_size);
  return {};
}

}  // namespace

MethodFacts facts_of(const BlockDiffusionOptions& options) {
  // A finished block beside the one that is being denoised.
  return {.needs_mask = true,
          .causal_keys = options.keys == BlockKeys::causal,
          .rows = 2 * options.block_size};
}

Result<std::unique_ptr<Decoder>> make_decoder(const BlockDiffusionOptions& options,
                                              SequenceSpec spec, SequenceCache cache,
                                              const EvaluatorLimits& limits) {
  TIDAR_TRY_VOID(check_spec(spec, limits));
  TIDAR_TRY_VOID(check_no_constraint(spec, "block diffusion"));
  TIDAR_TRY_VOID(check_options(options, spec, limits));
  return decoder_of<BlockDiffusionDecoder>(std::move(spec), std::move(cache), limits, options);
}

}  // namespace tidar
