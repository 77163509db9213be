#include "apps/conversion_plan.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <utility>

#include "base/check.h"

namespace tidar {

namespace {

constexpr int kMostSequence = 1024;
constexpr int64_t kLeastSteps = 10;
constexpr int kValidations = 9;  // before the first step, and after each eighth of them

struct Unit {
  std::string_view name;
  double Budget::*field;
  double scale;
};
constexpr std::array<Unit, 8> kUnits = {{{"s", &Budget::seconds, 1},
                                         {"min", &Budget::seconds, 60},
                                         {"h", &Budget::seconds, 3600},
                                         {"tokens", &Budget::tokens, 1},
                                         {"ktokens", &Budget::tokens, 1e3},
                                         {"Mtokens", &Budget::tokens, 1e6},
                                         {"Gtokens", &Budget::tokens, 1e9},
                                         {"epochs", &Budget::epochs, 1}}};

Result<void> add_bound(std::string_view text, Budget& budget) {
  double value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view name = text.substr(static_cast<size_t>(end - text.data()));
  const auto unit =
      std::find_if(kUnits.begin(), kUnits.end(), [&](const Unit& one) { return one.name == name; });
  if (code != std::errc{} || unit == kUnits.end() || !(value > 0) || std::isinf(value)) {
    return error("expected such as 30min, 2h, 10Mtokens or 3epochs, found '{}'", text);
  }
  budget.*unit->field = value * unit->scale;
  return {};
}

/// For whoever reads the config.
double in_two_digits(double value) {
  return std::strtod(fmt::format("{:.1e}", value).c_str(), nullptr);
}

int power_of_two_above(int64_t value) {
  int power = 1;
  while (power < value) power *= 2;
  return power;
}

}  // namespace

Result<Budget> parse_budget(std::string_view text) {
  Budget budget;
  for (;;) {
    const size_t comma = text.find(',');
    TIDAR_TRY_VOID(add_bound(text.substr(0, comma), budget));
    if (comma == text.npos) return budget;
    text.remove_prefix(comma + 1);
  }
}

double default_learning_rate(int64_t parameters) {
  constexpr double kSmall = 6e6, kSmallRate = 1e-3, kLarge = 1.5e9, kLargeRate = 1e-5;
  const double slope = std::log(kLargeRate / kSmallRate) / std::log(kLarge / kSmall);
  const double rate = kSmallRate * std::pow(static_cast<double>(parameters) / kSmall, slope);
  return std::clamp(in_two_digits(rate), kLargeRate, kSmallRate);
}

OrderedJson planned_fields(const ConversionFacts& facts) {
  const ConversionText& text = facts.text;
  const int fitting = power_of_two_above(std::max<int64_t>(text.longest, 64));
  const int sequence = std::min({fitting, kMostSequence, facts.config.max_positions});
  const auto parameters = static_cast<double>(facts.config.parameters());
  // 4 k tokens for a model of some millions, 32 k for one of half a billion.
  const double wanted = std::clamp(1.5 * std::sqrt(parameters), 2048.0, 65536.0);
  const double affordable = static_cast<double>(text.tokens) / 50;
  const int packs = std::max(1, static_cast<int>(std::min(wanted, affordable) / sequence));
  const double rate = default_learning_rate(facts.config.parameters());

  const auto paths = [](const std::vector<std::filesystem::path>& list) {
    OrderedJson json = OrderedJson::array();
    for (const auto& path : list) json.push_back(path.string());
    return json;
  };
  return {{"init", facts.model.string()},
          {"objective", fmt::format("tidar:{}", std::min(facts.block_size, sequence))},
          {"mask_token", facts.mask_token},
          {"prompts", text.prompt_tokens > 0 ? "given" : "learnt"},
          {"train", paths(text.train)},
          {"validation", {{"held_out", paths(text.validation)}}},
          {"sequence", sequence},
          {"packs", packs},
          {"learning_rate", rate},
          {"final_learning_rate", in_two_digits(rate / 20)},
          {"precision", "bf16"},
          {"validation_packs", 32},
          {"keep", 2},
          {"weights", facts.wide_weights ? "f32" : "bf16"}};
}

int64_t steps_of(const Budget& budget, const StepCost& cost) {
  double steps = std::numeric_limits<double>::infinity();
  if (budget.seconds > 0) {
    const double training = budget.seconds - kValidations * cost.validation_s;
    steps = std::min(steps, training / cost.seconds);
  }
  if (budget.tokens > 0) steps = std::min(steps, budget.tokens / cost.tokens);
  if (budget.epochs > 0) steps = std::min(steps, budget.epochs * cost.epoch_tokens / cost.tokens);
  TIDAR_CHECK(std::isfinite(steps));
  constexpr double kMostSteps = 1e15;
  return std::max<int64_t>(kLeastSteps, std::llround(std::min(steps, kMostSteps)));
}

double seconds_of(int64_t steps, const StepCost& cost) {
  return static_cast<double>(steps) * cost.seconds + kValidations * cost.validation_s;
}

}  // namespace tidar
