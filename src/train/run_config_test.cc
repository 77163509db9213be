#include "train/run_config.h"

#include <gtest/gtest.h>

#include "format/files_testing.h"
#include "format/json.h"

namespace tidar {
namespace {

/// The least that a run needs, with some fields changed.
Json with(const Json& changes) {
  Json run = {{"out", "runs/a"}, {"init", "model"}, {"train", {"a.shard"}}, {"steps", 100}};
  run.update(changes);
  return run;
}

Result<RunConfig> parse(const Json& run) { return parse_run_config(run.dump(), "run.json"); }

TEST(RunConfig, WhatIsLeftOutHasItsDefault) {
  const RunConfig run = parse(with(Json::object())).value();
  EXPECT_EQ(run.tokenizer, "model");
  EXPECT_EQ(run.objective.kind, ObjectiveKind::ar);
  EXPECT_EQ(run.sequence, 512);
  EXPECT_EQ(run.packing, Packing::filled);
  EXPECT_EQ(run.clip, 1);
  EXPECT_EQ(run.schedule.decay, Decay::cosine);
  EXPECT_EQ(run.schedule.warmup_steps, 1);
  EXPECT_EQ(run.compute, WeightFormat::f32);
  EXPECT_TRUE(run.draft_lengths.empty());
}

TEST(RunConfig, ARecipeGivesDefaultsThatFieldsOverride) {
  const auto objective = [](const Json& changes) { return parse(with(changes)).value().objective; };
  const ObjectiveOptions mixed = objective({{"objective", "tidar:16"}});
  EXPECT_EQ(mixed.alpha, 4);
  EXPECT_EQ(mixed.block_start, BlockStart::random);
  EXPECT_EQ(mixed.block_end, BlockEnd::whole);
  EXPECT_EQ(mixed.block_sizes, (std::vector{4, 8, 16}));
  EXPECT_EQ(objective({{"objective", "tidar:9"}}).block_sizes, (std::vector{4, 9}));
  EXPECT_TRUE(objective({{"objective", "tidar:3"}}).block_sizes.empty());

  const ObjectiveOptions paper = objective({{"objective", "tidar:16"}, {"recipe", "paper"}});
  EXPECT_EQ(paper.alpha, 1);
  EXPECT_EQ(paper.block_start, BlockStart::aligned);
  EXPECT_EQ(paper.block_end, BlockEnd::cut);
  EXPECT_TRUE(paper.block_sizes.empty());

  const ObjectiveOptions own = objective({{"objective", "tidar:16"},
                                          {"alpha", 2},
                                          {"block_start", "aligned"},
                                          {"block_end", "cut"},
                                          {"block_sizes", Json::array()}});
  EXPECT_EQ(own.alpha, 2);
  EXPECT_EQ(own.block_start, BlockStart::aligned);
  EXPECT_EQ(own.block_end, BlockEnd::cut);
  EXPECT_TRUE(own.block_sizes.empty());
  EXPECT_EQ(objective({{"objective", "block:16"}}).block_end, BlockEnd::cut);
  EXPECT_EQ(objective({{"objective", "tidar:16"}, {"block_start", "anchors"}}).block_start,
            BlockStart::anchors);
}

TEST(RunConfig, EpochsStandInPlaceOfSteps) {
  Json file = with({{"epochs", 2.5}});
  EXPECT_NE(parse(file).error().message.find("found both"), std::string::npos);
  file.erase("steps");
  RunConfig run = parse(file).value();
  EXPECT_EQ(run.epochs, 2.5);
  ASSERT_TRUE(set_steps(run, 300).ok());
  EXPECT_EQ(run.schedule.steps, 300);
  EXPECT_EQ(run.schedule.warmup_steps, 3);
  file["warmup_steps"] = 50;
  run = parse(file).value();
  EXPECT_FALSE(set_steps(run, 20).ok());
  ASSERT_TRUE(set_steps(run, 300).ok());
  EXPECT_EQ(run.schedule.warmup_steps, 50);
}

TEST(RunConfig, FieldsAreSetAnew) {
  const std::string file = with(Json::object()).dump();
  const auto set = [&](const std::vector<std::string>& settings) -> Result<RunConfig> {
    TIDAR_TRY(const std::string text, with_fields(file, "run.json", settings));
    return parse_run_config(text, "run.json");
  };
  const RunConfig run =
      set({"steps=7", "objective=tidar:8", "mask_token=3", "block_sizes=[4, 8]", "out=a=b"})
          .value();
  EXPECT_EQ(run.schedule.steps, 7);
  EXPECT_EQ(run.objective.block_size, 8);
  EXPECT_EQ(run.objective.block_sizes, (std::vector{4, 8}));
  EXPECT_EQ(run.mask_token, "3");
  EXPECT_EQ(run.out, "a=b");
  EXPECT_EQ(run.init, "model");
  EXPECT_EQ(with_fields(file, "run.json", {}).value(), file);
  for (const char* setting : {"steps", "=7"}) {
    EXPECT_NE(set({setting}).error().message.find("--set steps=100"), std::string::npos);
  }
  EXPECT_NE(set({"stps=7"}).error().message.find("'steps'"), std::string::npos);
}

TEST(RunConfig, ReadsEveryField) {
  const RunConfig run = parse(with({{"objective", "tidar:8"},
                                    {"alpha", 0.5},
                                    {"place_decay", 4},
                                    {"target", {{"kind", "kl"}, {"share", 0.9}}},
                                    {"masking", "random"},
                                    {"block_start", "random"},
                                    {"block_end", "whole"},
                                    {"block_sizes", {4, 8}},
                                    {"block_stages", {{"1000", {8}}, {"200", {4, 6}}}},
                                    {"prompts", "given"},
                                    {"noise", {0.25, 0.75}},
                                    {"label_shift", "one"},
                                    {"end_token", 3},
                                    {"padding", 64},
                                    {"mask_token", "<|mask|>"},
                                    {"tokenizer", "words"},
                                    {"validation", {{"text", {"b.shard", "c.shard"}}}},
                                    {"repeat", {{"a.shard", 2.5}}},
                                    {"sequence", 64},
                                    {"packs", 3},
                                    {"packing", "whole"},
                                    {"seed", 9},
                                    {"schedule", "wsd"},
                                    {"learning_rate", 0.01},
                                    {"final_learning_rate", 0.002},
                                    {"warmup_steps", 7},
                                    {"decay_steps", 20},
                                    {"beta1", 0.8},
                                    {"beta2", 0.9},
                                    {"epsilon", 1e-6},
                                    {"weight_decay", 0.2},
                                    {"frozen", {"*embed*"}},
                                    {"no_decay", {"*.mlp.*", "lm_head"}},
                                    {"rates", {{"*norm*", 0.1}}},
                                    {"ema", 0.99},
                                    {"clip", 0},
                                    {"spike_factor", 5},
                                    {"precision", "bf16"},
                                    {"activation_gib", 2},
                                    {"logit_gib", 0.5},
                                    {"validate_every", 11},
                                    {"validation_packs", 12},
                                    {"prompts_file", "p.jsonl"},
                                    {"prompt_count", 13},
                                    {"max_new", 14},
                                    {"checkpoint_every", 15},
                                    {"keep", 16},
                                    {"best", "text.ar"},
                                    {"weights", "bf16"},
                                    {"log_every", 17}}))
                            .value();
  EXPECT_EQ(run.repeat, (std::map<std::string, double>{{"a.shard", 2.5}}));
  EXPECT_EQ(run.rules.frozen, (std::vector<std::string>{"*embed*"}));
  EXPECT_EQ(run.rules.no_decay, (std::vector<std::string>{"*.mlp.*", "lm_head"}));
  EXPECT_EQ(run.rules.rates, (std::map<std::string, double>{{"*norm*", 0.1}}));
  EXPECT_EQ(run.ema, 0.99);
  EXPECT_EQ(run.activation_gib, 2);
  EXPECT_EQ(run.logit_gib, 0.5);
  EXPECT_EQ(run.best, "text.ar");
  EXPECT_EQ(run.objective.kind, ObjectiveKind::tidar);
  EXPECT_EQ(run.objective.block_size, 8);
  EXPECT_EQ(run.objective.place_decay, 4);
  ASSERT_EQ(run.objective.block_stages.size(), 2u);
  EXPECT_EQ(run.objective.block_stages[0].step, 200);
  EXPECT_EQ(run.objective.block_stages[0].sizes, (std::vector{4, 6}));
  EXPECT_EQ(run.objective.block_stages[1].step, 1000);
  EXPECT_EQ(run.objective.noise.low, 0.25);
  EXPECT_EQ(run.objective.noise.high, 0.75);
  EXPECT_EQ(run.objective.label_shift, LabelShift::one);
  EXPECT_EQ(run.end_token, "3");
  EXPECT_EQ(run.objective.padding, 64);
  EXPECT_EQ(run.objective.target.distance, Distance::kl);
  EXPECT_EQ(run.objective.target.share, 0.9);
  EXPECT_EQ(run.objective.alpha, 0.5);
  EXPECT_EQ(run.objective.masking, Masking::random);
  EXPECT_EQ(run.objective.block_start, BlockStart::random);
  EXPECT_EQ(run.objective.block_end, BlockEnd::whole);
  EXPECT_EQ(run.objective.block_sizes, (std::vector<int>{4, 8}));
  EXPECT_EQ(run.objective.prompts, Prompts::given);
  EXPECT_EQ(run.mask_token, "<|mask|>");
  EXPECT_EQ(run.tokenizer, "words");
  EXPECT_EQ(run.validation.at("text").size(), 2u);
  EXPECT_EQ(run.sequence, 64);
  EXPECT_EQ(run.packs, 3);
  EXPECT_EQ(run.packing, Packing::whole);
  EXPECT_EQ(run.seed, 9u);
  EXPECT_EQ(run.schedule.decay, Decay::wsd);
  EXPECT_EQ(run.schedule.peak, 0.01);
  EXPECT_EQ(run.schedule.floor, 0.002);
  EXPECT_EQ(run.schedule.warmup_steps, 7);
  EXPECT_EQ(run.schedule.decay_steps, 20);
  EXPECT_EQ(run.adamw.beta1, 0.8);
  EXPECT_EQ(run.adamw.beta2, 0.9);
  EXPECT_EQ(run.adamw.epsilon, 1e-6);
  EXPECT_EQ(run.adamw.weight_decay, 0.2);
  EXPECT_EQ(run.clip, 0);
  EXPECT_EQ(run.spike_factor, 5);
  EXPECT_EQ(run.compute, WeightFormat::bf16);
  EXPECT_EQ(run.validate_every, 11);
  EXPECT_EQ(run.validation_packs, 12);
  EXPECT_EQ(run.prompts, "p.jsonl");
  EXPECT_EQ(run.prompt_count, 13);
  EXPECT_EQ(run.max_new, 14);
  EXPECT_EQ(run.draft_lengths, std::vector<int>{8});
  EXPECT_EQ(run.checkpoint_every, 15);
  EXPECT_EQ(run.keep, 16);
  EXPECT_EQ(run.saved_weights, DType::bf16);
  EXPECT_EQ(run.log_every, 17);
}

TEST(RunConfig, AMaskTokenMayBeAnId) {
  EXPECT_EQ(parse(with({{"mask_token", 7}})).value().mask_token, "7");
}

TEST(RunConfig, AnAdapter) {
  EXPECT_FALSE(parse(with(Json::object())).value().lora);
  const auto lora = [](const Json& fields) {
    return parse(with({{"objective", "tidar:4"}, {"lora", fields}})).value().lora.value();
  };
  const LoraRun all = lora({{"r", 8}, {"lora_alpha", 4}, {"target_modules", {"v_proj"}}});
  EXPECT_EQ(all.adapter, (AdapterConfig{.rank = 8, .alpha = 4, .targets = {WeightRole::value}}));
  EXPECT_TRUE(all.merges);
  EXPECT_FALSE(lora({{"r", 8}, {"merge", false}}).merges);
  const LoraRun masks = lora({{"r", 8}, {"rows", "masks"}});
  EXPECT_EQ(masks.adapter.rows, AdapterRows::masks);
  EXPECT_FALSE(masks.merges);
}

struct BadRun {
  const char* name;
  Json changes;
  const char* says;
};
class BadRunConfig : public ::testing::TestWithParam<BadRun> {};

TEST_P(BadRunConfig, IsOneSentence) {
  const auto run = parse(with(GetParam().changes));
  ASSERT_FALSE(run.ok());
  EXPECT_TRUE(says(run.error().message, GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadRunConfig,
    ::testing::Values(
        BadRun{"misspelt",
               {{"lerning_rate", 1}},
               "run.json: unknown field 'lerning_rate'|"
               "did you mean 'learning_rate'?"},
        BadRun{"unknown", {{"xyzzy", 1}}, "unknown field 'xyzzy'|known are out, init"},
        BadRun{"misspelt_instead", {{"steps", nullptr}, {"stpes", 5}}, "did you mean 'steps'?"},
        BadRun{"no_steps", {{"steps", nullptr}}, "'steps' is missing"},
        BadRun{"no_steps_at_all", {{"steps", 0}}, "'steps' is 0; expected an integer from 1"},
        BadRun{"no_out", {{"out", nullptr}}, "'out' is missing|folder"},
        BadRun{"no_model", {{"init", nullptr}}, "'init'|'model_config'|neither"},
        BadRun{"two_models", {{"model_config", "x"}}, "found both"},
        BadRun{"no_text", {{"train", Json::array()}}, "'train' names no token shards|tidar data"},
        BadRun{"text_is_no_list", {{"train", "a.shard"}}, "'train'|a list of texts"},
        BadRun{"empty_set", {{"validation", {{"v", Json::array()}}}}, "set 'v' names no"},
        BadRun{"objective", {{"objective", "tidr:4"}}, "did you mean tidar?"},
        BadRun{"block", {{"objective", "tidar:0"}}, "block size"},
        BadRun{"masking", {{"masking", "half"}}, "'masking'|'full' or 'random'"},
        BadRun{"target_kind", {{"target", {{"kind", "l2"}, {"share", 1}}}}, "'kind'|'l1' or 'kl'"},
        BadRun{"target_share", {{"target", {{"kind", "l1"}}}}, "target|'share' is missing"},
        BadRun{"target_other", {{"target", {{"knd", "l1"}}}}, "did you mean 'kind'?"},
        BadRun{"block_stages", {{"block_stages", {{"x", {4}}}}}, "'block_stages'|by the step"},
        BadRun{"block_stage_0", {{"block_stages", {{"0", {4}}}}}, "'block_stages'|by the step"},
        BadRun{"noise", {{"noise", {0.5}}}, "'noise'|lowest and the highest"},
        BadRun{"noise_is_one", {{"noise", 0.5}}, "'noise'|lowest and the highest"},
        BadRun{"end_token", {{"end_token", 1.5}}, "'end_token'|id or the text"},
        BadRun{"mask_token", {{"mask_token", 1.5}}, "'mask_token'|id or the text"},
        BadRun{"precision", {{"precision", "fp8"}}, "'precision'|'f32' or 'bf16'"},
        BadRun{"schedule", {{"schedule", "cosin"}}, "did you mean cosine?"},
        BadRun{"warmup", {{"warmup_steps", 101}}, "warm"},
        BadRun{"beta", {{"beta1", 1}}, "'beta1'"},
        BadRun{"lora", {{"lora", 4}}, "'lora'|expected an object"},
        BadRun{"lora_rank", {{"lora", {{"lora_alpha", 4}}}}, "lora: field 'r' is missing"},
        BadRun{"lora_field", {{"lora", {{"r", 4}, {"rnk", 4}}}}, "unknown field 'rnk'"},
        BadRun{"lora_rows", {{"lora", {{"r", 4}, {"rows", "some"}}}}, "'rows'|'all' or 'masks'"},
        BadRun{"lora_ar",
               {{"objective", "ar"}, {"lora", {{"r", 4}, {"rows", "masks"}}}},
               "'rows'|objective ar has no masks"},
        BadRun{"lora_merge",
               {{"objective", "tidar:4"}, {"lora", {{"r", 4}, {"rows", "masks"}, {"merge", true}}}},
               "'merge'|as they are"},
        BadRun{"sequence", {{"sequence", 1}}, "'sequence' is 1; expected an integer from 2"}),
    CaseName());

}  // namespace
}  // namespace tidar
