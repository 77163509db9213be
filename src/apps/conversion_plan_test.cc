#include "apps/conversion_plan.h"

#include <gtest/gtest.h>

#include "format/files_testing.h"
#include "train/run_config.h"

namespace tidar {
namespace {

TEST(ConversionPlan, BudgetsAreParsed) {
  EXPECT_EQ(parse_budget("30min")->seconds, 1800);
  EXPECT_EQ(parse_budget("1.5h")->seconds, 5400);
  EXPECT_EQ(parse_budget("10Mtokens")->tokens, 1e7);
  const Budget both = parse_budget("90s,3epochs").value();
  EXPECT_EQ(both.seconds, 90);
  EXPECT_EQ(both.epochs, 3);
  EXPECT_EQ(both.tokens, 0);
  for (const char* text : {"", "30", "min", "-1h", "0s", "1day", "1h,", "1h,,2h", "nanh", "infs"}) {
    const auto budget = parse_budget(text);
    ASSERT_FALSE(budget.ok()) << text;
    EXPECT_TRUE(says(budget.error().message, "30min")) << text;
  }
}

TEST(ConversionPlan, WhatBoundsStepsFirstEndsThem) {
  const StepCost cost = {.seconds = 2, .tokens = 1000, .epoch_tokens = 50000, .validation_s = 10};
  EXPECT_EQ(steps_of({.seconds = 1090}, cost), 500);
  EXPECT_EQ(steps_of({.tokens = 3e5}, cost), 300);
  EXPECT_EQ(steps_of({.epochs = 4}, cost), 200);
  EXPECT_EQ(steps_of({.seconds = 1090, .tokens = 3e5, .epochs = 4}, cost), 200);
  EXPECT_EQ(steps_of({.seconds = 1}, cost), 10);
  EXPECT_EQ(seconds_of(500, cost), 1090);
  EXPECT_EQ(steps_of({.tokens = 1e300}, cost), 1'000'000'000'000'000);  // at most
}

TEST(ConversionPlan, RatesFallWithTheSizeOfModels) {
  EXPECT_EQ(default_learning_rate(100'000), 1e-3);
  EXPECT_NEAR(default_learning_rate(6'000'000), 1e-3, 1e-9);
  EXPECT_NEAR(default_learning_rate(1'500'000'000), 1e-5, 1e-9);
  EXPECT_EQ(default_learning_rate(70'000'000'000), 1e-5);
  double last = 1;
  for (int64_t size = 100'000; size < 10'000'000'000; size *= 3) {
    EXPECT_LE(default_learning_rate(size), last);
    last = default_learning_rate(size);
  }
}

// Whatever the text and the model, tidar train takes the plan once it has steps.
TEST(ConversionPlan, FieldsAreThoseOfATraining) {
  const ModelConfig mini = named_shape("mini").value();
  for (const auto& [longest, tokens, sequence] :
       {std::tuple{50, 10'000, 64}, {300, 1'000'000, 512}, {5000, 100'000'000, 1024}}) {
    ConversionText text;
    text.train = {"a.tokens"};
    text.validation = {"b.tokens"};
    text.longest = longest;
    text.tokens = tokens;
    OrderedJson fields = planned_fields({"model", mini, text, 7, 16, false});
    fields["out"] = "out";
    fields["steps"] = 10;
    const RunConfig run = parse_run_config(fields.dump(), "plan").value();
    EXPECT_EQ(run.sequence, sequence);
    EXPECT_LE(int64_t{run.packs} * run.sequence * 50, std::max(tokens, 50 * sequence));
    EXPECT_EQ(run.objective.kind, ObjectiveKind::tidar);
    EXPECT_EQ(run.objective.block_size, 16);
    EXPECT_EQ(run.mask_token, "7");
    EXPECT_EQ(run.objective.prompts, Prompts::learnt);
    EXPECT_EQ(run.saved_weights, DType::bf16);
    text.prompt_tokens = 1;
    EXPECT_EQ(planned_fields({"model", mini, text, 7, 16, true})["prompts"], "given");
  }
}

}  // namespace
}  // namespace tidar
