#pragma once
// Regular expressions as grammars: which texts match, not where. What they can say is what Python's
// `re` and ECMAScript's RegExp read alike, and nothing that an automaton cannot follow; and of what
// one of them alone reads \A, \Z, \z, (?P<name>…), {,5} and \u{1F600}.
//
// Characters are code points. . is any but a line end; \d, \w and \s are those of ASCII, \D and \W
// all others, and \S all that no Unicode white space is. Greedy and lazy counts are the same here.

#include <cstddef>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "constrain/grammar.h"

namespace tidar {

inline constexpr size_t kLongestExpression = 16'384;  // bytes

/// Immutable.
class Expression {
 public:
  /// What of a text is to match.
  enum class Extent : uint8_t {
    whole,  ///< all of it; ^ and $ at its borders say nothing new
    part,   ///< something in it, at its borders where ^ and $ say so
  };
  /// The Error says which character of the expression it is about, and what to do.
  static Result<Expression> parse(std::string_view text, Extent extent);

  /// How a grammar writes a character.
  enum class Writing : uint8_t {
    plain,        ///< in UTF-8
    json_string,  ///< as it stands in a JSON string: in UTF-8, or escaped where it must be
  };
  NodeId add_to(GrammarBuilder& grammar, NodeId from, Writing writing) const;

 private:
  friend class ExpressionParser;
  using Ranges = std::vector<CodePointRange>;

  struct Part {
    enum class Kind : uint8_t { characters, sequence, alternatives, repeat };
    Kind kind = Kind::sequence;
    Ranges characters{};       // one of these
    std::vector<size_t> of{};  // parts: in a row; any one; the one that is repeated
    int least = 0;
    int most = 0;  // kNoLimit: any number
  };
  static constexpr int kNoLimit = -1;

  NodeId add_part(const Part& part, GrammarBuilder& grammar, NodeId from, Writing writing) const;
  NodeId add_repeat(const Part& part, GrammarBuilder& grammar, NodeId from, Writing writing) const;

  std::vector<Part> parts_;  // the last one is the whole
};

/// Ascending, without overlaps.
std::vector<CodePointRange> normalized(std::vector<CodePointRange> ranges);
/// All code points but those of normalized ranges.
std::vector<CodePointRange> all_but(const std::vector<CodePointRange>& ranges);

/// Adds one character of normalized ranges as it stands in a JSON string: in UTF-8, but " and \ and
/// control characters escaped, in the shortest way.
void add_json_characters(GrammarBuilder& grammar, NodeId from,
                         const std::vector<CodePointRange>& ranges, NodeId to);

}  // namespace tidar
