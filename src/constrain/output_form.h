#pragma once
// What users may ask of the form of an output, and the constraints that hold outputs to it.

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "base/constraint.h"
#include "base/result.h"
#include "constrain/token_trie.h"
#include "text/tokenizer.h"

namespace tidar {

struct OutputForm {
  enum class Kind : uint8_t {
    free,         ///< any text
    expression,   ///< all of it matches a regular expression (constrain/expression.h)
    json_object,  ///< one JSON object
    json_schema,  ///< a JSON value that a schema allows (constrain/json_schema.h)
  };
  Kind kind = Kind::free;
  std::string text{};  ///< the expression, or the schema as JSON

  friend bool operator==(const OutputForm&, const OutputForm&) = default;
};

/// Makes constraints for the outputs of a model, and keeps those that were used last: who asks for
/// the same form again shares what was found before. Not thread-safe; the constraints are.
class OutputForms {
 public:
  static constexpr size_t kKept = 16;

  /// The tokenizer must outlive it. Its tokens are looked at when the first form is asked for.
  explicit OutputForms(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  /// The constraint of outputs that end with one of `eos`; nullptr where the form is free. The
  /// Error says what is wrong with the form, or that there is no token that could end an output.
  Result<std::shared_ptr<const Constraint>> constraint_of(const OutputForm& form,
                                                          const std::vector<int32_t>& eos);

 private:
  struct Kept {
    OutputForm form;
    std::vector<int32_t> eos;
    std::shared_ptr<const Constraint> constraint;
  };

  const Tokenizer& tokenizer_;
  std::shared_ptr<const TokenTrie> trie_;
  std::list<Kept> kept_;  // the one that was used last is the first
};

}  // namespace tidar
