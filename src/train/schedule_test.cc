#include "train/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

namespace tidar {
namespace {

TEST(Schedule, Cosine) {
  const Schedule schedule = {Decay::cosine, 8e-4, 2e-4, 110, 10, 0};
  for (int step = 0; step < 10; ++step) {
    EXPECT_DOUBLE_EQ(schedule.rate(step), 8e-4 * (step + 1) / 10);
  }
  for (int step = 10; step < 110; ++step) {
    const double angle = std::acos(-1.0) * (step - 9) / 100;
    EXPECT_DOUBLE_EQ(schedule.rate(step), 5e-4 + 3e-4 * std::cos(angle));
  }
  EXPECT_DOUBLE_EQ(schedule.rate(59), 5e-4);
  EXPECT_DOUBLE_EQ(schedule.rate(109), 2e-4);
  EXPECT_DOUBLE_EQ(schedule.rate(100000), 2e-4);
}

TEST(Schedule, Linear) {
  const Schedule schedule = {Decay::linear, 1, 0, 5, 0, 0};
  const double expected[] = {0.8, 0.6, 0.4, 0.2, 0, 0};
  for (int step = 0; step < 6; ++step) EXPECT_NEAR(schedule.rate(step), expected[step], 1e-15);
}

TEST(Schedule, WarmUpStableDecay) {
  const Schedule schedule = {Decay::wsd, 2, 1, 30, 4, 16};
  EXPECT_DOUBLE_EQ(schedule.rate(0), 0.5);
  for (int step = 3; step < 14; ++step) EXPECT_DOUBLE_EQ(schedule.rate(step), 2) << step;
  EXPECT_DOUBLE_EQ(schedule.rate(14), 1.75);  // 1 of 16 steps: sqrt is 1/4
  EXPECT_DOUBLE_EQ(schedule.rate(17), 1.5);   // 4 of 16
  EXPECT_DOUBLE_EQ(schedule.rate(22), 1.25);  // 9 of 16
  EXPECT_DOUBLE_EQ(schedule.rate(29), 1);
  EXPECT_DOUBLE_EQ(schedule.rate(30), 1);
}

TEST(Schedule, NothingButWarmUpOrNoDecay) {
  const Schedule warming = {Decay::cosine, 3, 1, 3, 3, 0};
  EXPECT_DOUBLE_EQ(warming.rate(0), 1);
  EXPECT_DOUBLE_EQ(warming.rate(2), 3);
  const Schedule constant = {Decay::wsd, 3, 1, 10, 0, 0};
  for (int step = 0; step < 10; ++step) EXPECT_DOUBLE_EQ(constant.rate(step), 3);
}

TEST(Schedule, WhatMakesNoSenseIsRefused) {
  const auto refusal = [](const Schedule& schedule) {
    const auto checked = schedule.check();
    return checked.ok() ? "" : checked.error().message;
  };
  const Schedule good = {Decay::wsd, 1e-3, 1e-4, 10, 4, 6};
  EXPECT_EQ(refusal(good), "");
  Schedule bad = good;
  bad.decay_steps = 7;
  EXPECT_NE(refusal(bad).find("4 steps of warm-up and 7 of decay"), std::string::npos);
  bad.decay = Decay::cosine;
  EXPECT_EQ(refusal(bad), "");
  bad.warmup_steps = 11;
  EXPECT_NE(refusal(bad), "");
  for (const double peak : {-1.0, std::nan(""), HUGE_VAL}) {
    bad = good;
    bad.peak = peak;
    EXPECT_NE(refusal(bad).find("peak"), std::string::npos);
  }
  for (const double floor : {-1.0, 2e-3, std::nan("")}) {
    bad = good;
    bad.floor = floor;
    EXPECT_NE(refusal(bad).find("floor"), std::string::npos);
  }
  bad = good;
  bad.steps = 0;
  EXPECT_NE(refusal(bad), "");
}

TEST(Schedule, NamesAreParsed) {
  EXPECT_EQ(decay_named("cosine").value(), Decay::cosine);
  EXPECT_EQ(decay_named("linear").value(), Decay::linear);
  EXPECT_EQ(decay_named("wsd").value(), Decay::wsd);
  EXPECT_NE(decay_named("cosin").error().message.find("did you mean cosine?"), std::string::npos);
  EXPECT_NE(decay_named("x").error().message.find("expected cosine"), std::string::npos);
}

}  // namespace
}  // namespace tidar
