#include "text/jinja/parser.h"

#include <array>
#include <charconv>
#include <initializer_list>
#include <utility>

#include "text/jinja/lexer.h"

namespace tidar::jinja {
namespace {

using Kind = Token::Kind;
using Node = const Expression*;

constexpr int kMaxSyntaxDepth = 100;  // of brackets and blocks within each other

struct BinaryLevel {
  std::string_view symbol;
  Operator op;
};
// From the loosest to the tightest.
constexpr std::array<std::array<BinaryLevel, 4>, 4> kLevels = {{
    {{{"+", Operator::add}, {"-", Operator::subtract}}},
    {{{"~", Operator::join}}},
    {{{"*", Operator::multiply},
      {"//", Operator::floor_divide},
      {"/", Operator::divide},
      {"%", Operator::modulo}}},
    {{{"**", Operator::power}}},
}};
constexpr std::array<BinaryLevel, 6> kComparisons = {{{"==", Operator::equal},
                                                      {"!=", Operator::unequal},
                                                      {"<=", Operator::less_equal},
                                                      {">=", Operator::greater_equal},
                                                      {"<", Operator::less},
                                                      {">", Operator::greater}}};

std::string shown(const Token& token) {
  switch (token.kind) {
    case Kind::data:
      return "text";
    case Kind::block_begin:
      return "'{%'";
    case Kind::block_end:
      return "'%}'";
    case Kind::output_begin:
      return "'{{'";
    case Kind::output_end:
      return "'}}'";
    case Kind::end:
      return "the end of the template";
    default:
      return fmt::format("'{}'", token.text);
  }
}

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Result<Syntax> run() {
    TIDAR_TRY(syntax_.body, parse_block({}));
    if (now().kind != Kind::end) return unexpected("a statement");
    return std::move(syntax_);
  }

 private:
  // The tokens.
  const Token& now() const { return tokens_[at_]; }
  const Token& next() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  Token take() {
    Token token = now();
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  bool is(Kind kind, std::string_view text) const {
    return now().kind == kind && now().text == text;
  }
  bool is_symbol(std::string_view text) const { return is(Kind::symbol, text); }
  bool is_name(std::string_view text) const { return is(Kind::name, text); }
  bool skip(Kind kind, std::string_view text) {
    const bool found = is(kind, text);
    if (found) take();
    return found;
  }
  bool skip_symbol(std::string_view text) { return skip(Kind::symbol, text); }
  bool skip_name(std::string_view text) { return skip(Kind::name, text); }

  Error unexpected(std::string_view expected) const {
    return error("line {}: {} is not expected here; expected {}", now().line, shown(now()),
                 expected);
  }
  Result<void> need_symbol(std::string_view text) {
    if (!skip_symbol(text)) return unexpected(fmt::format("'{}'", text));
    return {};
  }
  Result<void> need_block_end() {
    if (now().kind != Kind::block_end) return unexpected("'%}'");
    take();
    return {};
  }
  Result<std::string> need_name(std::string_view what) {
    if (now().kind != Kind::name) return unexpected(what);
    return take().text;
  }

  template <class T>
  Node make(T node) {
    return &syntax_.expressions.emplace_back(Expression{std::move(node)});
  }
  template <class T>
  const Statement* make_statement(T node, int line) {
    return &syntax_.statements.emplace_back(Statement{std::move(node), line});
  }

  /// Counts how deep the parser is in its own recursion.
  struct Level {
    explicit Level(int& depth_) : depth(depth_) { ++depth; }
    ~Level() { --depth; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;
    int& depth;
  };
  Result<void> check_depth() const {
    if (depth_ > kMaxSyntaxDepth) {
      return error("line {}: more than {} brackets or blocks within each other", now().line,
                   kMaxSyntaxDepth);
    }
    return {};
  }

  // Statements.

  /// Everything up to a block tag with one of the names `ends`, or to the end of the template. The
  /// tag is taken but for its name.
  Result<Block> parse_block(std::initializer_list<std::string_view> ends) {
    const Level level(depth_);
    TIDAR_TRY_VOID(check_depth());
    Block block;
    while (now().kind != Kind::end) {
      const int line = now().line;
      if (now().kind == Kind::data) {
        block.push_back(make_statement(DataSyntax{MarkedText(take().text, Origin::author)}, line));
        continue;
      }
      const bool output = now().kind == Kind::output_begin;
      take();
      if (output) {
        TIDAR_TRY(const Node value, parse_tuple());
        if (now().kind != Kind::output_end) return unexpected("'}}'");
        take();
        block.push_back(make_statement(OutputSyntax{value}, line));
        continue;
      }
      for (std::string_view end : ends) {
        if (is_name(end)) return block;
      }
      TIDAR_TRY(const Statement* statement, parse_statement(line));
      block.push_back(statement);
    }
    if (ends.size() > 0) return unexpected(fmt::format("'{{% {} %}}'", *(ends.end() - 1)));
    return block;
  }

  /// The rest of a block's tag, the block, and its end tag.
  Result<Block> parse_body(std::string_view end) {
    TIDAR_TRY_VOID(need_block_end());
    TIDAR_TRY(Block body, parse_block({end}));
    take();
    TIDAR_TRY_VOID(need_block_end());
    return body;
  }

  Result<const Statement*> parse_statement(int line) {
    if (skip_name("if")) return parse_if(line);
    if (skip_name("for")) return parse_for(line);
    if (skip_name("set")) return parse_set(line);
    if (skip_name("macro")) return parse_macro(line);
    if (skip_name("call")) return parse_call_block(line);
    if (skip_name("filter")) return parse_filter_block(line);
    if (skip_name("generation")) {
      TIDAR_TRY(Block body, parse_body("endgeneration"));
      return make_statement(ScopeSyntax{std::move(body)}, line);
    }
    if (is_name("break") || is_name("continue")) {
      if (loops_ == 0) return error("line {}: '{}' stands outside of a loop", line, now().text);
      const bool breaks = take().text == "break";
      TIDAR_TRY_VOID(need_block_end());
      return breaks ? make_statement(BreakSyntax{}, line) : make_statement(ContinueSyntax{}, line);
    }
    if (now().kind != Kind::name) return unexpected("the name of a statement");
    return error("line {}: the statement '{}' is not supported", line, now().text);
  }

  Result<const Statement*> parse_if(int line) {
    IfSyntax choice;
    while (true) {
      IfSyntax::Branch branch;
      TIDAR_TRY(branch.test, parse_tuple());
      TIDAR_TRY_VOID(need_block_end());
      TIDAR_TRY(branch.body, parse_block({"elif", "else", "endif"}));
      choice.branches.push_back(std::move(branch));
      if (skip_name("elif")) continue;
      if (skip_name("else")) {
        branch = {};
        TIDAR_TRY_VOID(need_block_end());
        TIDAR_TRY(branch.body, parse_block({"endif"}));
        choice.branches.push_back(std::move(branch));
      }
      take();
      TIDAR_TRY_VOID(need_block_end());
      return make_statement(std::move(choice), line);
    }
  }

  Result<const Statement*> parse_for(int line) {
    ForSyntax loop;
    TIDAR_TRY(loop.target, parse_target());
    if (!loop.target.field.empty()) return unexpected("a name");
    if (!skip_name("in")) return unexpected("'in'");
    TIDAR_TRY(loop.items, parse_or());
    if (is_symbol(",")) {
      TIDAR_TRY(loop.items, parse_rest_of_tuple(loop.items, false));
    }
    if (skip_name("if")) {
      TIDAR_TRY(loop.condition, parse_expression());
    }
    TIDAR_TRY_VOID(need_block_end());
    ++loops_;
    TIDAR_TRY(loop.body, parse_block({"else", "endfor"}));
    --loops_;
    if (skip_name("else")) {
      TIDAR_TRY_VOID(need_block_end());
      TIDAR_TRY(loop.otherwise, parse_block({"endfor"}));
    }
    take();
    TIDAR_TRY_VOID(need_block_end());
    return make_statement(std::move(loop), line);
  }

  Result<TargetSyntax> parse_target() {
    TargetSyntax target;
    const bool bracket = skip_symbol("(");
    do {
      if (is_name("in")) return error("line {}: a name is missing before 'in'", now().line);
      TIDAR_TRY(std::string name, need_name("a name"));
      target.names.push_back(std::move(name));
      if (!target.several && skip_symbol(".")) {
        TIDAR_TRY(target.field, need_name("the name of a field"));
        return target;
      }
      target.several = target.several || is_symbol(",");
    } while (skip_symbol(",") && now().kind == Kind::name && !is_name("in"));
    if (bracket) TIDAR_TRY_VOID(need_symbol(")"));
    return target;
  }

  Result<const Statement*> parse_set(int line) {
    TIDAR_TRY(TargetSyntax target, parse_target());
    if (skip_symbol("=")) {
      TIDAR_TRY(const Node value, parse_tuple());
      TIDAR_TRY_VOID(need_block_end());
      return make_statement(SetSyntax{std::move(target), value}, line);
    }
    TIDAR_TRY(auto filters, parse_filters());
    TIDAR_TRY(Block body, parse_body("endset"));
    return make_statement(SetBlockSyntax{std::move(target), std::move(filters), std::move(body)},
                          line);
  }

  /// The parameters of a macro, and its body.
  Result<MacroSyntax> parse_parameters() {
    MacroSyntax macro;
    TIDAR_TRY_VOID(need_symbol("("));
    while (!skip_symbol(")")) {
      if (!macro.parameters.empty()) TIDAR_TRY_VOID(need_symbol(","));
      MacroSyntax::Parameter parameter;
      TIDAR_TRY(parameter.name, need_name("the name of a parameter"));
      if (skip_symbol("=")) {
        TIDAR_TRY(parameter.absent, parse_expression());
      } else if (!macro.parameters.empty() && macro.parameters.back().absent != nullptr) {
        return error("line {}: parameter '{}' has no value of its own, but those before it do",
                     now().line, parameter.name);
      }
      macro.parameters.push_back(std::move(parameter));
    }
    return macro;
  }

  Result<void> parse_macro_body(MacroSyntax& macro, std::string_view end) {
    const int loops = std::exchange(loops_, 0);
    const auto [more, named] =
        std::pair(std::exchange(takes_more_, false), std::exchange(takes_named_, false));
    TIDAR_TRY(macro.body, parse_body(end));
    macro.takes_more = std::exchange(takes_more_, more);
    macro.takes_named = std::exchange(takes_named_, named);
    loops_ = loops;
    return {};
  }

  Result<const Statement*> parse_macro(int line) {
    TIDAR_TRY(std::string name, need_name("the name of the macro"));
    TIDAR_TRY(MacroSyntax macro, parse_parameters());
    macro.name = std::move(name);
    TIDAR_TRY_VOID(parse_macro_body(macro, "endmacro"));
    return make_statement(DefineSyntax{std::move(macro)}, line);
  }

  Result<const Statement*> parse_call_block(int line) {
    CallBlockSyntax block;
    if (is_symbol("(")) {
      TIDAR_TRY(block.caller, parse_parameters());
    }
    block.caller.name = "caller";
    TIDAR_TRY(block.call, parse_expression());
    if (!std::holds_alternative<CallSyntax>(block.call->node)) {
      return error("line {}: a call block calls nothing; expected a macro and its arguments", line);
    }
    TIDAR_TRY_VOID(parse_macro_body(block.caller, "endcall"));
    return make_statement(std::move(block), line);
  }

  Result<const Statement*> parse_filter_block(int line) {
    FilterBlockSyntax block;
    TIDAR_TRY(FilterSyntax first, parse_filter());
    TIDAR_TRY(block.filters, parse_filters());
    block.filters.insert(block.filters.begin(), std::move(first));
    TIDAR_TRY(block.body, parse_body("endfilter"));
    return make_statement(std::move(block), line);
  }

  // Expressions.

  /// One expression, or several with commas between them.
  Result<Node> parse_tuple() {
    TIDAR_TRY(Node first, parse_expression());
    if (!is_symbol(",")) return first;
    return parse_rest_of_tuple(first, true);
  }

  Result<Node> parse_rest_of_tuple(Node first, bool choices) {
    ListSyntax tuple{{first}, true};
    while (skip_symbol(",")) {
      if (now().kind == Kind::block_end || now().kind == Kind::output_end || is_symbol(")")) break;
      TIDAR_TRY(const Node item, choices ? parse_expression() : parse_or());
      tuple.items.push_back(item);
    }
    return make(std::move(tuple));
  }

  Result<Node> parse_expression() {
    const Level level(depth_);
    TIDAR_TRY_VOID(check_depth());
    TIDAR_TRY(Node node, parse_or());
    while (skip_name("if")) {
      ChoiceSyntax choice;
      choice.chosen = node;
      TIDAR_TRY(choice.test, parse_or());
      if (skip_name("else")) {
        TIDAR_TRY(choice.other, parse_expression());
      }
      node = make(choice);
    }
    return node;
  }

  Result<Node> parse_or() {
    TIDAR_TRY(Node left, parse_and());
    while (skip_name("or")) {
      TIDAR_TRY(const Node right, parse_and());
      left = make(LogicSyntax{false, left, right});
    }
    return left;
  }

  Result<Node> parse_and() {
    TIDAR_TRY(Node left, parse_not());
    while (skip_name("and")) {
      TIDAR_TRY(const Node right, parse_not());
      left = make(LogicSyntax{true, left, right});
    }
    return left;
  }

  Result<Node> parse_not() {
    const Level level(depth_);
    TIDAR_TRY_VOID(check_depth());
    if (!is_name("not") || next().text == "in") return parse_comparison();
    take();
    TIDAR_TRY(const Node operand, parse_not());
    return make(NotSyntax{operand});
  }

  /// Takes a comparing operator, if one is next.
  bool take_comparison(Operator& op) {
    if (is_name("not") && next().kind == Kind::name && next().text == "in") {
      take();
      take();
      op = Operator::not_in;
      return true;
    }
    if (skip_name("in")) {
      op = Operator::in;
      return true;
    }
    for (const BinaryLevel& comparison : kComparisons) {
      if (skip_symbol(comparison.symbol)) {
        op = comparison.op;
        return true;
      }
    }
    return false;
  }

  Result<Node> parse_comparison() {
    TIDAR_TRY(const Node first, parse_binary(0));
    ComparisonSyntax comparison{first, {}};
    Operator op{};
    while (take_comparison(op)) {
      TIDAR_TRY(const Node right, parse_binary(0));
      comparison.others.emplace_back(op, right);
    }
    return comparison.others.empty() ? first : make(std::move(comparison));
  }

  Result<Node> parse_binary(size_t level) {
    if (level == kLevels.size()) return parse_unary(true);
    TIDAR_TRY(Node left, parse_binary(level + 1));
    while (true) {
      const BinaryLevel* found = nullptr;
      for (const BinaryLevel& candidate : kLevels[level]) {
        if (!candidate.symbol.empty() && is_symbol(candidate.symbol)) found = &candidate;
      }
      if (found == nullptr) return left;
      take();
      TIDAR_TRY(const Node right, parse_binary(level + 1));
      left = make(BinarySyntax{found->op, left, right});
    }
  }

  Result<Node> parse_unary(bool with_filters) {
    const Level level(depth_);
    TIDAR_TRY_VOID(check_depth());
    Node node = nullptr;
    if (is_symbol("-") || is_symbol("+")) {
      const bool negative = take().text == "-";
      TIDAR_TRY(node, parse_unary(false));
      if (negative) node = make(NegationSyntax{node});
    } else {
      TIDAR_TRY(node, parse_primary());
    }
    TIDAR_TRY(node, parse_postfix(node));
    if (!with_filters) return node;
    while (true) {
      if (skip_symbol("|")) {
        TIDAR_TRY(FilterSyntax filter, parse_filter());
        node = make(FilteredSyntax{node, std::move(filter)});
      } else if (skip_name("is")) {
        TIDAR_TRY(node, parse_test(node));
      } else if (is_symbol("(")) {
        TIDAR_TRY(node, parse_postfix(node));
      } else {
        return node;
      }
    }
  }

  Result<FilterSyntax> parse_filter() {
    FilterSyntax filter;
    TIDAR_TRY(filter.name, need_name("the name of a filter"));
    if (is_symbol("(")) {
      TIDAR_TRY(filter.arguments, parse_arguments());
    }
    return filter;
  }

  Result<std::vector<FilterSyntax>> parse_filters() {
    std::vector<FilterSyntax> filters;
    while (skip_symbol("|")) {
      TIDAR_TRY(FilterSyntax filter, parse_filter());
      filters.push_back(std::move(filter));
    }
    return filters;
  }

  Result<Node> parse_test(Node operand) {
    TestSyntax test;
    test.operand = operand;
    test.negated = skip_name("not");
    TIDAR_TRY(test.name, need_name("the name of a test"));
    if (is_symbol("(")) {
      TIDAR_TRY(test.arguments, parse_arguments());
    } else if (begins_argument()) {
      TIDAR_TRY(Node argument, parse_primary());
      TIDAR_TRY(argument, parse_postfix(argument));
      test.arguments.positional.push_back(argument);
    }
    return make(std::move(test));
  }

  /// Whether an argument without brackets follows: x is divisibleby 3.
  bool begins_argument() const {
    if (now().kind == Kind::name) {
      for (std::string_view word : {"else", "or", "and", "if", "is", "in", "not", "recursive"}) {
        if (now().text == word) return false;
      }
      return true;
    }
    return now().kind == Kind::text || now().kind == Kind::integer ||
           now().kind == Kind::fraction || is_symbol("[") || is_symbol("{");
  }

  Result<ArgumentsSyntax> parse_arguments() {
    ArgumentsSyntax arguments;
    TIDAR_TRY_VOID(need_symbol("("));
    bool first = true;
    while (!skip_symbol(")")) {
      if (!std::exchange(first, false)) {
        TIDAR_TRY_VOID(need_symbol(","));
        if (skip_symbol(")")) break;
      }
      if (now().kind == Kind::name && next().kind == Kind::symbol && next().text == "=") {
        std::string name = take().text;
        take();
        TIDAR_TRY(const Node value, parse_expression());
        arguments.named.emplace_back(std::move(name), value);
        continue;
      }
      if (!arguments.named.empty()) return unexpected("an argument with a name");
      TIDAR_TRY(const Node value, parse_expression());
      arguments.positional.push_back(value);
    }
    return arguments;
  }

  Result<Node> parse_postfix(Node node) {
    while (true) {
      if (skip_symbol(".")) {
        if (now().kind == Kind::integer) {
          TIDAR_TRY(const Node key, parse_primary());
          node = make(ItemSyntax{node, key});
        } else {
          TIDAR_TRY(std::string name, need_name("the name of a field"));
          node = make(AttributeSyntax{node, std::move(name)});
        }
      } else if (skip_symbol("[")) {
        TIDAR_TRY(node, parse_subscript(node));
      } else if (is_symbol("(")) {
        TIDAR_TRY(ArgumentsSyntax arguments, parse_arguments());
        node = make(CallSyntax{node, std::move(arguments)});
      } else {
        return node;
      }
    }
  }

  /// Behind '[': a key, or a slice.
  Result<Node> parse_subscript(Node object) {
    std::array<Node, 3> parts{};
    size_t colons = 0;
    while (!is_symbol("]")) {
      if (skip_symbol(":")) {
        if (++colons == parts.size()) return unexpected("']'");
      } else if (parts[colons] == nullptr) {
        TIDAR_TRY(parts[colons], parse_expression());
      } else {
        return unexpected("']'");
      }
    }
    take();
    if (colons > 0) return make(SliceSyntax{object, parts[0], parts[1], parts[2]});
    if (parts[0] == nullptr) return error("line {}: a key is missing in '[]'", now().line);
    return make(ItemSyntax{object, parts[0]});
  }

  Result<Node> parse_primary() {
    if (now().kind == Kind::text) {
      std::string text;
      while (now().kind == Kind::text) text += take().text;
      return make(TextSyntax{MarkedText(text, Origin::author)});
    }
    if (now().kind == Kind::integer || now().kind == Kind::fraction) return parse_number();
    if (now().kind == Kind::name) return parse_name();
    if (skip_symbol("(")) {
      if (skip_symbol(")")) return make(ListSyntax{{}, true});
      TIDAR_TRY(const Node node, parse_tuple());
      TIDAR_TRY_VOID(need_symbol(")"));
      return node;
    }
    if (skip_symbol("[")) return parse_list();
    if (skip_symbol("{")) return parse_map();
    return unexpected("a value");
  }

  Result<Node> parse_number() {
    const Token token = take();
    const char* begin = token.text.data();
    const char* end = begin + token.text.size();
    if (token.kind == Kind::integer) {
      int64_t value = 0;
      if (std::from_chars(begin, end, value).ec == std::errc()) return make(ConstantSyntax{value});
    } else {
      double value = 0;
      if (std::from_chars(begin, end, value).ec == std::errc()) return make(ConstantSyntax{value});
    }
    return error("line {}: the number {} is too large", token.line, token.text);
  }

  Result<Node> parse_name() {
    std::string name = take().text;
    if (name == "true" || name == "True") return make(ConstantSyntax{true});
    if (name == "false" || name == "False") return make(ConstantSyntax{false});
    if (name == "none" || name == "None") return make(ConstantSyntax{None{}});
    takes_more_ = takes_more_ || name == "varargs";
    takes_named_ = takes_named_ || name == "kwargs";
    return make(NameSyntax{std::move(name)});
  }

  Result<Node> parse_list() {
    ListSyntax list;
    while (!skip_symbol("]")) {
      if (!list.items.empty()) {
        TIDAR_TRY_VOID(need_symbol(","));
        if (skip_symbol("]")) break;
      }
      TIDAR_TRY(const Node item, parse_expression());
      list.items.push_back(item);
    }
    return make(std::move(list));
  }

  Result<Node> parse_map() {
    MapSyntax map;
    while (!skip_symbol("}")) {
      if (!map.entries.empty()) {
        TIDAR_TRY_VOID(need_symbol(","));
        if (skip_symbol("}")) break;
      }
      TIDAR_TRY(const Node key, parse_expression());
      TIDAR_TRY_VOID(need_symbol(":"));
      TIDAR_TRY(const Node value, parse_expression());
      map.entries.emplace_back(key, value);
    }
    return make(std::move(map));
  }

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
  int loops_ = 0;             // around this place, within its macro
  bool takes_more_ = false;   // whether varargs was met in this macro
  bool takes_named_ = false;  // and kwargs
  Syntax syntax_;
};

}  // namespace

Result<Syntax> parse(std::string_view source) {
  TIDAR_TRY(std::vector<Token> tokens, tokenize(source));
  return Parser(std::move(tokens)).run();
}

}  // namespace tidar::jinja
