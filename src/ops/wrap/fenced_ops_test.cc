#include "ops/wrap/fenced_ops.h"

#include <gtest/gtest.h>

#include <array>

#include "ops/cases/suite.h"
#include "ops/ref/ref_backward.h"
#include "ops/ref/ref_ops.h"
#include "plan/layouts.h"

namespace tidar {
namespace {

constexpr uint64_t kFencedSeed = 20261124;

TEST(FencedOps, GivesTheResultsOfTheBackendInside) {
  const auto inner = make_ref_ops(DType::f32);
  FencedOps fenced(*inner);
  for (const auto& failure : match_truth(fenced, kFencedSeed)) ADD_FAILURE() << failure;
  for (const auto& failure : match_bits(*inner, fenced, kFencedSeed)) ADD_FAILURE() << failure;
}

TEST(FencedOps, WhoeverLooksIntoMemoryFalls) {
  const auto inner = make_ref_ops(DType::f32);
  FencedOps fenced(*inner);
  const auto memory = fenced.allocate(4096);
  EXPECT_DEATH(memory->data[100] = std::byte{1}, "");
  EXPECT_DEATH(std::printf("%d", static_cast<int>(memory->data[100])), "");
}

TEST(FencedOps, VerbsComeLateAndInOrder) {
  const auto inner = make_ref_ops(DType::f32);
  FencedOps fenced(*inner);
  const auto memory = fenced.allocate(8 * 4);
  const Matrix x(memory->data, DType::f32, 2, 4);
  std::vector<float> numbers = {1, 2, 3, 4, 5, 6, 7, 8};
  fenced.write(Matrix(numbers.data(), DType::f32, 2, 4), x);
  fenced.copy(x.row_range(0, 1), x.row_range(1, 2));
  fenced.clear(x.row_range(0, 1));
  const float* const inside = fenced.fence().inside(x).row<float>(1);
  EXPECT_EQ(inside[0], 5);  // nothing was done yet
  std::vector<float> seen(8);
  fenced.read(x, Matrix(seen.data(), DType::f32, 2, 4));
  EXPECT_EQ(seen, (std::vector<float>{0, 0, 0, 0, 1, 2, 3, 4}));
}

TEST(FencedOps, MemoryOfOthersIsRefused) {
  const auto inner = make_ref_ops(DType::f32);
  FencedOps fenced(*inner);
  std::vector<float> numbers(4);
  EXPECT_DEATH(fenced.clear(Matrix(numbers.data(), DType::f32, 1, 4)), "memory of this backend");
}

// One of everything that a backend makes.
class FencedThings : public testing::Test {
 protected:
  FencedThings() {
    pass_.begin_sequence();
    add_causal(pass_, std::array{0, 1}, Keep::scratch);
    fenced_.prepare(pass_, nullptr, prepared_);
    fenced_.write(square_, x_);
  }

  std::array<float, 4> numbers_ = {1, 2, 3, 4};
  const Matrix square_{numbers_.data(), DType::f32, 2, 2};
  const std::array<HostMatrix, 1> part_ = {{{square_.data, DType::f32, 2, 2}}};
  const std::array<HostMatrix, 1> row_ = {{{square_.data, DType::f32, 1, 2}}};
  const std::array<Matrix, 1> master_ = {square_};
  const std::array<Matrix, 1> master_row_ = {square_.row_range(0, 1)};
  const std::unique_ptr<Ops> inner_ = make_ref_ops(DType::f32);
  const std::unique_ptr<BackwardOps> inner_backward_ = make_ref_backward(*inner_);
  FencedOps fenced_{*inner_};
  FencedBackward backward_{*inner_backward_, fenced_};
  const std::unique_ptr<Memory> memory_ = fenced_.allocate(2 * 4 * sizeof(float));
  const Matrix x_{memory_->data, DType::f32, 2, 2};
  const Matrix out_{memory_->data + 4 * sizeof(float), DType::f32, 2, 2};
  Pass pass_;
  std::unique_ptr<PreparedPass> prepared_;
  std::unique_ptr<PackedWeight> weight_ =
      fenced_.pack(PackOrder::stacked, part_, WeightFormat::f32);
  std::unique_ptr<PackedVector> norm_ = fenced_.pack_vector(row_);
  std::unique_ptr<RopeTable> rope_ = fenced_.make_rope(std::array{1.0}, 1, 4);
  std::unique_ptr<KvStore> store_ = fenced_.make_kv(
      {.layers = 1, .kv_heads = 1, .head_size = 2, .pages = 1, .rows = 2, .dtype = DType::f32});
  std::unique_ptr<TrainedWeight> trained_ =
      backward_.make_weight(PackOrder::stacked, master_, WeightFormat::f32);
  std::unique_ptr<TrainedVector> trained_norm_ = backward_.make_vector(master_row_);
};

// Whoever still uses the address is found out; nothing is read through it.
template <class Thing, class Use>
void expect_refused_once_gone(std::unique_ptr<Thing>& thing, Use use) {
  Thing& gone = *thing;
  use(gone);
  thing.reset();
  EXPECT_DEATH(use(gone), "still has");
}

TEST_F(FencedThings, WhatWasDestroyedIsRefused) {
  expect_refused_once_gone(
      rope_, [&](const RopeTable& table) { fenced_.rope(out_, 1, *prepared_, table); });
  expect_refused_once_gone(store_, [&](KvStore& store) {
    fenced_.move_kv(std::array{SlotMove{.from = 0, .to = 1}}, store);
  });
  expect_refused_once_gone(prepared_,
                           [&](const PreparedPass& pass) { fenced_.embed(pass, *weight_, out_); });
  expect_refused_once_gone(
      weight_, [&](const PackedWeight& weight) { fenced_.linear(x_, weight, nullptr, out_); });
  expect_refused_once_gone(
      norm_, [&](const PackedVector& norm) { fenced_.rms_norm(x_, norm, 1e-6, 1, out_); });
  expect_refused_once_gone(trained_, [&](const TrainedWeight& weight) {
    backward_.linear(x_, weight, x_, {.d_x = out_});
  });
  expect_refused_once_gone(trained_norm_, [&](TrainedVector& norm) { backward_.refresh(norm); });
}

TEST_F(FencedThings, WhatWasCalledBeforeIsDone) {
  const auto expect_done = [&](auto& thing) {
    fenced_.clear(out_);
    fenced_.fence().catch_up();
    fenced_.copy(x_, out_);
    EXPECT_NE(*fenced_.fence().inside(out_).row<float>(1), 3);
    thing.reset();
    EXPECT_EQ(*fenced_.fence().inside(out_).row<float>(1), 3);
  };
  expect_done(rope_);
  expect_done(store_);
  expect_done(prepared_);
  expect_done(weight_);
  expect_done(norm_);
  expect_done(trained_);
  expect_done(trained_norm_);
}

}  // namespace
}  // namespace tidar
