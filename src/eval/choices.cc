#include "eval/choices.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "eval/shots.h"
#include "format/jsonl.h"

namespace tidar {
namespace {

constexpr int kMostChoices = 1000;

Result<ChoiceItem> read_item(const JsonFields& fields, int64_t line) {
  ChoiceItem item;
  TIDAR_TRY(item.id, fields.text("id", std::to_string(line)));
  TIDAR_TRY(item.context, fields.text("context"));
  TIDAR_TRY(item.delimiter, fields.text("delimiter", " "));
  TIDAR_TRY(item.choices, fields.texts("choices"));
  if (item.choices.size() < 2 || item.choices.size() > kMostChoices) {
    return fields.wrong("choices", fmt::format("a list of 2 to {} texts", kMostChoices));
  }
  if (std::find(item.choices.begin(), item.choices.end(), "") != item.choices.end()) {
    return fields.wrong("choices", "texts that are not empty");
  }
  const int last = static_cast<int>(item.choices.size()) - 1;
  TIDAR_TRY(item.answer, fields.integer("answer", {0, last}));
  return item;
}

/// Characters of UTF-8: bytes that do not continue one.
double characters(const std::string& text) {
  return static_cast<double>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned>(c) & 0xC0u) != 0x80u;
  }));
}

}  // namespace

Result<std::vector<ChoiceItem>> read_choices(const std::filesystem::path& path) {
  return read_items<ChoiceItem>(path, read_item);
}

Result<std::string> context_with_shots(const ChoiceItem& item, std::span<const ChoiceItem> shots,
                                       int count) {
  TIDAR_TRY(const std::string before,
            text_of_shots(
                shots, count, item.id,
                [&](const ChoiceItem& shot) { return shot.context == item.context; },
                [](const ChoiceItem& shot) {
                  return shot.context + shot.delimiter +
                         shot.choices[static_cast<size_t>(shot.answer)];
                }));
  return before + item.context;
}

Result<ScoredText> split_text(const Tokenizer& tokenizer, std::string context,
                              std::string continuation, int32_t start) {
  const size_t end = context.find_last_not_of(" \t\n\v\f\r") + 1;  // npos + 1 is 0
  continuation.insert(0, context, end, std::string::npos);
  context.resize(end);
  const auto before = tokenizer.encode(context);
  ScoredText text{tokenizer.encode(context + continuation), static_cast<int32_t>(before.size())};
  if (before.empty()) {
    if (start < 0) {
      return error(
          "a text without a context needs a token to begin with, and the model names no "
          "end-of-text token");
    }
    text.tokens.insert(text.tokens.begin(), start);
    text.from = 1;
  }
  if (text.from >= static_cast<int32_t>(text.tokens.size())) {
    return error("a continuation brings no token of its own");
  }
  return text;
}

ChoiceVerdict judge_choices(const ChoiceItem& item, std::span<const double> logprobs) {
  TIDAR_CHECK_EQ(logprobs.size(), item.choices.size());
  const auto better = [&](int a, int b, bool normalised) {
    const auto value = [&](int i) {
      const auto at = static_cast<size_t>(i);
      return normalised ? logprobs[at] / characters(item.choices[at]) : logprobs[at];
    };
    return value(a) > value(b);
  };
  ChoiceVerdict verdict;
  for (int i = 1; i < static_cast<int>(logprobs.size()); ++i) {
    if (better(i, verdict.chosen, false)) verdict.chosen = i;
    if (better(i, verdict.chosen_normalised, true)) verdict.chosen_normalised = i;
  }
  verdict.right = verdict.chosen == item.answer;
  verdict.right_normalised = verdict.chosen_normalised == item.answer;
  return verdict;
}

}  // namespace tidar
