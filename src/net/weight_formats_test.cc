#include "net/weight_formats.h"

#include <gtest/gtest.h>

#include <set>

namespace tidar {
namespace {

using enum PackedRole;

ModelConfig config_with(HeadWeight head) {
  ModelConfig config = named_shape("mini").value();
  config.head = head;
  config.layers = 3;
  return config;
}

TEST(WeightFormats, EachPlaceHasItsOwn) {
  WeightFormats formats(WeightFormat::w4);
  formats.set(down, WeightFormat::w8);
  formats.set({down, 1}, WeightFormat::f32);
  EXPECT_EQ(formats.of({qkv, 1}), WeightFormat::w4);
  EXPECT_EQ(formats.of({down, 0}), WeightFormat::w8);
  EXPECT_EQ(formats.of({down, 1}), WeightFormat::f32);
  formats.set(down, WeightFormat::bf16);  // in all layers
  EXPECT_EQ(formats.of({down, 1}), WeightFormat::bf16);
}

TEST(WeightFormats, EveryMatrixIsPackedOnceAndVectorsAreNot) {
  for (const HeadWeight head : {HeadWeight::own, HeadWeight::tied}) {
    const ModelConfig config = config_with(head);
    std::set<PackedPlace> expected;
    for (const WeightSpec& spec : weight_table(config)) {
      const auto role = packed_role(spec.role);
      EXPECT_EQ(role.has_value(), spec.shape.size() == 2) << spec.name;
      if (role) expected.insert({*role, spec.layer});
    }
    const std::vector<PackedPlace> places = packed_weights(config);
    EXPECT_EQ(std::set<PackedPlace>(places.begin(), places.end()), expected);
    EXPECT_EQ(places.size(), expected.size());
    EXPECT_EQ(places.size(), head == HeadWeight::own ? 14u : 13u);
  }
}

TEST(WeightFormats, ATextTellsModelsApart) {
  const ModelConfig config = config_with(HeadWeight::own);
  WeightFormats formats(WeightFormat::w4);
  EXPECT_EQ(text_of(formats, config), "w4");
  formats.set(head, WeightFormat::w8);
  formats.set(embedding, WeightFormat::bf16);
  EXPECT_EQ(text_of(formats, config), "w4,embedding=bf16,head=w8");
  formats.set({down, 2}, WeightFormat::w8);
  EXPECT_EQ(text_of(formats, config), "w4,embedding=bf16,down=w8:1+w4:2,head=w8");
  EXPECT_EQ(usual_format(formats, config), WeightFormat::w4);
  EXPECT_EQ(text_of(formats, config_with(HeadWeight::tied)), "w4,embedding=bf16,down=w8:1+w4:2");
}

TEST(StoredFormats, AreTheWidestOfWhatIsPackedTogether) {
  const ModelConfig config = config_with(HeadWeight::own);
  std::vector<StoredTensor> tensors;
  for (const WeightSpec& spec : weight_table(config)) {
    DType dtype = DType::bf16;
    if (spec.role == WeightRole::embedding || spec.shape.size() == 1) dtype = DType::f32;
    if (spec.role == WeightRole::value && spec.layer == 1) dtype = DType::f16;
    tensors.push_back(
        {.name = spec.name, .dtype = dtype, .shape = spec.shape, .data = {}, .file = "memory"});
  }
  const ModelWeights weights = ModelWeights::of_memory(config, tensors);
  EXPECT_EQ(text_of(stored_formats(config, weights), config),
            "bf16,embedding=f32,qkv=f32:1+bf16:2");
}

}  // namespace
}  // namespace tidar
