#include "ops/cases/backward_suite.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "ops/cases/inputs.h"
#include "ops/host_ops.h"
#include "ops/ref/ref_backward.h"
#include "ops/ref/ref_ops.h"
#include "ops/wrap/forward_backward.h"

namespace tidar {
namespace {

constexpr uint64_t kBackwardSuiteSeed = 20251123;

TEST(BackwardCases, TheFloatReferenceMatchesTheDoubleOne) {
  const auto ops = make_ref_ops(DType::f32);
  const auto backward = make_ref_backward(*ops);
  for (uint64_t seed = kBackwardSuiteSeed; seed < kBackwardSuiteSeed + 2; ++seed) {
    std::string shares;
    for (const auto& failure : match_truth(*backward, seed, &shares)) ADD_FAILURE() << failure;
    std::printf("%s", shares.c_str());
  }
}

// The last row takes no part in the gradients of weights.
class ShortReduction final : public ForwardBackward {
 public:
  using ForwardBackward::ForwardBackward;
  void linear(Matrix x, const TrainedWeight& weight, Matrix d_out,
              const LinearGradients& gradients) override {
    ForwardBackward::linear(x, weight, d_out, {gradients.d_x, {}, gradients.d_biases});
    if (x.rows == 0) return;
    const int64_t rows = x.rows - 1;
    ForwardBackward::linear(x.row_range(0, rows), weight, d_out.row_range(0, rows),
                            {{}, gradients.d_parts, {}});
  }
};

// Every row sees one key less of its prefix, where it sees several.
class ShortBackwardSight final : public ForwardBackward {
 public:
  using ForwardBackward::ForwardBackward;
  void attend_backward(const AttendRows& rows, Matrix out, Matrix log_sums, Matrix d_out,
                       const AttendGradients& gradients) override {
    HostPass pass = host(*rows.pass);
    for (Sight& sight : pass.row_sights) {
      if (sight.prefix.size() > 1) --sight.prefix.to;
    }
    AttendRows shorter = rows;
    shorter.pass = &pass;
    ForwardBackward::attend_backward(shorter, out, log_sums, d_out, gradients);
  }
};

// Adds where it should write.
class KeepsOldGradients final : public ForwardBackward {
 public:
  using ForwardBackward::ForwardBackward;
  void rms_norm(const RmsNormCall& call, Matrix d_out, Into, Matrix d_x, Matrix d_weight) override {
    const Grid copy = Grid::copy(d_out, DType::f32);
    ForwardBackward::rms_norm(call, copy, Into::add, d_x, d_weight);
  }
};

// Of two rows for one place, only the last counts.
class LastRowWins final : public ForwardBackward {
 public:
  using ForwardBackward::ForwardBackward;
  void embed(const PreparedPass& pass, Matrix d_out, Matrix d_table) override {
    const std::span<const int32_t> tokens = host(pass).tokens;
    for (size_t i = 0; i < tokens.size(); ++i) {
      const auto later = tokens.subspan(i + 1);
      if (std::find(later.begin(), later.end(), tokens[i]) != later.end()) continue;
      const auto row = static_cast<int64_t>(i);
      const auto one = prepare_rows(forward(), 1, {.tokens = {tokens[i]}});
      ForwardBackward::embed(*one, d_out.row_range(row, row + 1), d_table);
    }
  }
};

// Rounds the gradient of logits to bf16.
class CoarseLoss final : public ForwardBackward {
 public:
  using ForwardBackward::ForwardBackward;
  void cross_entropy(Matrix logits, std::span<const Label> labels,
                     std::span<double> losses) override {
    ForwardBackward::cross_entropy(logits, labels, losses);
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
    testing::Types<ShortReduction, ShortBackwardSight, KeepsOldGradients, LastRowWins, CoarseLoss>;
TYPED_TEST_SUITE(BrokenBackward, WrongGradients);

TYPED_TEST(BrokenBackward, IsCaught) {
  const auto ops = make_ref_ops(DType::f32);
  const auto right = make_ref_backward(*ops);
  TypeParam broken(*right);
  EXPECT_FALSE(match_truth(broken, kBackwardSuiteSeed).empty());
  EXPECT_FALSE(match_bits(*right, broken, kBackwardSuiteSeed).empty());
}

}  // namespace
}  // namespace tidar
