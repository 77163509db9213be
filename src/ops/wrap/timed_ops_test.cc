#include "ops/wrap/timed_ops.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "ops/cases/cases.h"
#include "ops/ref/ref_ops.h"

namespace tidar {
namespace {

// Runs all rows of a case on `ops`, `times` times.
void run_case(Ops& ops, const Case& one, int times) {
  const auto prepared = one.prepare(ops);
  std::vector<int32_t> rows;
  for (int32_t row = 0; row < one.rows; ++row) rows.push_back(row);
  prepared->load(rows);
  for (int i = 0; i < times; ++i) prepared->run();
}

TEST(TimedOps, CountsTheWorkOfAProduct) {
  const auto ref = make_ref_ops(DType::f32);
  TimedOps timed(*ref);
  run_case(timed, make_case(LinearShape{Verb::linear, 5, 30, 70}, 1), 3);
  run_case(timed, make_case(LinearShape{Verb::linear_add, 5, 30, 70}, 1), 1);
  const VerbTimes& linear = timed.times(Verb::linear);
  EXPECT_EQ(linear.calls, 3);
  EXPECT_GT(linear.seconds, 0);
  EXPECT_DOUBLE_EQ(linear.work.flops, 3 * 2.0 * 5 * 30 * 70);
  EXPECT_DOUBLE_EQ(linear.work.bytes, 3 * 4.0 * (5 * 70 + 30 * 70 + 5 * 30));
  // linear_add reads its output as well.
  EXPECT_DOUBLE_EQ(timed.times(Verb::linear_add).work.bytes, 4.0 * (5 * 70 + 30 * 70 + 2 * 5 * 30));
  EXPECT_EQ(timed.total().calls, 4);
}

TEST(TimedOps, CountsRowsAsTheyAreKeptAndAsTheyAreCopied) {
  const auto ref = make_ref_ops(DType::f32);
  TimedOps timed(*ref);
  run_case(timed, make_case(EmbedShape{2, 5, 9, WeightFormat::bf16}, 1), 1);
  run_case(timed, make_case(GatherShape{2, 5, 9}, 1), 1);
  run_case(timed, make_case(ScatterAddShape{2, 5, 9}, 1), 1);
  EXPECT_DOUBLE_EQ(timed.times(Verb::scatter_add).work.bytes, 2.0 * 9 * (4 + 8));
  EXPECT_DOUBLE_EQ(timed.times(Verb::embed).work.bytes, 2.0 * 9 * (2 + 4));
  EXPECT_DOUBLE_EQ(timed.times(Verb::gather).work.bytes, 2.0 * 9 * (4 + 4));
}

TEST(TimedOps, CountsTheKeysThatRowsSee) {
  const auto ref = make_ref_ops(DType::f32);
  TimedOps timed(*ref);
  // 3 rows see 38, 39 and 40 keys, which the reference reads row by row.
  AttendShape shape{3, 4, 2, 16, 40, DType::f32, SightPattern::causal};
  run_case(timed, make_case(shape, 1), 1);
  const VerbTimes& attend = timed.times(Verb::attend);
  EXPECT_DOUBLE_EQ(attend.work.flops, 4.0 * (38 + 39 + 40) * 4 * 16);
  EXPECT_DOUBLE_EQ(attend.work.bytes, 4.0 * (2 * 3 * 64 + (38 + 39 + 40) * 2 * 2 * 16));
  // Two pages of two layers, and the rows of the pass.
  EXPECT_EQ(timed.times(Verb::store_kv).calls, 5);
}

TEST(TimedOps, ShareOfRoofIsOfTheSlowerLimit) {
  VerbTimes times;
  times.calls = 1;
  times.seconds = 2;
  times.work = {10e9, 50e9};
  EXPECT_DOUBLE_EQ(times.share_of_roof({10e9, 100e9}), 0.5);  // memory allows 1 s
  EXPECT_DOUBLE_EQ(times.share_of_roof({100e9, 25e9}), 1.0);  // arithmetic allows 2 s
  EXPECT_DOUBLE_EQ(VerbTimes{}.share_of_roof({1, 1}), 0.0);
}

// A backend whose gather takes 20 ms.
class SlowGather final : public ForwardOps {
 public:
  using ForwardOps::ForwardOps;
  void gather(Matrix x, std::span<const int32_t> rows, Matrix out) override {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ForwardOps::gather(x, rows, out);
  }
};

TEST(TimedOps, TimesCallsAndListsTheSlowestFirst) {
  const auto ref = make_ref_ops(DType::f32);
  SlowGather slow(*ref);
  TimedOps timed(slow);
  run_case(timed, make_case(EmbedShape{2, 5, 8}, 1), 1);
  run_case(timed, make_case(GatherShape{2, 5, 8}, 1), 2);
  EXPECT_GE(timed.times(Verb::gather).seconds, 0.040);
  EXPECT_LT(timed.times(Verb::embed).seconds, 0.020);
  const std::string table = timed.table({1e9, 1e9});
  EXPECT_LT(table.find("gather"), table.find("embed"));
  EXPECT_EQ(table.find("rope"), std::string::npos);
  timed.reset();
  EXPECT_EQ(timed.total().calls, 0);
}

}  // namespace
}  // namespace tidar
