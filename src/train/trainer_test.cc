#include "train/trainer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <memory>
#include <numeric>
#include <optional>

#include "comm/thread_ranks_testing.h"
#include "format/files.h"
#include "format/files_testing.h"
#include "format/tensors.h"
#include "net/trainable_testing.h"
#include "train/checkpoint.h"
#include "train/initial_weights.h"

namespace tidar {
namespace {

constexpr int kSequence = 48;

/// A text in which much can be learnt: arithmetic progressions.
std::filesystem::path write_text(const ScratchFolder& folder, int vocabulary, int documents = 300) {
  auto path = folder.path() / "text.shard";
  auto writer = TokenShardWriter::create(path, vocabulary);
  Rng rng(3);
  for (int d = 0; d < documents; ++d) {
    std::vector<int32_t> ids;
    const int step = 1 + rng.below(3);
    int id = rng.below(vocabulary - 1);
    const int size = 2 + rng.below(60);
    for (int i = 0; i < size; ++i, id = (id + step) % (vocabulary - 1)) ids.push_back(id);
    EXPECT_TRUE(writer->add(ids).ok());
  }
  EXPECT_TRUE(writer->finish().ok());
  return path;
}

ModelConfig small_model() {
  Rng rng(6);
  return random_model(rng, 1);
}

/// With moments in 8 bits matrices are so large that they become codes, some in blocks that are not
/// full, and others so small that they do not.
ModelConfig model_for(const TrainerOptions& options) {
  ModelConfig config = small_model();
  if (options.adamw.moments == MomentFormat::f32) return config;
  config.hidden = 64;
  config.ffn = 83;
  config.heads = config.kv_heads = 2;
  config.head_size = 16;
  return config;
}

/// A run with all that it stands on.
struct TrialRun {
  ModelConfig config;
  Threads threads{2};
  std::unique_ptr<Communicator> solo = make_solo();
  Communicator& ranks;
  TrainableOnBackend model;
  std::unique_ptr<Objective> objective;
  std::unique_ptr<Trainer> trainer;

  TrialRun(const std::filesystem::path& text, const TrainerOptions& options,
           const TrainingBackend& backend = all_training_backends().back(),
           const std::vector<std::string>& frozen = {}, Communicator* others = nullptr,
           const std::optional<ModelConfig>& other_model = {})
      : config(other_model.value_or(model_for(options))),
        ranks(others != nullptr ? *others : *solo),
        model(config, ModelWeights::random(config, DType::f32, 2), backend, WeightFormat::f32, 2,
              without(frozen)) {
    initialise(config, 5, model->parameters());
    model->refresh();
    ObjectiveOptions kind = parse_objective("tidar:4").value();
    kind.mask_token = config.vocabulary - 1;
    objective = std::move(make_objective(kind, {kSequence, config.vocabulary}).value());
    auto stream = TokenStream::open({text}, {kSequence, config.vocabulary, 7});
    EXPECT_TRUE(stream.ok()) << stream.error().message;
    trainer =
        std::make_unique<Trainer>(*model, *objective, std::move(*stream), options, ranks, threads);
  }

  /// Losses and norms of gradients likewise.
  std::vector<double> go_with_norms(int64_t last) {
    std::vector<double> numbers;
    while (trainer->state().step < last) {
      const TrainedStep report = trainer->step().value();
      numbers.insert(numbers.end(), {report.loss, report.gradient_norm});
    }
    return numbers;
  }

  /// Of some text, by all ranks.
  std::vector<double> validate(const std::filesystem::path& text) {
    auto stream = TokenStream::open({text}, {kSequence, config.vocabulary, 1});
    const TextLoss loss = text_loss(*model, *objective, *stream, 5, ranks).value();
    const PlaceLoss& last = loss.places.at(3);
    return {loss.loss, loss.terms.at(1), last.loss, static_cast<double>(last.labels)};
  }

  static TrainableOptions without(const std::vector<std::string>& frozen) {
    TrainableOptions options = TrainableOnBackend::kOptions;
    options.frozen = frozen;
    return options;
  }

  /// The losses of steps up to `last`.
  std::vector<double> go(int64_t last) {
    std::vector<double> losses;
    while (trainer->state().step < last) losses.push_back(trainer->step().value().loss);
    return losses;
  }

  std::string weights() {
    std::string bytes;
    for (const Parameter& parameter : model->parameters().all()) {
      bytes.append(reinterpret_cast<const char*>(parameter.value.data),
                   static_cast<size_t>(parameter.value.bytes()));
    }
    return bytes;
  }

  /// Of one rank that is alone.
  RunMemory memory() {
    std::optional<Moments> none;
    return trainer->memory(none);
  }

  CheckpointContents contents(const TrainingState& state) {
    return {.config = config, .memory = memory(), .state = state, .run = "{\"steps\": 40}"};
  }
};

TrainerOptions options(int64_t steps) {
  TrainerOptions options;
  options.packs = 2;
  options.schedule = {Decay::cosine, 3e-3, 3e-4, steps, 4, 0};
  return options;
}

class TrainerTest : public ::testing::Test {
 protected:
  ScratchFolder folder_;
  std::filesystem::path text_ = write_text(folder_, small_model().vocabulary);
};

TEST_F(TrainerTest, LossFallsFromThatOfAUniformGuess) {
  TrainerOptions fast = options(150);
  fast.schedule.peak = 2e-2;
  TrialRun run(text_, fast);
  const std::vector<double> losses = run.go(150);
  EXPECT_TRUE(run.trainer->done());
  EXPECT_NEAR(losses.front(), std::log(run.config.vocabulary), 0.2);
  EXPECT_LT(losses.back(), 0.8 * losses.front());
}

/// All numbers of the checkpoint's model.safetensors, in the order of the parameters.
std::string saved_weights(const Checkpoint& checkpoint, const Parameters& parameters) {
  const TensorFile file = TensorFile::open(checkpoint.folder / "model.safetensors").value();
  std::string bytes;
  for (const Parameter& parameter : parameters.all()) {
    for (const StoredTensor& tensor : file.tensors()) {
      if (tensor.name != parameter.spec.name) continue;
      bytes.append(reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size());
    }
  }
  return bytes;
}

TEST_F(TrainerTest, TheMeanOfWeightsIsSavedAndResumed) {
  TrainerOptions averaged = options(20);
  averaged.ema = 0.7;
  const std::vector<std::string> frozen = {"model.embed_tokens.weight", "model.norm.weight"};
  const TrainingBackend backend = all_training_backends().back();
  const auto out = folder_.path() / "out";
  TrialRun whole(text_, averaged, backend, frozen);
  const std::string began = whole.weights();
  const std::vector<double> losses = whole.go(20);
  TrialRun plain(text_, options(20), backend, frozen);
  EXPECT_EQ(plain.go(20), losses) << "the mean is beside what is trained";
  for (const std::string& name : frozen) {
    for (const Parameter& parameter : whole.model->parameters().all()) {
      EXPECT_EQ(parameter.frozen(), std::count(frozen.begin(), frozen.end(), parameter.spec.name));
    }
    EXPECT_NE(whole.weights(), began) << name;
  }

  TrialRun first(text_, averaged, backend, frozen);
  first.go(9);
  const auto saved = save_checkpoint(out, first.contents(first.trainer->state()), 2).value();
  const std::string own = first.weights();
  std::string mean;
  {
    const AverageInUse use(*first.trainer);
    mean = first.weights();
  }
  EXPECT_EQ(first.weights(), own);
  EXPECT_NE(mean, own);
  EXPECT_NE(mean, began);
  EXPECT_EQ(saved_weights(saved, first.model->parameters()), mean);

  TrialRun second(text_, averaged, backend, frozen);
  const auto restored = restore_checkpoint(saved, second.memory());
  ASSERT_TRUE(restored.ok()) << restored.error().message;
  ASSERT_TRUE(second.trainer->restore(restored->state).ok());
  EXPECT_EQ(second.go(20), std::vector<double>(losses.begin() + 9, losses.end()));
  const AverageInUse one(*second.trainer), other(*whole.trainer);
  EXPECT_EQ(second.weights(), whole.weights());

  TrialRun unfrozen(text_, averaged, backend);
  for (TrialRun* const stranger : {&plain, &unfrozen}) {
    const auto refused = restore_checkpoint(saved, stranger->memory());
    ASSERT_FALSE(refused.ok());
    EXPECT_TRUE(says(refused.error().message, "\"frozen\""));
  }
}

TEST_F(TrainerTest, TheBestCheckpointIsKept) {
  const auto out = folder_.path() / "out";
  TrialRun run(text_, options(10));
  for (int64_t step = 1; step <= 5; ++step) {
    run.go(step);
    CheckpointContents contents = run.contents(run.trainer->state());
    if (step >= 2) contents.best = BestStep{.value = 0.25, .step = 2};
    ASSERT_TRUE(save_checkpoint(out, contents, 2).ok());
  }
  std::vector<int64_t> steps;
  for (const Checkpoint& one : checkpoints_of(out)) steps.push_back(one.step);
  EXPECT_EQ(steps, (std::vector<int64_t>{2, 4, 5}));
  EXPECT_EQ(std::filesystem::read_symlink(out / "best"), "step-00000002");
  EXPECT_EQ(std::filesystem::read_symlink(out / "latest"), "step-00000005");
  const auto restored = restore_checkpoint(checkpoints_of(out)[1], run.memory());
  ASSERT_TRUE(restored->best);
  EXPECT_EQ(restored->best->value, 0.25);
  EXPECT_EQ(restored->best->step, 2);
}

TEST_F(TrainerTest, ABestCheckpointThatIsGoneIsNotTheBest) {
  const auto out = folder_.path() / "out";
  TrialRun run(text_, options(10));
  for (int64_t step = 1; step <= 3; ++step) {
    run.go(step);
    CheckpointContents contents = run.contents(run.trainer->state());
    contents.best = BestStep{.value = 1.0 / static_cast<double>(step), .step = step < 3 ? 1 : 3};
    ASSERT_TRUE(save_checkpoint(out, contents, 1).ok());
  }
  // Step 1 went when step 3 was better; of the steps that are left, 2 still names it.
  TrialRun older(text_, options(10));
  older.go(2);
  CheckpointContents contents = older.contents(older.trainer->state());
  contents.best = BestStep{.value = 1, .step = 1};
  ASSERT_TRUE(save_checkpoint(out, contents, 2).ok());
  ASSERT_EQ(checkpoints_of(out)[0].step, 2);
  ASSERT_TRUE(std::filesystem::is_symlink(out / "best"));
  EXPECT_FALSE(restore_checkpoint(checkpoints_of(out)[0], run.memory())->best);
  ASSERT_TRUE(leave_newer_behind(out, checkpoints_of(out)[0]).ok());
  EXPECT_FALSE(std::filesystem::is_symlink(out / "best")) << "it would point to nothing";
}

/// Of matrices that sums in another order led to: a step moves a weight by a rate at most, whatever
/// the size of its gradient.
double largest_difference(const std::string& a, const std::string& b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); i += sizeof(float)) {
    float x = 0, y = 0;
    std::memcpy(&x, a.data() + i, sizeof(x));
    std::memcpy(&y, b.data() + i, sizeof(y));
    largest = std::max(largest, std::abs(double{x} - double{y}));
  }
  return largest;
}

TEST_F(TrainerTest, RanksDoWhatOneDoesWithAllTheirPacks) {
  constexpr int kSteps = 12;
  TrainerOptions averaged = options(kSteps);
  averaged.ema = 0.5;
  const TrainingBackend backend = all_training_backends().back();
  const std::vector<std::string> frozen = {"model.layers.0.mlp.up_proj.weight",
                                           "model.norm.weight"};
  for (const int ranks : {2, 3}) {
    SCOPED_TRACE(ranks);
    TrainerOptions whole = averaged;
    whole.packs = averaged.packs * ranks;
    TrialRun one(text_, whole, backend, frozen);
    const std::vector<double> numbers = one.go_with_norms(kSteps);
    const auto out = folder_.path() / std::to_string(ranks);
    std::vector<std::vector<double>> found(static_cast<size_t>(ranks)), again = found,
                                                                        validated = found;
    std::vector<std::string> weights(found.size()), weights_again = weights;
    std::vector<int64_t> bytes(found.size());
    run_as_ranks(ranks, [&](Communicator& here) {
      const auto r = static_cast<size_t>(here.rank());
      TrialRun run(text_, averaged, backend, frozen, &here);
      found[r] = run.go_with_norms(7);
      bytes[r] = run.trainer->moment_bytes();
      std::optional<Moments> moments;
      CheckpointContents contents = {.config = run.config,
                                     .memory = run.trainer->memory(moments),
                                     .state = run.trainer->state()};
      if (here.first()) {
        EXPECT_TRUE(save_checkpoint(out, contents, 1).ok());
      }
      any(here, false);  // all wait for it
      const std::vector<double> rest = run.go_with_norms(kSteps);
      found[r].insert(found[r].end(), rest.begin(), rest.end());
      weights[r] = run.weights();
      validated[r] = run.validate(text_);
    });
    run_as_ranks(ranks, [&](Communicator& here) {
      const auto r = static_cast<size_t>(here.rank());
      TrialRun run(text_, averaged, backend, frozen, &here);
      std::optional<Moments> moments;
      const RunMemory memory = run.trainer->memory_to_restore(moments);
      const auto restored = restore_checkpoint(checkpoints_of(out).back(), memory);
      ASSERT_TRUE(restored.ok()) << restored.error().message;
      run.trainer->take(moments);
      ASSERT_TRUE(run.trainer->restore(restored->state).ok());
      again[r] = run.go_with_norms(kSteps);
      weights_again[r] = run.weights();
    });
    for (size_t r = 0; r < found.size(); ++r) {
      EXPECT_EQ(found[r], found[0]);
      EXPECT_EQ(weights[r], weights[0]);
      EXPECT_EQ(validated[r], validated[0]);
      EXPECT_EQ(again[r], std::vector<double>(found[0].begin() + 14, found[0].end()));
      EXPECT_EQ(weights_again[r], weights[0]) << "a resumed run is the same, to the bit";
      EXPECT_LT(bytes[r], one.trainer->moment_bytes() * 2 / 3);
    }
    EXPECT_EQ(std::accumulate(bytes.begin(), bytes.end(), int64_t{0}), one.trainer->moment_bytes());
    ASSERT_EQ(found[0].size(), numbers.size());
    for (size_t i = 0; i < numbers.size(); ++i) EXPECT_NEAR(found[0][i], numbers[i], 2e-5) << i;
    const std::vector<double> alone = one.validate(text_);
    for (size_t i = 0; i < alone.size(); ++i) EXPECT_NEAR(validated[0][i], alone[i], 2e-5) << i;
    EXPECT_LT(largest_difference(weights[0], one.weights()), 1e-3);
    // What was written by several can be gone on with by one.
    const auto restored = restore_checkpoint(checkpoints_of(out).back(), one.memory());
    ASSERT_TRUE(restored.ok());
    ASSERT_TRUE(one.trainer->restore(restored->state).ok());
    EXPECT_NEAR(one.go(8).at(0), numbers[14], 2e-5);
  }
}

TrainerOptions options_in_8_bits(int64_t steps) {
  TrainerOptions coded = options(steps);
  coded.adamw.moments = MomentFormat::bits8;
  return coded;
}

/// The mean of the losses of some steps; `numbers` as go_with_norms() gives them.
double mean_loss(const std::vector<double>& numbers, size_t from, size_t to) {
  double sum = 0;
  for (size_t step = from; step < to; ++step) sum += numbers[2 * step];
  return sum / static_cast<double>(to - from);
}

TEST_F(TrainerTest, MomentsIn8BitsTrainAsWell) {
  constexpr int kSteps = 120;
  TrainerOptions coded = options_in_8_bits(kSteps);
  coded.schedule.peak = 1e-2;
  TrialRun run(text_, coded);
  int64_t codes = 0;
  for (size_t p = 0; p < run.model->parameters().all().size(); ++p) {
    codes += run.memory().moments.has_codes(p);
  }
  EXPECT_GT(codes, 0);
  EXPECT_LT(codes, std::ssize(run.model->parameters().all()));
  EXPECT_LT(run.trainer->moment_bytes(), 8 * run.model->parameters().count() / 2);
  const std::vector<double> numbers = run.go_with_norms(kSteps);
  // The same run with moments as they are.
  coded.adamw.moments = MomentFormat::f32;
  const ModelConfig config = run.config;
  TrialRun plain(text_, coded, all_training_backends().back(), {}, nullptr, config);
  const std::vector<double> truth = plain.go_with_norms(kSteps);
  EXPECT_EQ(numbers[0], truth[0]);
  EXPECT_LT(mean_loss(truth, kSteps - 20, kSteps), 0.9 * truth[0]);
  EXPECT_NEAR(mean_loss(numbers, kSteps - 20, kSteps), mean_loss(truth, kSteps - 20, kSteps), 0.02);
}

TEST_F(TrainerTest, MomentsIn8BitsResumeToTheBitOnAnyRanks) {
  constexpr int kSteps = 12, kSaved = 7;
  const TrainingBackend backend = all_training_backends().back();
  for (const int ranks : {1, 3}) {
    SCOPED_TRACE(ranks);
    const auto out = folder_.path() / std::to_string(ranks);
    const auto count = static_cast<size_t>(ranks);
    std::vector<std::vector<double>> found(count), again(count);
    std::vector<std::string> weights(count), weights_again(count);
    run_as_ranks(ranks, [&](Communicator& here) {
      const auto r = static_cast<size_t>(here.rank());
      TrialRun run(text_, options_in_8_bits(kSteps), backend, {}, &here);
      run.go(kSaved);
      std::optional<Moments> moments;
      CheckpointContents contents = {.config = run.config,
                                     .memory = run.trainer->memory(moments),
                                     .state = run.trainer->state()};
      if (here.first()) {
        EXPECT_TRUE(save_checkpoint(out, contents, 1).ok());
      }
      any(here, false);  // all wait for it
      found[r] = run.go_with_norms(kSteps);
      weights[r] = run.weights();
    });
    run_as_ranks(ranks, [&](Communicator& here) {
      const auto r = static_cast<size_t>(here.rank());
      TrialRun run(text_, options_in_8_bits(kSteps), backend, {}, &here);
      run.go(2);  // anything
      std::optional<Moments> moments;
      const auto restored =
          restore_checkpoint(checkpoints_of(out).back(), run.trainer->memory_to_restore(moments));
      ASSERT_TRUE(restored.ok()) << restored.error().message;
      run.trainer->take(moments);
      ASSERT_TRUE(run.trainer->restore(restored->state).ok());
      again[r] = run.go_with_norms(kSteps);
      weights_again[r] = run.weights();
    });
    for (size_t r = 0; r < count; ++r) {
      EXPECT_EQ(found[r], found[0]);
      EXPECT_EQ(weights[r], weights[0]);
      EXPECT_EQ(again[r], found[0]);
      EXPECT_EQ(weights_again[r], weights[0]);
    }
    // One rank with as many packs is where the others were, and goes on alike.
    TrainerOptions whole = options_in_8_bits(kSteps);
    whole.packs *= ranks;
    TrialRun one(text_, whole, backend);
    const auto restored = restore_checkpoint(checkpoints_of(out).back(), one.memory());
    ASSERT_TRUE(restored.ok()) << restored.error().message;
    ASSERT_TRUE(one.trainer->restore(restored->state).ok());
    const std::vector<double> alone = one.go_with_norms(kSteps);
    ASSERT_EQ(alone.size(), found[0].size());
    for (size_t i = 0; i < alone.size(); ++i) EXPECT_NEAR(alone[i], found[0][i], 1e-3) << i;
    // Moments of another kind are not taken for these.
    TrialRun plain(text_, options(kSteps), backend, {}, nullptr, one.config);
    const auto refused = restore_checkpoint(checkpoints_of(out).back(), plain.memory());
    ASSERT_FALSE(refused.ok());
    EXPECT_TRUE(says(refused.error().message, "\"moments\""));
  }
}

TEST_F(TrainerTest, ResumesToTheBit) {
  for (const TrainingBackend& backend : all_training_backends()) {
    SCOPED_TRACE(backend.name);
    if (backend.activation != DType::f32) continue;
    const auto out = folder_.path() / backend.name;
    TrialRun whole(text_, options(24), backend);
    const std::vector<double> losses = whole.go(24);

    TrialRun first(text_, options(24), backend);
    first.go(11);
    ASSERT_TRUE(save_checkpoint(out, first.contents(first.trainer->state()), 2).ok());
    first.go(15);  // what a killed run did after its checkpoint is lost

    TrialRun second(text_, options(24), backend);
    second.go(3);  // anything
    const auto restored = restore_checkpoint(checkpoints_of(out).back(), second.memory());
    ASSERT_TRUE(restored.ok()) << restored.error().message;
    EXPECT_EQ(restored->run, "{\"steps\": 40}");
    ASSERT_TRUE(second.trainer->restore(restored->state).ok());
    EXPECT_EQ(second.trainer->state().step, 11);
    const std::vector<double> rest = second.go(24);
    EXPECT_EQ(rest, std::vector<double>(losses.begin() + 11, losses.end()));
    EXPECT_EQ(second.weights(), whole.weights());
    EXPECT_EQ(second.trainer->state().tokens, whole.trainer->state().tokens);
  }
}

TEST_F(TrainerTest, ACheckpointIsAModelFolder) {
  TrialRun run(text_, options(4));
  run.go(2);
  const auto saved =
      save_checkpoint(folder_.path() / "out", run.contents(run.trainer->state()), 1).value();
  const auto latest = folder_.path() / "out" / "latest";
  EXPECT_EQ(std::filesystem::canonical(latest), std::filesystem::canonical(saved.folder));
  const ModelConfig config = read_model_config(latest).value();
  EXPECT_EQ(config, run.config);
  const ModelWeights weights = std::move(ModelWeights::open(latest, config).value());
  for (const Parameter& parameter : run.model->parameters().all()) {
    const StoredTensor& stored = weights.get(parameter.spec.role, parameter.spec.layer);
    ASSERT_EQ(stored.data.size(), static_cast<size_t>(parameter.value.bytes()));
    EXPECT_EQ(std::memcmp(stored.data.data(), parameter.value.data, stored.data.size()), 0);
  }
}

TEST_F(TrainerTest, KeepsTheNewestAndNothingHalfDone) {
  const auto out = folder_.path() / "out";
  TrialRun run(text_, options(10));
  std::filesystem::create_directories(out / "step-00000003.partial");  // of a killed program
  for (int64_t step : {1, 2, 3, 4}) {
    run.go(step);
    ASSERT_TRUE(save_checkpoint(out, run.contents(run.trainer->state()), 2).ok());
  }
  const std::vector<Checkpoint> kept = checkpoints_of(out);
  ASSERT_EQ(kept.size(), 2u);
  EXPECT_EQ(kept[0].step, 3);
  EXPECT_EQ(kept[1].step, 4);
  EXPECT_FALSE(std::filesystem::exists(out / "step-00000003.partial"));
}

TEST_F(TrainerTest, AFailedSaveLosesNothing) {
  const auto out = folder_.path() / "out";
  TrialRun run(text_, options(10));
  run.go(1);
  ASSERT_TRUE(save_checkpoint(out, run.contents(run.trainer->state()), 2).ok());
  run.go(2);
  CheckpointContents contents = run.contents(run.trainer->state());
  contents.tokenizer = folder_.path();
  std::filesystem::create_directory(folder_.path() / "tokenizer.json");  // no file: unreadable
  const auto saved = save_checkpoint(out, contents, 1);
  ASSERT_FALSE(saved.ok());
  EXPECT_TRUE(says(saved.error().message, "tokenizer.json"));
  ASSERT_EQ(checkpoints_of(out).size(), 1u);
  EXPECT_EQ(std::filesystem::read_symlink(out / "latest"), "step-00000001");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(out), {}), 2) << "nothing is left";
}

TEST_F(TrainerTest, WhatIsNoNumberIsNotSaved) {
  const auto out = folder_.path() / "out";
  TrialRun run(text_, options(10));
  run.go(1);
  ASSERT_TRUE(save_checkpoint(out, run.contents(run.trainer->state()), 2).ok());
  run.go(2);
  const Matrix weight = run.model->parameters().all().back().value;
  const size_t last = run.model->parameters().all().size() - 1;
  for (float* const spoiled : {weight.row<float>(0), run.memory().moments.second(last, 0)}) {
    float& value = spoiled[3];
    const float good = std::exchange(value, std::numeric_limits<float>::infinity());
    const auto saved = save_checkpoint(out, run.contents(run.trainer->state()), 2);
    ASSERT_FALSE(saved.ok());
    EXPECT_TRUE(says(saved.error().message, "value 3 has become NaN or infinite|learning_rate"));
    value = good;
  }
  // The largest float is no bf16.
  weight.row<float>(0)[3] = std::numeric_limits<float>::max();
  CheckpointContents contents = run.contents(run.trainer->state());
  contents.weights = DType::bf16;
  EXPECT_FALSE(save_checkpoint(out, contents, 2).ok());
  EXPECT_EQ(std::filesystem::read_symlink(out / "latest"), "step-00000001");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(out), {}), 2) << "nothing is left";
}

TEST_F(TrainerTest, AStepThatIsThereAlreadyIsNotTrusted) {
  const auto out = folder_.path() / "out";
  TrialRun run(text_, options(10));
  run.go(1);
  const auto save = [&] {
    return save_checkpoint(out, run.contents(run.trainer->state()), 2).value().folder;
  };
  const auto weights = save() / "optimizer.safetensors";
  const auto written = std::filesystem::last_write_time(weights);
  save();
  EXPECT_EQ(std::filesystem::last_write_time(weights), written) << "it was there, to the bit";
  // The same bits, but to be written as another type, or by a run of another config.
  CheckpointContents contents = run.contents(run.trainer->state());
  contents.weights = DType::bf16;
  ASSERT_TRUE(save_checkpoint(out, contents, 2).ok());
  const std::string as_bf16 = read_text_file(out / "step-00000001" / "config.json").value();
  EXPECT_TRUE(says(as_bf16, "bfloat16")) << as_bf16;
  contents.run = "{\"steps\": 50}";
  ASSERT_TRUE(save_checkpoint(out, contents, 2).ok());
  EXPECT_EQ(restore_checkpoint(checkpoints_of(out)[0], run.memory())->run, contents.run);
  save();
  std::filesystem::resize_file(weights, 1000);
  save();
  EXPECT_TRUE(check_checkpoint(checkpoints_of(out)[0], run.memory()).ok());
  EXPECT_TRUE(std::filesystem::exists(out / "step-00000001.left"));
  // Whole, but of other weights.
  TrialRun other(text_, options(10));
  other.go(1);
  other.model->parameters().all().back().value.row<float>(0)[0] += 1;
  ASSERT_TRUE(save_checkpoint(out, other.contents(other.trainer->state()), 2).ok());
  restore_checkpoint(checkpoints_of(out)[0], run.memory()).value();
  EXPECT_EQ(run.weights(), other.weights());
}

TEST_F(TrainerTest, AnotherModelsCheckpointIsRefused) {
  const auto out = folder_.path() / "out";
  TrialRun run(text_, options(10));
  run.go(1);
  const auto saved = save_checkpoint(out, run.contents(run.trainer->state()), 2).value();
  Rng rng(8);
  const ModelConfig other = random_model(rng, 2);
  TrainableOnBackend model(other, ModelWeights::random(other, DType::f32, 2),
                           all_training_backends().front());
  Threads threads(1);
  const AdamW optimizer(model->parameters(), {}, threads);
  const auto restored = restore_checkpoint(saved, {model->parameters(), optimizer.moments()});
  ASSERT_FALSE(restored.ok());
  EXPECT_TRUE(says(restored.error().message, "optimizer.safetensors|belongs to another model"));
}

TEST_F(TrainerTest, ADamagedCheckpointChangesNothing) {
  const auto out = folder_.path() / "out";
  TrialRun run(text_, options(10));
  run.go(1);
  const auto saved = save_checkpoint(out, run.contents(run.trainer->state()), 2).value();
  run.go(3);
  const std::string before = run.weights();
  const auto path = saved.folder / "optimizer.safetensors";
  const std::string good = read_text_file(path).value();
  Rng rng(9);
  for (const size_t from_end : {size_t{1}, good.size() / 2, 1 + size_t{rng.bits()} % 1000}) {
    SCOPED_TRACE(from_end);
    std::string bad = good;
    bad[bad.size() - from_end] ^= 1;
    ASSERT_TRUE(write_text_file(path, bad).ok());
    EXPECT_FALSE(check_checkpoint(saved, run.memory()).ok());
    const auto restored = restore_checkpoint(saved, run.memory());
    ASSERT_FALSE(restored.ok());
    EXPECT_TRUE(says(restored.error().message, "optimizer.safetensors|is damaged|checksum"));
    EXPECT_EQ(run.weights(), before);
  }
  ASSERT_TRUE(write_text_file(path, good).ok());
  EXPECT_TRUE(check_checkpoint(saved, run.memory()).ok());
}

TEST_F(TrainerTest, ACheckpointThatLacksItsLastTensorChangesNothing) {
  const auto out = folder_.path() / "out";
  TrialRun run(text_, options(10));
  run.go(1);
  const auto saved = save_checkpoint(out, run.contents(run.trainer->state()), 2).value();
  run.go(3);
  const std::string before = run.weights();
  const auto path = saved.folder / "optimizer.safetensors";
  std::string text = read_text_file(path).value();
  const std::string last = "second." + run.model->parameters().all().back().spec.name;
  text[text.find(last)] = 'S';
  ASSERT_TRUE(write_text_file(path, text).ok());
  const auto restored = restore_checkpoint(saved, run.memory());
  ASSERT_FALSE(restored.ok());
  EXPECT_TRUE(says(restored.error().message, "is missing"));
  EXPECT_EQ(run.weights(), before);
}

TEST_F(TrainerTest, ARunMayGoOnFromAnOlderCheckpoint) {
  const auto out = folder_.path() / "out";
  TrialRun run(text_, options(10));
  for (int64_t step : {1, 2, 3}) {
    run.go(step);
    ASSERT_TRUE(save_checkpoint(out, run.contents(run.trainer->state()), 3).ok());
  }
  ASSERT_TRUE(leave_newer_behind(out, checkpoints_of(out)[0]).ok());
  ASSERT_EQ(checkpoints_of(out).size(), 1u);
  EXPECT_EQ(std::filesystem::read_symlink(out / "latest"), "step-00000001");
  EXPECT_TRUE(std::filesystem::exists(out / "step-00000003.left" / "optimizer.safetensors"));
  // A second time over what the first one left.
  ASSERT_TRUE(save_checkpoint(out, run.contents(run.trainer->state()), 3).ok());
  ASSERT_TRUE(leave_newer_behind(out, checkpoints_of(out)[0]).ok());
  EXPECT_EQ(checkpoints_of(out).size(), 1u);
}

TEST_F(TrainerTest, AnotherTextIsRefused) {
  TrialRun run(text_, options(10));
  run.go(2);
  const TrainingState state = run.trainer->state();
  write_text(folder_, small_model().vocabulary, 299);
  TrialRun other(text_, options(10));
  const auto restored = other.trainer->restore(state);
  ASSERT_FALSE(restored.ok());
  EXPECT_TRUE(says(restored.error().message, "other token shards"));
}

TEST_F(TrainerTest, WhatIsNotFiniteStopsWithTheLastGoodWeights) {
  TrialRun run(text_, options(10));
  run.go(2);
  run.model->parameters().get(WeightRole::final_norm).value.row<float>(0)[0] = NAN;
  run.model->refresh();
  const std::string before = run.weights();
  const auto report = run.trainer->step();
  ASSERT_FALSE(report.ok());
  EXPECT_TRUE(says(report.error().message, "step 3|nan|step 2|shard:document"));
  EXPECT_EQ(run.weights(), before);
}

TEST_F(TrainerTest, ASpikeChangesNothing) {
  TrainerOptions guarded = options(80);
  guarded.spike_factor = 1e-6;  // everything that is not better than the median
  TrialRun run(text_, guarded);
  run.go(32);
  int left_out = 0;
  for (int i = 0; i < 8; ++i) {
    const std::string before = run.weights();
    const TrainedStep report = run.trainer->step().value();
    left_out += report.left_out;
    EXPECT_EQ(run.weights() == before, report.left_out);
  }
  EXPECT_GT(left_out, 0);
}

TEST_F(TrainerTest, TextLossIsThatOfAStepWithoutChangingAnything) {
  TrialRun run(text_, options(10));
  auto stream = TokenStream::open({text_}, {kSequence, run.config.vocabulary, 7});
  const std::string before = run.weights();
  const TextLoss loss = text_loss(*run.model, *run.objective, *stream, 2, run.ranks).value();
  EXPECT_EQ(run.weights(), before);
  EXPECT_NEAR(loss.loss, run.trainer->step().value().loss, 1e-5);
  double sum = 0, labels = 0;
  for (const PlaceLoss& place : loss.places) {
    sum += place.loss * static_cast<double>(place.labels);
    labels += static_cast<double>(place.labels);
    EXPECT_GE(place.probability, std::exp(-place.loss));  // exp is convex
    EXPECT_LE(place.probability, 1);
  }
  EXPECT_NEAR(sum / labels, loss.terms[1], 1e-5);
  // More packs than there are: one epoch.
  auto again = TokenStream::open({text_}, {kSequence, run.config.vocabulary, 7});
  EXPECT_EQ(text_loss(*run.model, *run.objective, *again, 1 << 20, run.ranks).value().tokens,
            again->tokens());
}

TEST_F(TrainerTest, TextLossThatIsNotFiniteIsNoLoss) {
  TrialRun run(text_, options(10));
  run.model->parameters().get(WeightRole::final_norm).value.row<float>(0)[0] = NAN;
  run.model->refresh();
  auto stream = TokenStream::open({text_}, {kSequence, run.config.vocabulary, 7});
  const auto loss = text_loss(*run.model, *run.objective, *stream, 2, run.ranks);
  ASSERT_FALSE(loss.ok());
  EXPECT_TRUE(says(loss.error().message, "validation|nan|not finite"));
}

}  // namespace
}  // namespace tidar
