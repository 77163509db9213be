#include "train/parameter_rules.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "format/files_testing.h"

namespace tidar {
namespace {

/// The definition: a star is any number of letters.
bool fits_plainly(std::string_view name, std::string_view pattern) {
  if (pattern.empty()) return name.empty();
  if (pattern[0] == '*') {
    for (size_t taken = 0; taken <= name.size(); ++taken) {
      if (fits_plainly(name.substr(taken), pattern.substr(1))) return true;
    }
    return false;
  }
  return !name.empty() && name[0] == pattern[0] && fits_plainly(name.substr(1), pattern.substr(1));
}

TEST(ParameterRules, APatternFitsTheWholeName) {
  Rng rng(1);
  const auto random_text = [&](const std::string& letters, int longest) {
    std::string text;
    for (int n = rng.below(longest + 1); n > 0; --n) {
      text += letters[static_cast<size_t>(rng.below(static_cast<int>(letters.size())))];
    }
    return text;
  };
  int fitted = 0;
  for (int i = 0; i < 20000; ++i) {
    const std::string name = random_text("ab", 7), pattern = random_text("ab**", 6);
    const bool fits = fits_plainly(name, pattern);
    ASSERT_EQ(fits_pattern(name, pattern), fits) << name << " " << pattern;
    fitted += fits;
  }
  EXPECT_GT(fitted, 2000);
  EXPECT_TRUE(fits_pattern("model.layers.1.mlp.up_proj.weight", "*.mlp.*"));
  EXPECT_FALSE(fits_pattern("model.layers.11.input_layernorm.weight", "model.layers.1.*"));
}

const std::vector<WeightSpec> kTable = {{WeightRole::embedding, -1, "embed", {5, 4}},
                                        {WeightRole::query, 0, "layers.0.q", {4, 4}},
                                        {WeightRole::query, 1, "layers.1.q", {4, 4}},
                                        {WeightRole::final_norm, -1, "norm", {4}}};

TEST(ParameterRules, NameWeights) {
  const RuledParameters none = apply_rules({}, kTable).value();
  EXPECT_TRUE(none.frozen.empty());
  ASSERT_EQ(none.updates.size(), 4u);
  for (const ParameterUpdate& update : none.updates) {
    EXPECT_EQ(update.rate, 1);
    EXPECT_TRUE(update.decays);
  }
  const RuledParameters ruled = apply_rules({.frozen = {"layers.*", "layers.0.q"},
                                             .no_decay = {"embed"},
                                             .rates = {{"*m*", 0.5}, {"layers.1*", 3}}},
                                            kTable)
                                    .value();
  EXPECT_EQ(ruled.frozen, (std::vector<std::string>{"layers.0.q", "layers.1.q"}));
  EXPECT_FALSE(ruled.updates[0].decays);
  EXPECT_TRUE(ruled.updates[1].decays);
  EXPECT_EQ(ruled.updates[0].rate, 0.5);
  EXPECT_EQ(ruled.updates[1].rate, 1);
  EXPECT_EQ(ruled.updates[2].rate, 3);
  EXPECT_EQ(ruled.updates[3].rate, 0.5);
}

// What an adapter is beside stays as it is, and rules name its tensors as they name weights.
TEST(ParameterRules, AnAdapterIsTrainedAlone) {
  const auto part = [](const char* name, WeightPart which) {
    return WeightSpec{WeightRole::query, 0, name, {4, 4}, which};
  };
  const std::vector<WeightSpec> table = {kTable[0], kTable[1],
                                         part("layers.0.q.lora_A", WeightPart::lora_a),
                                         part("layers.0.q.lora_B", WeightPart::lora_b), kTable[3]};
  const RuledParameters plain = apply_rules({}, table).value();
  EXPECT_EQ(plain.frozen, (std::vector<std::string>{"embed", "layers.0.q", "norm"}));
  EXPECT_EQ(plain.updates.size(), table.size());
  const RuledParameters ruled =
      apply_rules({.frozen = {"*lora_A"}, .rates = {{"*lora_B", 16}}}, table).value();
  EXPECT_EQ(ruled.frozen,
            (std::vector<std::string>{"embed", "layers.0.q", "layers.0.q.lora_A", "norm"}));
  EXPECT_EQ(ruled.updates[3].rate, 16);
  EXPECT_FALSE(apply_rules({.frozen = {"*lora*"}}, table).ok());
}

TEST(ParameterRules, SayWhatIsWrong) {
  const auto message = [](const ParameterRules& rules) {
    return apply_rules(rules, kTable).error().message;
  };
  EXPECT_TRUE(says(message({.frozen = {"layer.*"}}), "frozen: |'layer.*'|embed|layers.1.q"));
  EXPECT_TRUE(says(message({.no_decay = {"q"}}), "no_decay: "));
  EXPECT_TRUE(says(message({.rates = {{"x*", 1}}}), "rates: "));
  EXPECT_TRUE(says(message({.rates = {{"*q", 1}, {"layers.1*", 1}}}), "layers.1.q has two"));
  EXPECT_TRUE(says(message({.frozen = {"*"}}), "nothing is left"));
}

}  // namespace
}  // namespace tidar
