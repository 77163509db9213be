// What it costs to hold outputs to a form: to read it, to find what a place of a text allows for
// the first time, and to look it up.
//
//   form_bench FOLDER...
//
// Each is a folder with a tokenizer.json. A text is made by taking any of the allowed tokens; the
// figures of each form are of all its places.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "base/rng.h"
#include "constrain/output_form.h"

namespace tidar {
namespace {

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct NamedForm {
  const char* name;
  OutputForm form;
};

const std::vector<NamedForm>& forms() {
  using Kind = OutputForm::Kind;
  static const std::vector<NamedForm> kForms = {
      {"any object", {Kind::json_object, ""}},
      {"a record",
       {Kind::json_schema,
        R"({"type": "object", "additionalProperties": false,
            "required": ["name", "day", "tags", "place"],
            "properties": {"name": {"type": "string"}, "day": {"type": "string", "format": "date"},
                           "tags": {"type": "array", "items": {"enum": ["new", "old", "gone"]}},
                           "place": {"anyOf": [{"type": "null"}, {"$ref": "#"}]}}})"}},
      {"words", {Kind::expression, "(?:[A-Za-z]+[ ,.]){20,40}"}},
  };
  return kForms;
}

/// Follows texts of up to so many tokens; what places took, each time it was asked.
void follow(const std::shared_ptr<const Constraint>& begin, std::vector<double>& times) {
  Rng rng(1);
  for (int text = 0; text < 4; ++text) {
    auto constraint = begin;
    for (int i = 0; i < 200; ++i) {
      const double start = seconds();
      const auto allowed = constraint->allowed();
      times.push_back(seconds() - start);
      std::vector<int32_t> tokens;
      for (int32_t token = 0; token < allowed->limit(); ++token) {
        if (allowed->contains(token)) tokens.push_back(token);
      }
      if (tokens.empty()) break;
      constraint = constraint->after(
          tokens[static_cast<size_t>(rng.below(static_cast<int>(tokens.size())))]);
    }
  }
}

void measure(const char* folder) {
  auto tokenizer = Tokenizer::open(folder);
  if (!tokenizer.ok()) {
    std::printf("%s\n", tokenizer.error().message.c_str());
    return;
  }
  OutputForms forms_of_model(*tokenizer);
  const std::vector<int32_t> eos = {tokenizer->size() - 1};
  double start = seconds();
  const OutputForm first = {OutputForm::Kind::expression, "a"};
  if (!forms_of_model.constraint_of(first, eos).ok()) return;
  std::printf("%s: %d tokens, read in %.0f ms\n", folder, tokenizer->size(),
              1e3 * (seconds() - start));
  for (const NamedForm& named : forms()) {
    start = seconds();
    const auto constraint = forms_of_model.constraint_of(named.form, eos);
    const double made = seconds() - start;
    if (!constraint.ok()) continue;
    std::vector<double> cold, warm;
    follow(*constraint, cold);
    follow(*constraint, warm);
    const auto sum = [](const std::vector<double>& times) {
      double all = 0;
      for (const double time : times) all += time;
      return all;
    };
    const auto new_places = static_cast<double>(
        std::count_if(cold.begin(), cold.end(), [](double time) { return time > 10e-6; }));
    std::printf(
        "  %-10s read in %.2f ms; %zu places, %.0f of them new: %.3f ms each, %.2f ms the longest; "
        "known ones %.2f us each\n",
        named.name, 1e3 * made, cold.size(), new_places,
        1e3 * (sum(cold) - sum(warm)) / std::max(1.0, new_places),
        1e3 * *std::max_element(cold.begin(), cold.end()),
        1e6 * sum(warm) / static_cast<double>(warm.size()));
  }
}

}  // namespace
}  // namespace tidar

int main(int count, char** arguments) {
  for (int i = 1; i < count; ++i) tidar::measure(arguments[i]);
  return count > 1 ? 0 : 2;
}
