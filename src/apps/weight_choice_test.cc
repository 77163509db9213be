#include "apps/weight_choice.h"

#include <gtest/gtest.h>

namespace tidar {
namespace {

using enum PackedRole;

ModelConfig config_with(HeadWeight head) {
  ModelConfig config = named_shape("mini").value();
  config.head = head;
  return config;
}

/// "--weights text" of a model that is stored in bf16, told again.
std::string told(std::string_view text, HeadWeight head = HeadWeight::own) {
  const ModelConfig config = config_with(head);
  const auto choice = parse_weight_choice(text);
  if (!choice.ok()) return choice.error().message;
  const auto formats = chosen_formats(*choice, config, WeightFormat::bf16);
  return formats.ok() ? text_of(*formats, config) : formats.error().message;
}

TEST(WeightChoice, AFormatAndOthersByRole) {
  EXPECT_EQ(told("w4"), "w4");
  EXPECT_EQ(told("w4,head=w8"), "w4,head=w8");
  EXPECT_EQ(told("w4,down=w8,embedding=bf16"), "w4,embedding=bf16,down=w8");
  EXPECT_EQ(told("w4,head=w4"), "w4");
  EXPECT_EQ(told("head=w8"), "bf16,head=w8");
  EXPECT_TRUE(WeightChoice().is_default());
  EXPECT_FALSE(parse_weight_choice("bf16")->is_default());
  EXPECT_FALSE(parse_weight_choice("head=w8")->is_default());
}

TEST(WeightChoice, ATiedHeadIsTheEmbedding) {
  for (const std::string_view text :
       {"w4,head=w8", "w4,embedding=w8", "w4,head=w8,embedding=w8", "w4,embedding=w8,head=w8"}) {
    EXPECT_EQ(told(text, HeadWeight::tied), "w4,embedding=w8") << text;
  }
  const std::string refused = told("w4,embedding=bf16,head=w8", HeadWeight::tied);
  EXPECT_NE(refused.find("one weight"), std::string::npos) << refused;
  EXPECT_NE(refused.find("bf16 and w8"), std::string::npos) << refused;
  EXPECT_EQ(told("w4,embedding=bf16,head=w8"), "w4,embedding=bf16,head=w8");
}

TEST(WeightChoice, WhatIsWrongIsToldWithWhatThereIs) {
  EXPECT_EQ(told("w5"), "'w5' is no format of weights; there are f32, bf16, w8, w4");
  EXPECT_EQ(told(""), "'' is no format of weights; there are f32, bf16, w8, w4");
  EXPECT_EQ(told("w4,head=q8"), "'q8' is no format of weights; there are f32, bf16, w8, w4");
  EXPECT_EQ(told("w4,lm_head=w8"),
            "'lm_head' is no role of weights; there are embedding, qkv, attention_out, gate_up, "
            "down, head");
  EXPECT_EQ(told("w4,head=w8,head=w4"), "the role head is given twice");
  EXPECT_NE(told("head=w8,w4").find("first"), std::string::npos);
  EXPECT_NE(told("w4,").find("'' is no format"), std::string::npos);
}

}  // namespace
}  // namespace tidar
