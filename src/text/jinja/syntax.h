#pragma once
// The syntax tree of a template. Nodes lie in the Syntax that owns them and point to each other.

#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "text/jinja/value.h"
#include "text/marked_text.h"

namespace tidar::jinja {

struct Expression;
struct Statement;
using Block = std::vector<const Statement*>;

struct ArgumentsSyntax {
  std::vector<const Expression*> positional;
  std::vector<std::pair<std::string, const Expression*>> named;
};

// Expressions.
struct TextSyntax {
  MarkedText text;
};
struct ConstantSyntax {
  Value value;
};
struct NameSyntax {
  std::string name;
};
struct ListSyntax {
  std::vector<const Expression*> items;
  bool tuple = false;
};
struct MapSyntax {
  std::vector<std::pair<const Expression*, const Expression*>> entries;
};
struct AttributeSyntax {  // object.name
  const Expression* object = nullptr;
  std::string name;
};
struct ItemSyntax {  // object[key]
  const Expression* object = nullptr;
  const Expression* key = nullptr;
};
struct SliceSyntax {  // object[from:to:step], each or nullptr
  const Expression* object = nullptr;
  const Expression* from = nullptr;
  const Expression* to = nullptr;
  const Expression* step = nullptr;
};
struct CallSyntax {
  const Expression* callee = nullptr;
  ArgumentsSyntax arguments;
};
struct FilterSyntax {  // | name(arguments)
  std::string name;
  ArgumentsSyntax arguments;
};
struct FilteredSyntax {
  const Expression* operand = nullptr;
  FilterSyntax filter;
};
struct TestSyntax {  // operand is [not] name(arguments)
  const Expression* operand = nullptr;
  std::string name;
  ArgumentsSyntax arguments;
  bool negated = false;
};
enum class Operator : uint8_t {
  add,
  subtract,
  multiply,
  divide,
  floor_divide,
  modulo,
  power,
  join,  // join: ~
  equal,
  unequal,
  less,
  less_equal,
  greater,
  greater_equal,
  in,
  not_in,
};
struct NegationSyntax {  // -operand
  const Expression* operand = nullptr;
};
struct NotSyntax {
  const Expression* operand = nullptr;
};
struct BinarySyntax {
  Operator op = Operator::add;
  const Expression* left = nullptr;
  const Expression* right = nullptr;
};
struct LogicSyntax {  // left and right, left or right
  bool conjunction = false;
  const Expression* left = nullptr;
  const Expression* right = nullptr;
};
struct ComparisonSyntax {  // a < b < c, as in Python
  const Expression* first = nullptr;
  std::vector<std::pair<Operator, const Expression*>> others;
};
struct ChoiceSyntax {  // chosen if test else other
  const Expression* test = nullptr;
  const Expression* chosen = nullptr;
  const Expression* other = nullptr;  // nullptr: nothing
};

struct Expression {
  std::variant<TextSyntax, ConstantSyntax, NameSyntax, ListSyntax, MapSyntax, AttributeSyntax,
               ItemSyntax, SliceSyntax, CallSyntax, FilteredSyntax, TestSyntax, NegationSyntax,
               NotSyntax, BinarySyntax, LogicSyntax, ComparisonSyntax, ChoiceSyntax>
      node;
};

// Statements.
struct DataSyntax {  // text between the tags
  MarkedText text;
};
struct OutputSyntax {  // {{ value }}
  const Expression* value = nullptr;
};
struct IfSyntax {
  struct Branch {
    const Expression* test = nullptr;  // nullptr: else
    Block body;
  };
  std::vector<Branch> branches;
};
/// What is assigned to: a name, several names, or a field of a namespace.
struct TargetSyntax {
  std::vector<std::string> names;
  bool several = false;
  std::string field;  // of the namespace names[0], unless ""
};
struct ForSyntax {
  TargetSyntax target;
  const Expression* items = nullptr;
  const Expression* condition = nullptr;  // or nullptr
  Block body;
  Block otherwise;
};
struct SetSyntax {  // {% set target = value %}
  TargetSyntax target;
  const Expression* value = nullptr;
};
struct SetBlockSyntax {  // {% set target | filters %}body{% endset %}
  TargetSyntax target;
  std::vector<FilterSyntax> filters;
  Block body;
};
struct MacroSyntax {
  struct Parameter {
    std::string name;
    const Expression* absent = nullptr;  // its value when it is not given, or nullptr
  };
  std::string name;
  std::vector<Parameter> parameters;
  Block body;
  bool takes_more = false;   // uses varargs
  bool takes_named = false;  // uses kwargs
};
struct DefineSyntax {  // {% macro … %}
  MacroSyntax macro;
};
struct CallBlockSyntax {  // {% call(parameters) call %}body{% endcall %}
  MacroSyntax caller;
  const Expression* call = nullptr;
};
struct FilterBlockSyntax {
  std::vector<FilterSyntax> filters;
  Block body;
};
struct ScopeSyntax {  // {% generation %}
  Block body;
};
struct BreakSyntax {};
struct ContinueSyntax {};

struct Statement {
  std::variant<DataSyntax, OutputSyntax, IfSyntax, ForSyntax, SetSyntax, SetBlockSyntax,
               DefineSyntax, CallBlockSyntax, FilterBlockSyntax, ScopeSyntax, BreakSyntax,
               ContinueSyntax>
      node;
  int line = 0;
};

/// Moves, but is not copied: nodes point to each other.
struct Syntax {
  Syntax() = default;
  Syntax(Syntax&&) = default;
  Syntax& operator=(Syntax&&) = default;
  Syntax(const Syntax&) = delete;
  Syntax& operator=(const Syntax&) = delete;

  Block body;
  std::deque<Expression> expressions;
  std::deque<Statement> statements;
};

}  // namespace tidar::jinja
