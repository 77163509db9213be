#include "ops/cases/backward_suite.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "ops/ref/ref_backward.h"
#include "ops/ref/ref_ops.h"

namespace tidar {
namespace {

constexpr uint64_t kSeed = 20251123;

TEST(BackwardCases, TheFloatReferenceMatchesTheDoubleOne) {
  const auto ops = make_ref_ops(DType::f32);
  const auto backward = make_ref_backward(*ops);
  for (uint64_t seed = kSeed; seed < kSeed + 2; ++seed) {
    std::string shares;
    for (const auto& failure : match_truth(*backward, seed, &shares)) ADD_FAILURE() << failure;
    std::printf("%s", shares.c_str());
  }
}

// The float reference, to be broken in one place each.
class Reference : public BackwardOps {
 public:
  Ops& forward() override { return *ops_; }
  std::unique_ptr<TrainedWeight> make_weight(PackOrder order, std::span<const Matrix> masters,
                                             DType dtype) override {
    return right_->make_weight(order, masters, dtype);
  }
  void refresh(TrainedWeight& weight) override { right_->refresh(weight); }
  void linear(Matrix x, const TrainedWeight& weight, Matrix d_out,
              const LinearGradients& gradients) override {
    right_->linear(x, weight, d_out, gradients);
  }
  void gate_up(Matrix x, const TrainedWeight& weight, Matrix gate_up) override {
    right_->gate_up(x, weight, gate_up);
  }
  void swiglu(Matrix gate_up, Matrix out) override { right_->swiglu(gate_up, out); }
  void swiglu_backward(Matrix gate_up, Matrix d_out, Matrix d_gate_up) override {
    right_->swiglu_backward(gate_up, d_out, d_gate_up);
  }
  void rms_norm(const RmsNormCall& call, Matrix d_out, Into into, Matrix d_x,
                Matrix d_weight) override {
    right_->rms_norm(call, d_out, into, d_x, d_weight);
  }
  void rope(Matrix d_x, int heads, std::span<const int32_t> positions,
            const RopeTable& table) override {
    right_->rope(d_x, heads, positions, table);
  }
  void attend(const AttendRows& rows, Matrix out, Matrix log_sums) override {
    right_->attend(rows, out, log_sums);
  }
  void attend_backward(const AttendRows& rows, Matrix out, Matrix log_sums, Matrix d_out,
                       const AttendGradients& gradients) override {
    right_->attend_backward(rows, out, log_sums, d_out, gradients);
  }
  void embed(std::span<const int32_t> tokens, Matrix d_out, Matrix d_table) override {
    right_->embed(tokens, d_out, d_table);
  }
  void gather(Matrix d_out, std::span<const int32_t> rows, Matrix d_x) override {
    right_->gather(d_out, rows, d_x);
  }
  void cross_entropy(Matrix logits, std::span<const Label> labels,
                     std::span<double> losses) override {
    right_->cross_entropy(logits, labels, losses);
  }

 private:
  std::unique_ptr<Ops> ops_ = make_ref_ops(DType::f32);
  std::unique_ptr<BackwardOps> right_ = make_ref_backward(*ops_);
};

// The last row takes no part in the gradients of weights.
class ShortReduction final : public Reference {
  void linear(Matrix x, const TrainedWeight& weight, Matrix d_out,
              const LinearGradients& gradients) override {
    Reference::linear(x, weight, d_out, {gradients.d_x, {}, gradients.d_bias});
    if (x.rows == 0) return;
    const int64_t rows = x.rows - 1;
    Reference::linear(x.row_range(0, rows), weight, d_out.row_range(0, rows),
                      {{}, gradients.d_parts, {}});
  }
};

// Every row sees one key less of its prefix, where it sees several.
class ShortSight final : public Reference {
  void attend_backward(const AttendRows& rows, Matrix out, Matrix log_sums, Matrix d_out,
                       const AttendGradients& gradients) override {
    std::vector<TileSight> sights(rows.sights.begin(), rows.sights.end());
    for (TileSight& sight : sights) {
      if (sight.prefix_to - sight.prefix_from > 1) --sight.prefix_to;
    }
    AttendRows shorter = rows;
    shorter.sights = sights;
    Reference::attend_backward(shorter, out, log_sums, d_out, gradients);
  }
};

// Adds where it should write.
class KeepsOldGradients final : public Reference {
  void rms_norm(const RmsNormCall& call, Matrix d_out, Into, Matrix d_x, Matrix d_weight) override {
    const Grid copy = Grid::copy(d_out, DType::f32);
    Reference::rms_norm(call, copy, Into::add, d_x, d_weight);
  }
};

// Of two rows for one place, only the last counts.
class LastRowWins final : public Reference {
  void embed(std::span<const int32_t> tokens, Matrix d_out, Matrix d_table) override {
    for (size_t i = 0; i < tokens.size(); ++i) {
      const auto later = tokens.subspan(i + 1);
      if (std::find(later.begin(), later.end(), tokens[i]) != later.end()) continue;
      const auto row = static_cast<int64_t>(i);
      Reference::embed(tokens.subspan(i, 1), d_out.row_range(row, row + 1), d_table);
    }
  }
};

// Rounds the gradient of logits to bf16.
class CoarseLoss final : public Reference {
  void cross_entropy(Matrix logits, std::span<const Label> labels,
                     std::span<double> losses) override {
    Reference::cross_entropy(logits, labels, losses);
    for (int64_t r = 0; r < logits.rows; ++r) {
      for (int64_t c = 0; c < logits.cols; ++c) {
        logits.row<float>(r)[c] = static_cast<float>(BFloat16(logits.row<float>(r)[c]));
      }
    }
  }
};

template <class Broken>
class BrokenBackward : public testing::Test {};
using WrongGradients =
    testing::Types<ShortReduction, ShortSight, KeepsOldGradients, LastRowWins, CoarseLoss>;
TYPED_TEST_SUITE(BrokenBackward, WrongGradients);

TYPED_TEST(BrokenBackward, IsCaught) {
  Reference right;
  TypeParam broken;
  EXPECT_FALSE(match_truth(broken, kSeed).empty());
  EXPECT_FALSE(match_bits(right, broken, kSeed).empty());
}

}  // namespace
}  // namespace tidar
