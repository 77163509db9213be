#include "ops/wrap/checked_ops.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "ops/ref/ref_ops.h"
#include "ops/wrap/forward_ops.h"
#include "ops/wrap/grid.h"

namespace tidar {
namespace {

// Adds `distance` to one output of linear.
class OffAt final : public ForwardOps {
 public:
  OffAt(Ops& inner, int64_t row, int64_t col, double distance)
      : ForwardOps(inner), row_(row), col_(col), distance_(distance) {}
  void linear(Matrix x, const PackedWeight& weight, const PackedVector* bias, Matrix out) override {
    ForwardOps::linear(x, weight, bias, out);
    set_element(out, row_, col_, element(out, row_, col_) + distance_);
  }

 private:
  int64_t row_, col_;
  double distance_;
};

class CheckedOpsTest : public testing::Test {
 protected:
  // One product [4, 40] x [24, 40] through CheckedOps over `tested`.
  void run_linear(Ops& tested, CheckedOps::Report report) {
    Rng rng(7);
    std::vector<float> weight(24 * 40), x(4 * 40), out(4 * 24);
    for (float& value : weight) value = rng.normal();
    for (float& value : x) value = rng.normal();
    CheckedOps checked(tested, *truth_, std::move(report));
    const HostMatrix part{reinterpret_cast<const std::byte*>(weight.data()), DType::f32, 24, 40};
    const auto packed = checked.pack(PackOrder::stacked, {&part, 1}, WeightFormat::f32);
    checked.linear(Matrix(x.data(), DType::f32, 4, 40), *packed, nullptr,
                   Matrix(out.data(), DType::f32, 4, 24));
    compared_ = checked.compared();
    worst_ = checked.worst(Verb::linear);
  }

  std::unique_ptr<Ops> good_ = make_ref_ops(DType::f32);
  std::unique_ptr<Ops> truth_ = make_ref_ops(DType::f64);
  int64_t compared_ = 0;
  double worst_ = 0;
};

TEST_F(CheckedOpsTest, AgreesWithAGoodBackend) {
  run_linear(*good_, [](const Difference& difference) { FAIL() << difference.text(); });
  EXPECT_EQ(compared_, 4 * 24);
  EXPECT_GT(worst_, 0);  // float32 is not exact, so something was measured
  EXPECT_LT(worst_, 0.5);
}

TEST_F(CheckedOpsTest, NamesTheElementThatDiffers) {
  OffAt off(*good_, 2, 17, 1e-3);
  std::vector<Difference> found;
  run_linear(off, [&](const Difference& difference) { found.push_back(difference); });
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].verb, Verb::linear);
  EXPECT_EQ(found[0].row, 2);
  EXPECT_EQ(found[0].col, 17);
  EXPECT_NEAR(found[0].tested - found[0].truth, 1e-3, 1e-4);
  EXPECT_LT(found[0].allowed, 1e-3);
  EXPECT_NE(found[0].text().find("linear differs at row 2, column 17"), std::string::npos);
}

TEST_F(CheckedOpsTest, CatchesWhatIsNoNumber) {
  OffAt off(*good_, 0, 0, std::numeric_limits<double>::quiet_NaN());
  int found = 0;
  run_linear(off, [&](const Difference&) { ++found; });
  EXPECT_EQ(found, 1);
}

// Sees probabilities where there are none.
class OffAtNothing final : public ForwardOps {
 public:
  using ForwardOps::ForwardOps;
  void read_logits(Matrix logits, const Asks& asks, std::span<Answer> answers) override {
    ForwardOps::read_logits(logits, asks, answers);
    for (Answer& answer : answers) answer.logprob = -1;
  }
};

TEST_F(CheckedOpsTest, BothMaySayThatThereIsNoNumber) {
  std::vector<float> logits(8, std::numeric_limits<float>::quiet_NaN());
  Asks asks;
  asks.add({.kind = AskKind::score, .row = 0, .token = 3, .sampling = {.temperature = 1}});
  OffAtNothing off(*good_);
  for (Ops* tested : {good_.get(), static_cast<Ops*>(&off)}) {
    int found = 0;
    CheckedOps checked(*tested, *truth_, [&](const Difference&) { ++found; });
    Answer answer;
    checked.read_logits(Matrix(logits.data(), DType::f32, 1, 8), asks, {&answer, 1});
    EXPECT_EQ(found, tested == &off ? 1 : 0);
  }
}

TEST_F(CheckedOpsTest, StopsWithoutAReport) {
  OffAt off(*good_, 1, 3, 0.5);
  EXPECT_DEATH(run_linear(off, nullptr), "linear differs at row 1, column 3");
}

}  // namespace
}  // namespace tidar
