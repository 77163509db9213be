#pragma once
// What a conversion will do, as the config of a training: chosen by the size of the model and the
// text, and as long as a budget allows.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "apps/conversion_text.h"
#include "base/result.h"
#include "format/json.h"
#include "model/config.h"

namespace tidar {

/// How long to train: what bounds it first ends it. 0: does not bound it.
struct Budget {
  double seconds = 0;
  double tokens = 0;
  double epochs = 0;
};

/// "30min", "2h", "90s", "10Mtokens", "500ktokens", "3epochs", or several of them between commas.
Result<Budget> parse_budget(std::string_view text);

/// What is converted.
struct ConversionFacts {
  std::filesystem::path model;
  const ModelConfig& config;
  const ConversionText& text;
  int32_t mask_token = -1;
  int block_size = 16;
  bool wide_weights = false;  ///< they are stored as f32
};

/// The highest learning rate for a model of so many parameters. Between those that were found good
/// for a model of 6 million parameters (1e-3, mini/tidar.json) and for one of 1.5 billion (1e-5,
/// arXiv 2511.08923) a power law; not above the one nor below the other.
double default_learning_rate(int64_t parameters);

/// Fields of a config (train/run_config.h), without "out" and "steps". Documents that fit are read
/// whole, up to 1024 tokens; a step has about as many tokens as the square root of the model's size
/// suggests, and an epoch at least fifty steps, where the text is large enough.
OrderedJson planned_fields(const ConversionFacts& facts);

/// What a step costs, as measured.
struct StepCost {
  double seconds = 0;
  double tokens = 0;        ///< on average
  double epoch_tokens = 0;  ///< of all of the text
  double validation_s = 0;  ///< one validation
};

/// Steps that the budget pays for, at least 10, where validations come before the first of them and
/// after each eighth.
int64_t steps_of(const Budget& budget, const StepCost& cost);

/// What so many steps take with these validations.
double seconds_of(int64_t steps, const StepCost& cost);

}  // namespace tidar
