// Block diffusion against the same written down plainly: a whole boolean matrix for each pass, no
// cache, no decoder.

#include "decode/block_diffusion.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "decode/canvas_testing.h"
#include "decode/constraint_testing.h"
#include "decode/drive_testing.h"

namespace tidar {
namespace {

using Tokens = std::vector<int32_t>;

const EvaluatorLimits kBlockLimits{
    .max_rows = 256, .pages = 16, .max_position = 300, .vocabulary = 11};

MockModel random_block_model(Rng& rng) {
  return {.seed = rng.bits(),
          .agreement = std::array{0.0, 0.5, 0.95}[static_cast<size_t>(rng.below(3))]};
}

BlockDiffusionOptions random_options(Rng& rng) {
  return {.block_size = std::array{1, 2, 3, 4, 8, 16}[static_cast<size_t>(rng.below(6))],
          .reveal = random_rule(rng),
          .keys = static_cast<BlockKeys>(rng.below(2)),
          .borders = static_cast<BlockBorders>(rng.below(2))};
}

struct BlockOutcome {
  Tokens output;  // whole blocks
  int64_t passes = 0;
};

class BlockSimulation {
 public:
  BlockSimulation(const MockModel& model, const SequenceSpec& spec,
                  const BlockDiffusionOptions& options)
      : model_(model),
        spec_(spec),
        options_(options),
        text_(spec.prompt),
        prompt_(static_cast<int>(spec.prompt.size())) {}

  BlockOutcome run(int wanted) {
    const int size = options_.block_size;
    int begin = options_.borders == BlockBorders::multiples ? prompt_ / size * size : prompt_;
    for (; static_cast<int>(text_.size()) < prompt_ + wanted; begin += size) denoise(begin);
    outcome_.output.assign(text_.begin() + prompt_, text_.end());
    return outcome_;
  }

 private:
  // The number of the block of a position; those before the output may be negative.
  int block_of(int position) const {
    const int size = options_.block_size;
    if (options_.borders == BlockBorders::multiples) return position / size;
    return position < prompt_ ? -1 - (prompt_ - 1 - position) / size : (position - prompt_) / size;
  }

  // Denoises the block from `begin` on, of which the first tokens may be known.
  void denoise(int begin) {
    std::vector<std::optional<int32_t>> found(text_.begin() + begin, text_.end());
    found.resize(static_cast<size_t>(options_.block_size));
    while (std::count(found.begin(), found.end(), std::nullopt) > 0) pass(begin, found);
    text_.resize(static_cast<size_t>(begin));
    for (const auto& token : found) text_.push_back(*token);
  }

  // Row q sees key k where both are text before the block, by the way that keys are read; and rows
  // of the block see everything.
  bool sees(int q, int k, int begin) const {
    if (q >= begin) return true;
    if (k >= begin) return false;
    if (options_.keys == BlockKeys::causal) return k <= q;
    return block_of(k) <= block_of(q);
  }

  void pass(int begin, std::vector<std::optional<int32_t>>& found) {
    Tokens tokens(text_.begin(), text_.begin() + begin);
    for (const auto& token : found) tokens.push_back(token.value_or(spec_.mask_token));
    const auto size = static_cast<int>(tokens.size());
    std::vector<int32_t> positions;
    std::vector<std::string> allowed;
    for (int q = 0; q < size; ++q) {
      positions.push_back(q);
      allowed.emplace_back();
      for (int k = 0; k < size; ++k) allowed.back() += sees(q, k, begin) ? '1' : '0';
    }
    const auto logits = dense_logits(model_, tokens, positions, allowed);
    const auto changes = plain_changes(spec_, {}, model_.vocabulary);
    std::vector<MaskGuess> guesses;
    Tokens choices;
    for (size_t i = 0; i < found.size(); ++i) {
      if (found[i]) continue;
      const auto position = static_cast<size_t>(begin) + i;
      const Ask ask{.sampling = spec_.sampling,
                    .changes = all_of(changes),
                    .draw = static_cast<uint64_t>(outcome_.passes) << 32 | position};
      const Answer answer = mock_answer(ask, logits[position], nullptr, changes);
      guesses.push_back(
          plain_guess(static_cast<int>(position), answer, logits[position], spec_.mask_token));
      choices.push_back(answer.token);
    }
    for (const size_t index : revealed(guesses, options_.reveal, spec_.sampling.seed))
      found[static_cast<size_t>(guesses[index].position - begin)] = choices[index];
    ++outcome_.passes;
  }

  MockModel model_;
  SequenceSpec spec_;
  BlockDiffusionOptions options_;
  Tokens text_;  // the prompt and whole blocks
  int prompt_;
  BlockOutcome outcome_;
};

struct BlockBench {
  explicit BlockBench(const MockModel& model, const EvaluatorLimits& limits = kBlockLimits)
      : evaluator(model, limits), pool(limits.pages) {}
  Driven block_diffusion(const SequenceSpec& spec, const BlockDiffusionOptions& options,
                         int wanted) {
    return {.decoder = make_decoder(options, spec, SequenceCache(pool), evaluator.limits()).value(),
            .wanted = wanted};
  }

  MockEvaluator evaluator;
  PagePool pool;
};

// Like `truth`, which may have decoded more of the last block.
void expect_begins(const Tokens& truth, const Tokens& found) {
  ASSERT_GE(truth.size(), found.size());
  EXPECT_EQ(found,
            Tokens(truth.begin(), truth.begin() + static_cast<std::ptrdiff_t>(found.size())));
}

class BlockDiffusion : public testing::TestWithParam<uint64_t> {
 protected:
  Rng rng{GetParam()};
};

TEST_P(BlockDiffusion, DecodesAsWrittenDown) {
  for (int round = 0; round < 8; ++round) {
    const MockModel model = random_block_model(rng);
    const SequenceSpec spec = random_canvas_spec(rng);
    const BlockDiffusionOptions options = random_options(rng);
    SCOPED_TRACE(testing::Message()
                 << "blocks of " << options.block_size << ", order "
                 << static_cast<int>(options.reveal.order) << ", keys "
                 << static_cast<int>(options.keys) << ", borders "
                 << static_cast<int>(options.borders) << ", prompt " << spec.prompt.size());
    const int wanted = 20;
    const BlockOutcome truth = BlockSimulation(model, spec, options).run(wanted);
    BlockBench bench(model);
    Driven driven = bench.block_diffusion(spec, options, static_cast<int>(truth.output.size()));
    drive(bench.evaluator, driven);
    EXPECT_EQ(driven.tokens(), truth.output);
    EXPECT_EQ(driven.totals.passes, truth.passes);
    EXPECT_EQ(driven.totals.committed, static_cast<int64_t>(truth.output.size()));

    // Few rows cost passes, not tokens.
    Driven cramped = bench.block_diffusion(spec, options, wanted);
    drive(bench.evaluator, cramped, [&](int) { return 1 + rng.below(3 * options.block_size); });
    expect_begins(truth.output, cramped.tokens());
  }
}

// Keys that stay are those of one pass over the text, read causally or block by block.
TEST_P(BlockDiffusion, KeysAreThoseOfOnePrefill) {
  const MockModel model = random_block_model(rng);
  const SequenceSpec spec = random_canvas_spec(rng);
  BlockDiffusionOptions options = random_options(rng);
  BlockBench bench(model);
  Driven driven = bench.block_diffusion(spec, options, 1 + rng.below(80));
  Driven* all[] = {&driven};
  Pass pass;
  int32_t keys = 0;  // after the last pass
  while (!driven.done()) {
    drive_pass(bench.evaluator, pass, all);
    keys = pass.sequences[0].cached + pass.sequences[0].stored;
  }
  Tokens text = spec.prompt;
  const Tokens output = driven.tokens();
  text.insert(text.end(), output.begin(), output.end());
  ASSERT_LE(keys, static_cast<int32_t>(text.size()));
  ASSERT_GE(keys, static_cast<int32_t>(text.size()) - 2 * options.block_size);
  text.resize(static_cast<size_t>(keys));

  BlockBench fresh(model);
  SequenceCache cache(fresh.pool);
  ASSERT_TRUE(cache.reserve(keys));
  pass.clear();
  pass.begin_sequence(cache);
  const auto prompt = static_cast<int>(spec.prompt.size());
  const int first = options.borders == BlockBorders::multiples
                        ? options.block_size
                        : (prompt - 1) % options.block_size + 1;
  const Blocks blocks =
      options.keys == BlockKeys::causal ? Blocks(1) : Blocks(options.block_size, first);
  for (int32_t at = 0; at < keys;) {
    const KeyRange block = blocks.around(at, keys);
    add_block(pass,
              std::span(text).subspan(static_cast<size_t>(at), static_cast<size_t>(block.size())),
              Keep::page);
    at = block.to;
  }
  fresh.evaluator.evaluate(pass, {});
  EXPECT_EQ(bench.evaluator.keys(driven.pages, keys), fresh.evaluator.keys(cache.pages(), keys));
}

// A threshold that nothing reaches is the most confident token of each pass.
TEST_P(BlockDiffusion, AboveOneTheThresholdIsConfidenceMax) {
  const MockModel model = random_block_model(rng);
  const SequenceSpec spec = random_canvas_spec(rng);
  BlockDiffusionOptions options{.block_size = 8};
  BlockBench bench(model);
  Driven one = bench.block_diffusion(spec, options, 40);
  options.reveal.threshold = 1.01f;
  Driven high = bench.block_diffusion(spec, options, 40);
  drive(bench.evaluator, one);
  drive(bench.evaluator, high);
  EXPECT_EQ(high.tokens(), one.tokens());
  EXPECT_EQ(high.totals.passes, 40);
  EXPECT_EQ(high.totals.accepted, one.totals.accepted);
}

// Up to the last position: the last block is as short as the context leaves it.
TEST_P(BlockDiffusion, StopsAtTheLastPosition) {
  EvaluatorLimits limits = kBlockLimits;
  limits.max_position = 2 + rng.below(70);
  const MockModel model = random_block_model(rng);
  SequenceSpec spec = random_canvas_spec(rng);
  spec.prompt = random_text(rng, 1 + rng.below(limits.max_position - 1));
  BlockBench bench(model, limits);
  Driven driven = bench.block_diffusion(spec, random_options(rng), 1000);
  drive(bench.evaluator, driven);
  EXPECT_EQ(driven.decoder->phase(), Phase::full);
  EXPECT_EQ(driven.output.size() + spec.prompt.size(), static_cast<size_t>(limits.max_position));
}

// A cache that holds the beginning of the prompt already, perhaps up to the middle of a block,
// which then saw only a part of itself.
TEST_P(BlockDiffusion, GoesOnFromASharedBeginning) {
  const MockModel model = random_block_model(rng);
  const SequenceSpec spec = random_canvas_spec(rng);
  BlockDiffusionOptions options = random_options(rng);
  options.borders = BlockBorders::multiples;
  BlockBench bench(model);
  SequenceCache cache(bench.pool);
  const int known = rng.below(static_cast<int>(spec.prompt.size()));
  ASSERT_TRUE(cache.reserve(known + 1));
  if (known > 0) {
    Pass pass;
    pass.begin_sequence(cache);
    const Blocks blocks = options.keys == BlockKeys::causal ? 1 : options.block_size;
    for (KeyRange block; block.to < known;) {
      block = blocks.around(block.to, known);
      add_block(pass,
                std::span(spec.prompt)
                    .subspan(static_cast<size_t>(block.from), static_cast<size_t>(block.size())),
                Keep::page);
    }
    bench.evaluator.evaluate(pass, {});
    cache.commit(known);
  }
  Driven driven{.decoder = make_decoder(options, spec, std::move(cache), kBlockLimits).value(),
                .wanted = 20};
  drive(bench.evaluator, driven);
  expect_begins(BlockSimulation(model, spec, options).run(40).output, driven.tokens());
}

INSTANTIATE_TEST_SUITE_P(Seeds, BlockDiffusion, testing::Range<uint64_t>(0, 30));

SequenceSpec short_block_spec() {
  SequenceSpec spec;
  spec.prompt = {1, 2, 3};
  spec.mask_token = 10;
  return spec;
}

// A finished block is read in the first pass of the next one, so n tokens a pass are n tokens a
// pass; the last block is never read.
TEST(BlockDiffusionStats, FinishedBlocksCostRowsNotPasses) {
  BlockBench bench(MockModel{.seed = 3});
  Driven driven =
      bench.block_diffusion(short_block_spec(), {.block_size = 4, .reveal = {.count = 2}}, 12);
  Driven* all[] = {&driven};
  Pass pass;
  std::vector<int> rows;
  while (!driven.done()) {
    drive_pass(bench.evaluator, pass, all);
    rows.push_back(pass.rows());
  }
  EXPECT_EQ(rows, (std::vector<int>{3, 4, 4, 8, 4, 8, 4}));
  EXPECT_EQ(driven.totals.passes, 6);
  EXPECT_EQ(driven.totals.committed, 12);
}

// Tokens come out as soon as no mask stands before them.
TEST(BlockDiffusionStats, FromLeftToRightEveryPassCommits) {
  BlockBench bench(MockModel{.seed = 3});
  Driven driven = bench.block_diffusion(
      short_block_spec(),
      {.block_size = 4, .reveal = {.order = RevealOrder::left_to_right, .count = 1}}, 12);
  drive(bench.evaluator, driven);
  EXPECT_EQ(driven.totals.accepted, (std::vector<int64_t>{0, 12}));
}

TEST(MakeBlockDiffusion, RefusesWhatItCannotFollow) {
  PagePool pool(1);
  const auto complaint = [&](const BlockDiffusionOptions& options,
                             const SequenceSpec& spec = short_block_spec()) {
    const auto made = make_decoder(options, spec, SequenceCache(pool), kBlockLimits);
    return made.ok() ? "" : made.error().message;
  };
  const auto has = [](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << "'" << text << "' lacks '" << part << "'";
  };
  EXPECT_EQ(complaint({}), "");
  has(complaint({.block_size = 0}), "block size: expected 1 to 256");
  has(complaint({.block_size = 257}), "block size");
  has(complaint({.reveal = {.count = 0}}), "tokens of a pass");
  SequenceSpec spec = short_block_spec();
  spec.mask_token = -1;
  has(complaint({}, spec), "mask token: block diffusion needs one");
  spec = short_block_spec();
  spec.penalties.bias = {{.token = 1, .add = 2}};
  EXPECT_EQ(complaint({}, spec), "");
  spec.penalties.frequency = 0.1f;
  has(complaint({}, spec), "penalties: block diffusion");
  spec = short_block_spec();
  spec.constraint = std::make_shared<MockConstraint>(MockLanguage());
  has(complaint({}, spec), "block diffusion cannot keep to a given form of output");
  spec.prompt = {};
  has(complaint({}, spec), "prompt");
}

}  // namespace
}  // namespace tidar
