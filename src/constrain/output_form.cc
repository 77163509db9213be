#include "constrain/output_form.h"

#include <algorithm>
#include <utility>

#include "constrain/expression.h"
#include "constrain/grammar.h"
#include "constrain/json_schema.h"
#include "constrain/token_language.h"

namespace tidar {
namespace {

Result<Grammar> grammar_of_expression(std::string_view text) {
  TIDAR_TRY(const Expression expression, Expression::parse(text, Expression::Extent::whole));
  GrammarBuilder builder;
  builder.end_rule(expression.add_to(builder, builder.begin_of(0), Expression::Writing::plain));
  auto grammar = builder.finish();
  if (!grammar.ok()) return error("the regular expression is {}", grammar.error().message);
  return grammar;
}

Result<Grammar> grammar_of(const OutputForm& form) {
  switch (form.kind) {
    case OutputForm::Kind::free:
      break;
    case OutputForm::Kind::expression:
      return grammar_of_expression(form.text);
    case OutputForm::Kind::json_object:
      return grammar_of_any_object();
    case OutputForm::Kind::json_schema: {
      TIDAR_TRY(const OrderedJson schema, parse_schema(form.text));
      return grammar_of_schema(schema);
    }
  }
  return error("a free form has no grammar");
}

}  // namespace

Result<std::shared_ptr<const Constraint>> OutputForms::constraint_of(
    const OutputForm& form, const std::vector<int32_t>& eos) {
  using Made = std::shared_ptr<const Constraint>;
  if (form.kind == OutputForm::Kind::free) return Made(nullptr);
  if (eos.empty()) {
    return error(
        "an output of a given form needs an end-of-text token; the model has none, or it is to be "
        "ignored");
  }
  const auto known = std::find_if(kept_.begin(), kept_.end(), [&](const Kept& kept) {
    return kept.form == form && kept.eos == eos;
  });
  if (known != kept_.end()) {
    kept_.splice(kept_.begin(), kept_, known);
    return kept_.front().constraint;
  }
  TIDAR_TRY(Grammar grammar, grammar_of(form));
  if (trie_ == nullptr) trie_ = std::make_shared<const TokenTrie>(tokenizer_);
  Made made = constrain(std::move(grammar), trie_, eos);
  kept_.push_front({form, eos, made});
  if (kept_.size() > kKept) kept_.pop_back();
  return made;
}

}  // namespace tidar
