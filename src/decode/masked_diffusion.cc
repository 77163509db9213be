#include "decode/masked_diffusion.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "plan/layouts.h"

namespace tidar {
namespace {

constexpr std::string_view kMethod = "masked diffusion";

class MaskedDiffusionDecoder final : public SequenceDecoder {
 public:
  // Options without zeros that stand for something else.
  MaskedDiffusionDecoder(Sequence sequence, const MaskedDiffusionOptions& options)
      : SequenceDecoder(std::move(sequence)),
        options_(options),
        prompt_(sequence_.tokens().begin(), sequence_.tokens().end()),
        canvas_(options.reveal) {
    block_end_ = sequence_.size();
    canvas_.open(sequence_, block_end_, block_end_ + options_.length);
    open_block();
  }

  int min_rows() const override { return canvas_.end(); }

 private:
  bool full() const override { return sequence_.size() == canvas_.end(); }
  bool reads() const override { return false; }

  bool add_rows(Pass& pass, int) override {
    std::vector<int32_t> text = prompt_;
    text.insert(text.end(), canvas_.tokens().begin(), canvas_.tokens().end());
    pass.begin_sequence();
    const int32_t first_row = add_bidirectional(pass, text);
    canvas_.ask(sequence_, pass, first_row + canvas_.begin(), block_end_, options_.shift);
    return true;
  }

  void use(std::span<const Answer> answers) override {
    const int masks = canvas_.masks_before(block_end_);
    canvas_.reveal(sequence_, answers, (masks + steps_left_ - 1) / steps_left_);
    --steps_left_;
    canvas_.commit_known(sequence_);
    if (canvas_.masks_before(block_end_) == 0 && !full()) open_block();
  }

  // The steps are spread over the tokens: of a block that ends at `end`, all blocks before it
  // included.
  int steps_until(int32_t end) const {
    const int64_t tokens = end - canvas_.begin();
    return static_cast<int>(tokens * options_.steps / options_.length);
  }

  void open_block() {
    const int32_t begin = block_end_;
    block_end_ = std::min(begin + options_.block_size, canvas_.end());
    steps_left_ = steps_until(block_end_) - steps_until(begin);
  }

  MaskedDiffusionOptions options_;
  std::vector<int32_t> prompt_;
  Canvas canvas_;  // the whole output

  // The block whose masks are being revealed.
  int32_t block_end_ = 0;  // all masks before it are of this block
  int steps_left_ = 0;
};

Result<void> check_options(const MaskedDiffusionOptions& options, const SequenceSpec& spec,
                           const EvaluatorLimits& limits) {
  TIDAR_TRY_VOID(check_canvas_spec(spec, kMethod));
  TIDAR_TRY_VOID(check_rule(options.reveal));
  if (options.length < 1)
    return error("output length: expected at least 1, found {}", options.length);
  if (options.block_size < 0)
    return error("block size: expected at least 1, or 0 for one block, found {}",
                 options.block_size);
  const auto text = static_cast<int64_t>(spec.prompt.size()) + options.length;
  if (text > std::min(limits.max_position, limits.max_rows))
    return error(
        "output length: {} reads the whole text in each pass, and {} tokens of prompt and {} of "
        "output are more than a pass of {} rows and a context of {} tokens hold",
        kMethod, spec.prompt.size(), options.length, limits.max_rows, limits.max_position);
  const int size = options.block_size == 0 ? options.length : options.block_size;
  const int blocks = (options.length - 1) / size + 1;
  if (options.steps != 0 && options.steps < blocks)
    return error("steps: expected at least one for each of {} blocks, found {}", blocks,
                 options.steps);
  return {};
}

}  // namespace

MethodFacts facts_of(const MaskedDiffusionOptions& options) {
  return {.needs_mask = true, .keeps_keys = false, .rows = options.length};
}

Result<std::unique_ptr<Decoder>> make_decoder(const MaskedDiffusionOptions& options,
                                              SequenceSpec spec, SequenceCache cache,
                                              const EvaluatorLimits& limits) {
  TIDAR_TRY_VOID(check_spec(spec, limits));
  TIDAR_TRY_VOID(check_no_constraint(spec, "masked diffusion"));
  TIDAR_TRY_VOID(check_options(options, spec, limits));
  MaskedDiffusionOptions whole = options;
  if (whole.steps == 0) whole.steps = whole.length;
  if (whole.block_size == 0 || whole.block_size > whole.length) whole.block_size = whole.length;
  return decoder_of<MaskedDiffusionDecoder>(std::move(spec), std::move(cache), limits, whole);
}

}  // namespace tidar
