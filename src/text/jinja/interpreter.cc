#include "text/jinja/interpreter.h"

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/arguments.h"
#include "text/jinja/clock.h"
#include "text/jinja/filters.h"
#include "text/jinja/methods.h"
#include "text/jinja/operators.h"
#include "text/jinja/printing.h"

namespace tidar::jinja {
namespace {

/// How a block was left.
enum class Flow : uint8_t { end, breaks, continues };

class Interpreter {
 public:
  Interpreter(Heap& heap, const std::optional<std::tm>& now) : heap_(heap), now_(now) {}

  Result<MarkedText> render(const Block& block, Scope& scope) {
    MarkedText out;
    TIDAR_TRY_VOID(run(block, scope, out));
    return out;
  }

 private:
  /// Counts how deep the interpreter is in its own recursion.
  struct Level {
    explicit Level(size_t& depth_) : depth(depth_) { ++depth; }
    ~Level() { --depth; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;
    size_t& depth;
  };
  Result<void> step() {
    if (depth_ > heap_.budget().limits().depth) {
      return error("goes more than {} levels deep", heap_.budget().limits().depth);
    }
    return heap_.budget().spend_steps(1);
  }

  // Statements.

  Result<Flow> run(const Block& block, Scope& scope, MarkedText& out) {
    for (const Statement* statement : block) {
      Result<Flow> flow = run_one(*statement, scope, out);
      if (!flow.ok()) return at_line(flow.error(), statement->line);
      if (*flow != Flow::end) return flow;
    }
    return Flow::end;
  }

  /// The error with the line of the innermost statement. What the template raises is left alone: it
  /// speaks to whoever wrote the messages.
  Error at_line(Error error_, int line) {
    if (std::exchange(placed_, true)) return error_;
    return error("line {}: {}", line, error_.message);
  }

  Result<Flow> run_one(const Statement& statement, Scope& scope, MarkedText& out) {
    const Level level(depth_);
    TIDAR_TRY_VOID(step());
    return std::visit([&](const auto& node) { return run_node(node, scope, out); }, statement.node);
  }

  Result<Flow> run_node(const DataSyntax& node, Scope& /*scope*/, MarkedText& out) {
    TIDAR_TRY_VOID(heap_.budget().spend_bytes(node.text.size()));
    out.append(node.text);
    return Flow::end;
  }

  Result<Flow> run_node(const OutputSyntax& node, Scope& scope, MarkedText& out) {
    TIDAR_TRY(const Value value, evaluate(node.value, scope));
    TIDAR_TRY_VOID(print(heap_.budget(), value, out));
    return Flow::end;
  }

  Result<Flow> run_node(const IfSyntax& node, Scope& scope, MarkedText& out) {
    for (const IfSyntax::Branch& branch : node.branches) {
      if (branch.test != nullptr) {
        TIDAR_TRY(const Value test, evaluate(branch.test, scope));
        if (!is_true(test)) continue;
      }
      return run(branch.body, scope, out);
    }
    return Flow::end;
  }

  Result<Flow> run_node(const ForSyntax& node, Scope& scope, MarkedText& out) {
    TIDAR_TRY(const Value all, evaluate(node.items, scope));
    TIDAR_TRY(std::vector<Value> items, items_of(heap_, all));
    if (node.condition != nullptr) TIDAR_TRY_VOID(keep_wanted(node, scope, items));
    TIDAR_TRY(const Value kept, heap_.list(std::move(items)));
    for (size_t i = 0; i < kept.list()->items.size(); ++i) {
      TIDAR_TRY_VOID(step());
      TIDAR_TRY(Scope * inner, heap_.scope(&scope));
      TIDAR_TRY(const Loop* loop, heap_.loop({kept.list()->items, i}));
      inner->names["loop"] = loop;
      TIDAR_TRY_VOID(assign(node.target, kept.list()->items[i], *inner));
      TIDAR_TRY(const Flow flow, run(node.body, *inner, out));
      if (flow == Flow::breaks) break;
    }
    if (!kept.list()->items.empty() || node.otherwise.empty()) return Flow::end;
    TIDAR_TRY(Scope * inner, heap_.scope(&scope));
    return run(node.otherwise, *inner, out);
  }

  Result<void> keep_wanted(const ForSyntax& node, Scope& scope, std::vector<Value>& items) {
    std::vector<Value> wanted;
    for (const Value& item : items) {
      TIDAR_TRY(Scope * inner, heap_.scope(&scope));
      TIDAR_TRY_VOID(assign(node.target, item, *inner));
      TIDAR_TRY(const Value test, evaluate(node.condition, *inner));
      if (is_true(test)) wanted.push_back(item);
    }
    items = std::move(wanted);
    return {};
  }

  Result<Flow> run_node(const SetSyntax& node, Scope& scope, MarkedText& /*out*/) {
    TIDAR_TRY(const Value value, evaluate(node.value, scope));
    TIDAR_TRY_VOID(assign(node.target, value, scope));
    return Flow::end;
  }

  Result<Flow> run_node(const SetBlockSyntax& node, Scope& scope, MarkedText& /*out*/) {
    TIDAR_TRY(const Value text, filtered_block(node.filters, node.body, scope));
    TIDAR_TRY_VOID(assign(node.target, text, scope));
    return Flow::end;
  }

  Result<Flow> run_node(const DefineSyntax& node, Scope& scope, MarkedText& /*out*/) {
    TIDAR_TRY(const Value macro, heap_.callable({Closure{&node.macro, &scope}}));
    scope.names[node.macro.name] = macro;
    return Flow::end;
  }

  Result<Flow> run_node(const CallBlockSyntax& node, Scope& scope, MarkedText& out) {
    const auto& call = std::get<CallSyntax>(node.call->node);
    TIDAR_TRY(const Value callee, evaluate(call.callee, scope));
    TIDAR_TRY(Arguments arguments, arguments_of(call.arguments, scope));
    TIDAR_TRY(const Value caller, heap_.callable({Closure{&node.caller, &scope}}));
    arguments.named.emplace_back("caller", caller);
    TIDAR_TRY(const Value value, apply(callee, arguments));
    TIDAR_TRY_VOID(print(heap_.budget(), value, out));
    return Flow::end;
  }

  Result<Flow> run_node(const FilterBlockSyntax& node, Scope& scope, MarkedText& out) {
    TIDAR_TRY(const Value text, filtered_block(node.filters, node.body, scope));
    TIDAR_TRY_VOID(print(heap_.budget(), text, out));
    return Flow::end;
  }

  Result<Flow> run_node(const ScopeSyntax& node, Scope& scope, MarkedText& out) {
    TIDAR_TRY(Scope * inner, heap_.scope(&scope));
    return run(node.body, *inner, out);
  }

  Result<Flow> run_node(const BreakSyntax& /*node*/, Scope& /*scope*/, MarkedText& /*out*/) {
    return Flow::breaks;
  }
  Result<Flow> run_node(const ContinueSyntax& /*node*/, Scope& /*scope*/, MarkedText& /*out*/) {
    return Flow::continues;
  }

  /// What a block with names of its own prints, as a text.
  Result<Value> block_text(const Block& block, Scope& scope) {
    TIDAR_TRY(Scope * inner, heap_.scope(&scope));
    MarkedText text;
    TIDAR_TRY_VOID(run(block, *inner, text));
    return heap_.text(std::move(text));
  }

  Result<Value> filtered_block(const std::vector<FilterSyntax>& filters, const Block& block,
                               Scope& scope) {
    TIDAR_TRY(Value text, block_text(block, scope));
    for (const FilterSyntax& filter : filters) {
      TIDAR_TRY(const Arguments arguments, arguments_of(filter.arguments, scope));
      TIDAR_TRY(text, apply_filter(heap_, filter.name, text, arguments));
    }
    return text;
  }

  Result<void> assign(const TargetSyntax& target, const Value& value, Scope& scope) {
    if (!target.field.empty()) return assign_field(target, value, scope);
    if (!target.several) {
      scope.names[target.names[0]] = value;
      return {};
    }
    TIDAR_TRY(const std::vector<Value> items, items_of(heap_, value));
    if (items.size() != target.names.size()) {
      return error("{} items are given to {} names", items.size(), target.names.size());
    }
    for (size_t i = 0; i < items.size(); ++i) scope.names[target.names[i]] = items[i];
    return {};
  }

  Result<void> assign_field(const TargetSyntax& target, const Value& value, Scope& scope) {
    const Value* space = scope.find(target.names[0]);
    if (space == nullptr || !space->is<Namespace*>()) {
      return error("'{}' is no namespace; only the fields of one can be set", target.names[0]);
    }
    TIDAR_TRY_VOID(heap_.budget().spend_bytes(sizeof(Value)));
    std::get<Namespace*>(space->data())->fields[target.field] = value;
    return {};
  }

  // Expressions.

  Result<Value> evaluate(const Expression* expression, Scope& scope) {
    const Level level(depth_);
    TIDAR_TRY_VOID(step());
    return std::visit([&](const auto& node) { return value_of(node, scope); }, expression->node);
  }

  Result<Value> value_of(const TextSyntax& node, Scope& /*scope*/) {
    const MarkedText* text = &node.text;
    return Value(text);
  }
  Result<Value> value_of(const ConstantSyntax& node, Scope& /*scope*/) { return node.value; }

  Result<Value> value_of(const NameSyntax& node, Scope& scope) {
    if (const Value* value = scope.find(node.name)) return *value;
    if (is_builtin(node.name)) return heap_.callable({BuiltIn{node.name}});
    return Value(Undefined{node.name});
  }

  Result<Value> value_of(const ListSyntax& node, Scope& scope) {
    TIDAR_TRY(std::vector<Value> items, values_of(node.items, scope));
    return heap_.list(std::move(items), node.tuple);
  }

  Result<std::vector<Value>> values_of(const std::vector<const Expression*>& expressions,
                                       Scope& scope) {
    std::vector<Value> values;
    for (const Expression* expression : expressions) {
      TIDAR_TRY(const Value value, evaluate(expression, scope));
      values.push_back(value);
    }
    return values;
  }

  Result<Value> value_of(const MapSyntax& node, Scope& scope) {
    Map map;
    for (const auto& [key_node, value_node] : node.entries) {
      TIDAR_TRY(const Value key, evaluate(key_node, scope));
      TIDAR_TRY(const MarkedText* name, needed_text(&key, "a key"));
      TIDAR_TRY(const Value value, evaluate(value_node, scope));
      map.set(name, value);
    }
    return heap_.map(std::move(map));
  }

  Result<Value> value_of(const AttributeSyntax& node, Scope& scope) {
    TIDAR_TRY(const Value object, evaluate(node.object, scope));
    return attribute_of(heap_, object, node.name);
  }

  Result<Value> value_of(const ItemSyntax& node, Scope& scope) {
    TIDAR_TRY(const Value object, evaluate(node.object, scope));
    TIDAR_TRY(const Value key, evaluate(node.key, scope));
    return item_of(heap_, object, key);
  }

  Result<Value> value_of(const SliceSyntax& node, Scope& scope) {
    TIDAR_TRY(const Value object, evaluate(node.object, scope));
    std::array<Value, 3> bounds = {None{}, None{}, None{}};
    const std::array parts = {node.from, node.to, node.step};
    for (size_t i = 0; i < parts.size(); ++i) {
      if (parts[i] == nullptr) continue;
      TIDAR_TRY(bounds[i], evaluate(parts[i], scope));
    }
    return slice(heap_, object, bounds);
  }

  Result<Value> value_of(const CallSyntax& node, Scope& scope) {
    TIDAR_TRY(const Value callee, evaluate(node.callee, scope));
    TIDAR_TRY(const Arguments arguments, arguments_of(node.arguments, scope));
    return apply(callee, arguments);
  }

  Result<Value> value_of(const FilteredSyntax& node, Scope& scope) {
    TIDAR_TRY(const Value operand, evaluate(node.operand, scope));
    TIDAR_TRY(const Arguments arguments, arguments_of(node.filter.arguments, scope));
    return apply_filter(heap_, node.filter.name, operand, arguments);
  }

  Result<Value> value_of(const TestSyntax& node, Scope& scope) {
    TIDAR_TRY(const Value operand, evaluate(node.operand, scope));
    TIDAR_TRY(const Arguments arguments, arguments_of(node.arguments, scope));
    TIDAR_TRY(const bool passes, apply_test(heap_, node.name, operand, arguments));
    return Value(passes != node.negated);
  }

  Result<Value> value_of(const NegationSyntax& node, Scope& scope) {
    TIDAR_TRY(const Value operand, evaluate(node.operand, scope));
    return negated(operand);
  }

  Result<Value> value_of(const NotSyntax& node, Scope& scope) {
    TIDAR_TRY(const Value operand, evaluate(node.operand, scope));
    return Value(!is_true(operand));
  }

  Result<Value> value_of(const BinarySyntax& node, Scope& scope) {
    TIDAR_TRY(const Value left, evaluate(node.left, scope));
    TIDAR_TRY(const Value right, evaluate(node.right, scope));
    return calculate(heap_, node.op, left, right);
  }

  Result<Value> value_of(const LogicSyntax& node, Scope& scope) {
    TIDAR_TRY(const Value left, evaluate(node.left, scope));
    if (is_true(left) != node.conjunction) return left;
    return evaluate(node.right, scope);
  }

  Result<Value> value_of(const ComparisonSyntax& node, Scope& scope) {
    TIDAR_TRY(Value left, evaluate(node.first, scope));
    for (const auto& [op, operand] : node.others) {
      TIDAR_TRY(const Value right, evaluate(operand, scope));
      TIDAR_TRY(const bool holds, compares(heap_, op, left, right));
      if (!holds) return Value(false);
      left = right;
    }
    return Value(true);
  }

  Result<Value> value_of(const ChoiceSyntax& node, Scope& scope) {
    TIDAR_TRY(const Value test, evaluate(node.test, scope));
    if (is_true(test)) return evaluate(node.chosen, scope);
    if (node.other == nullptr) return Value(Undefined{"else"});
    return evaluate(node.other, scope);
  }

  // Calls.

  Result<Arguments> arguments_of(const ArgumentsSyntax& node, Scope& scope) {
    Arguments arguments;
    TIDAR_TRY(arguments.positional, values_of(node.positional, scope));
    for (const auto& [name, expression] : node.named) {
      TIDAR_TRY(const Value value, evaluate(expression, scope));
      arguments.named.emplace_back(name, value);
    }
    return arguments;
  }

  Result<Value> apply(const Value& callee, const Arguments& arguments) {
    if (const auto* undefined = std::get_if<Undefined>(&callee.data())) {
      return error("'{}' is not defined, so it cannot be called", undefined->name);
    }
    const auto* callable = std::get_if<const Callable*>(&callee.data());
    if (callable == nullptr) return error("{} cannot be called", kind_of(callee));
    const auto& what = (*callable)->what;
    if (const auto* closure = std::get_if<Closure>(&what)) return expand(*closure, arguments);
    if (const auto* method = std::get_if<Method>(&what)) {
      return call_method(heap_, *method, arguments);
    }
    return call_builtin(std::get<BuiltIn>(what).name, arguments);
  }

  /// A macro, carried out.
  Result<Value> expand(const Closure& closure, const Arguments& arguments) {
    const Level level(depth_);
    TIDAR_TRY_VOID(step());
    const MacroSyntax& macro = *closure.macro;
    TIDAR_TRY(Scope * scope, heap_.scope(closure.scope));
    std::vector<std::pair<std::string_view, Value>> named = arguments.named;
    for (size_t i = 0; i < macro.parameters.size(); ++i) {
      TIDAR_TRY_VOID(give_parameter(macro.parameters[i], i, arguments, named, *scope));
    }
    TIDAR_TRY_VOID(give_rest(macro, arguments, named, *scope));
    MarkedText text;
    TIDAR_TRY_VOID(run(macro.body, *scope, text));
    return heap_.text(std::move(text));
  }

  Result<void> give_parameter(const MacroSyntax::Parameter& parameter, size_t place,
                              const Arguments& arguments,
                              std::vector<std::pair<std::string_view, Value>>& named,
                              Scope& scope) {
    if (place < arguments.positional.size()) {
      scope.names[parameter.name] = arguments.positional[place];
      return {};
    }
    for (auto given = named.begin(); given != named.end(); ++given) {
      if (given->first != parameter.name) continue;
      scope.names[parameter.name] = given->second;
      named.erase(given);
      return {};
    }
    Value absent(Undefined{parameter.name});
    if (parameter.absent != nullptr) {
      TIDAR_TRY(absent, evaluate(parameter.absent, scope));
    }
    scope.names[parameter.name] = absent;
    return {};
  }

  /// caller, varargs and kwargs; an Error when a macro is given more than it takes.
  Result<void> give_rest(const MacroSyntax& macro, const Arguments& arguments,
                         std::vector<std::pair<std::string_view, Value>>& named, Scope& scope) {
    std::vector<Value> more;
    for (size_t i = macro.parameters.size(); i < arguments.positional.size(); ++i) {
      more.push_back(arguments.positional[i]);
    }
    Map rest;
    for (const auto& [name, value] : named) {
      if (name == "caller") {
        scope.names["caller"] = value;
        continue;
      }
      if (!macro.takes_named) return error("'{}' takes no argument '{}'", macro.name, name);
      TIDAR_TRY(const Value key, heap_.text(name));
      rest.set(key.text(), value);
    }
    if (!more.empty() && !macro.takes_more) {
      return error("'{}' takes at most {} arguments", macro.name, macro.parameters.size());
    }
    if (macro.takes_more) {
      TIDAR_TRY(scope.names["varargs"], heap_.list(std::move(more), true));
    }
    if (macro.takes_named) {
      TIDAR_TRY(scope.names["kwargs"], heap_.map(std::move(rest)));
    }
    return {};
  }

  // Functions that every template knows.

  bool is_builtin(std::string_view name) const {
    return name == "range" || name == "namespace" || name == "dict" || name == "raise_exception" ||
           (name == "strftime_now" && now_);
  }

  Result<Value> call_builtin(std::string_view name, const Arguments& arguments) {
    if (name == "range") return range(arguments);
    if (name == "namespace") return make_namespace(arguments);
    if (name == "dict") {
      TIDAR_TRY(Map map, map_from("dict", arguments));
      return heap_.map(std::move(map));
    }
    if (name == "strftime_now") {
      TIDAR_TRY(const auto given, arguments.bind<1>("strftime_now()", {"format"}));
      TIDAR_TRY(const MarkedText* format, needed_text(given[0], "the format of strftime_now()"));
      TIDAR_TRY_VOID(heap_.budget().spend_bytes(format->size(), 8));
      return heap_.text(time_text(*now_, *format));
    }
    TIDAR_TRY(const auto given, arguments.bind<1>("raise_exception()", {"message"}));
    MarkedText message;
    if (given[0] != nullptr) TIDAR_TRY_VOID(print(heap_.budget(), *given[0], message));
    placed_ = true;
    return Error{message.bytes()};
  }

  Result<Value> range(const Arguments& arguments) {
    TIDAR_TRY(const auto given, arguments.bind<3>("range()", {"start", "stop", "step"}));
    if (given[0] == nullptr) return error("range() is not told how far");
    TIDAR_TRY(int64_t from, integer_or(given[0], 0, "an argument of range()"));
    TIDAR_TRY(int64_t to, integer_or(given[1], from, "an argument of range()"));
    TIDAR_TRY(const int64_t by, integer_or(given[2], 1, "an argument of range()"));
    if (given[1] == nullptr) from = 0;
    if (by == 0) return error("range() cannot go in steps of 0");
    std::vector<Value> items;
    int64_t next = from;
    while (by > 0 ? next < to : next > to) {
      TIDAR_TRY_VOID(heap_.budget().spend_bytes(sizeof(Value)));
      items.emplace_back(next);
      if (__builtin_add_overflow(next, by, &next)) break;
    }
    return heap_.list(std::move(items));
  }

  /// The map that the arguments of dict() or namespace() make: one map at most, and names.
  Result<Map> map_from(std::string_view callee, const Arguments& arguments) {
    Map map;
    if (arguments.positional.size() > 1) return error("{}() takes one map at most", callee);
    if (!arguments.positional.empty()) {
      const Map* given = arguments.positional[0].map();
      if (given == nullptr) {
        return error("{}() takes a map, not {}", callee, kind_of(arguments.positional[0]));
      }
      for (const auto& [key, value] : given->entries) map.set(key, value);
    }
    for (const auto& [name, value] : arguments.named) {
      TIDAR_TRY(const Value key, heap_.text(name));
      map.set(key.text(), value);
    }
    return map;
  }

  Result<Value> make_namespace(const Arguments& arguments) {
    TIDAR_TRY(const Map map, map_from("namespace", arguments));
    Namespace fields;
    for (const auto& [key, value] : map.entries) fields.fields[key->bytes()] = value;
    return heap_.make_namespace(std::move(fields));
  }

  Heap& heap_;
  const std::optional<std::tm>& now_;
  size_t depth_ = 0;
  bool placed_ = false;  // the error on its way says where it is from
};

}  // namespace

Result<MarkedText> render(const Syntax& syntax, Heap& heap, Scope& globals,
                          const std::optional<std::tm>& now) {
  TIDAR_TRY(Scope * scope, heap.scope(&globals));
  return Interpreter(heap, now).render(syntax.body, *scope);
}

}  // namespace tidar::jinja
