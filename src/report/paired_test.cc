#include "report/paired.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace tidar {
namespace {

using Items = std::vector<ItemResult>;

TaskResult run_of(const Items& items) {
  TaskResult run;
  for (size_t i = 0; i < items.size(); ++i) run.items[std::to_string(i)] = items[i];
  return run;
}

StudyEntry entry_of(const std::vector<Items>& seeds) {
  StudyEntry entry;
  for (const Items& items : seeds) entry.runs["task"].push_back(run_of(items));
  return entry;
}

const StudyTask kTask = {"task", "Task", "nll", ScoreKind::loss};
const std::vector<const StudyTask*> kTasks = {&kTask};

Items texts(double nll, int64_t passes) {
  return {{nll, 10, 9, passes}, {2 * nll, 20, 19, 2 * passes}, {nll, 10, 9, passes}};
}

TEST(Paired, RatiosOfWhatDiffersByAFactorHaveNoSpread) {
  const StudyEntry better = entry_of({texts(9, 3), texts(18, 6)});
  const StudyEntry worse = entry_of({texts(10, 6), texts(20, 12)});
  const auto pairs = paired(better, worse, kTasks);
  ASSERT_TRUE(pairs);
  const auto passes = passes_ratio(*pairs), loss = loss_ratio(*pairs);
  ASSERT_TRUE(passes && loss);
  EXPECT_NEAR(passes->value, 2, 1e-12);
  EXPECT_NEAR(passes->interval.low, 2, 1e-12);
  EXPECT_NEAR(passes->interval.high, 2, 1e-12);
  EXPECT_NEAR(loss->value, 0.9, 1e-12);
  EXPECT_NEAR(loss->interval.high, 0.9, 1e-12);
}

TEST(Paired, RatesAreThoseOfAllItemsTogetherAndTasksWeighAlike) {
  const StudyTask other = {"other", "Other", "nll", ScoreKind::loss};
  StudyEntry first = entry_of({{{1, 10, 8, 2}, {1, 10, 4, 4}}});
  StudyEntry second = entry_of({{{1, 10, 8, 8}, {1, 10, 4, 4}}});
  first.runs["other"] = {run_of({{1, 10, 8, 1}})};
  second.runs["other"] = {run_of({{1, 10, 8, 2}})};
  const auto pairs = paired(first, second, std::vector<const StudyTask*>{&kTask, &other});
  ASSERT_TRUE(pairs);
  EXPECT_NEAR(passes_ratio(*pairs)->value, 2, 1e-12);  // √((12/6) / (12/12) · 2)
  EXPECT_LT(passes_ratio(*pairs)->interval.low, 1.9);
  EXPECT_GT(passes_ratio(*pairs)->interval.high, 2.1);
}

TEST(Paired, RatesCountWhatDecodingPassesBrought) {
  // Of as many tokens, one of the passes over a prompt brought more than the other.
  const auto pairs = paired(entry_of({{{1, 10, 9, 3}}}), entry_of({{{1, 10, 6, 3}}}), kTasks);
  EXPECT_NEAR(passes_ratio(*pairs)->value, 1.5, 1e-12);
}

TEST(Paired, GainsAreOfTheSameItems) {
  Items right(40), wrong(40);
  for (size_t i = 0; i < 40; ++i) right[i].value = i % 2, wrong[i].value = i % 4 == 1;
  const auto pairs = paired(entry_of({right}), entry_of({wrong}), kTasks);
  const Estimate gain = gain_of(*pairs);
  EXPECT_DOUBLE_EQ(gain.value, 0.25);
  // Of 40 differences ten are 1 and the others 0.
  const double error = std::sqrt(0.25 * 0.75 / 40);
  EXPECT_NEAR(gain.interval.low, 0.25 - kNormal95 * error, 0.03);
  EXPECT_NEAR(gain.interval.high, 0.25 + kNormal95 * error, 0.03);
  const Disagreement differ = disagreement_of(*pairs);
  EXPECT_EQ(differ.only_first, 10);
  EXPECT_EQ(differ.only_second, 0);
}

TEST(Paired, OneSeedStandsBesideEach) {
  const auto pairs = paired(entry_of({texts(9, 3), texts(8, 3)}), entry_of({texts(9, 3)}), kTasks);
  ASSERT_TRUE(pairs);
  EXPECT_EQ(pairs->front().second.size(), 2u);
  EXPECT_EQ(pairs->front().second[1][2].value, 9);
  const auto turned = paired(entry_of({texts(9, 3)}), entry_of({texts(9, 3), texts(8, 3)}), kTasks);
  EXPECT_EQ(turned->front().first.size(), 2u);
}

TEST(Paired, WhatCannotBePairedIsNot) {
  const StudyEntry two = entry_of({texts(9, 3), texts(8, 3)});
  EXPECT_FALSE(paired(two, entry_of({texts(9, 3), texts(9, 3), texts(9, 3)}), kTasks));
  EXPECT_FALSE(paired(two, entry_of({}), kTasks));
  EXPECT_FALSE(paired(entry_of({{}}), entry_of({{}}), kTasks));
  EXPECT_FALSE(paired(two, two, {}));
  StudyEntry other = entry_of({texts(9, 3), texts(8, 3)});
  auto& items = other.runs.at("task")[1].items;
  auto renamed = items.extract("1");
  renamed.key() = "x";
  items.insert(std::move(renamed));
  EXPECT_FALSE(paired(two, other, kTasks));
  const auto without = paired(entry_of({{{0, 0, 0, 0}}}), entry_of({texts(1, 1)}), kTasks);
  EXPECT_FALSE(without);
  const auto no_passes = paired(entry_of({texts(9, 0)}), entry_of({texts(9, 1)}), kTasks);
  EXPECT_FALSE(passes_ratio(*no_passes));
  EXPECT_TRUE(loss_ratio(*no_passes));
}

}  // namespace
}  // namespace tidar
