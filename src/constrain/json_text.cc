#include "constrain/json_text.h"

#include <string>

#include "constrain/expression.h"

namespace tidar {
namespace {

constexpr int kMostIndent = 20;
constexpr int kMostDigits = 24;

/// `least` to `most` of the bytes [first, last].
NodeId add_run(GrammarBuilder& grammar, NodeId from, uint8_t first, uint8_t last, int least,
               int most) {
  const NodeId end = grammar.add_node();
  for (int i = 0; i < most; ++i) {
    if (i >= least) grammar.add_jump(from, end);
    const NodeId next = grammar.add_node();
    grammar.add_bytes(from, first, last, next);
    from = next;
  }
  grammar.add_jump(from, end);
  return end;
}

/// The texts from `first` to `last`, which have equally many digits.
void add_digits(GrammarBuilder& grammar, NodeId from, std::string_view first, std::string_view last,
                NodeId to) {
  if (first.empty()) return grammar.add_jump(from, to);
  const auto low = static_cast<uint8_t>(first[0]), high = static_cast<uint8_t>(last[0]);
  const auto rest = first.size() - 1;
  const auto add_some = [&](uint8_t begin, uint8_t end, std::string_view least,
                            std::string_view most) {
    const NodeId next = grammar.add_node();
    grammar.add_bytes(from, begin, end, next);
    add_digits(grammar, next, least, most, to);
  };
  const std::string zeros(rest, '0'), nines(rest, '9');
  const bool any_first = first.substr(1) == zeros, any_last = last.substr(1) == nines;
  if (low == high || (any_first && any_last)) {
    return add_some(low, high, first.substr(1), last.substr(1));
  }
  const auto from_low = static_cast<uint8_t>(low + 1), to_high = static_cast<uint8_t>(high - 1);
  add_some(low, low, first.substr(1), nines);
  add_some(high, high, zeros, last.substr(1));
  if (from_low <= to_high) add_some(from_low, to_high, zeros, nines);
}

/// The numbers from `first` to `last`; without it, of as many digits as there may be.
void add_natural(GrammarBuilder& grammar, NodeId from, uint64_t first, std::optional<uint64_t> last,
                 NodeId to) {
  const std::string least = std::to_string(first);
  const std::string most = last ? std::to_string(*last) : std::string(least.size(), '9');
  if (!last) {
    const NodeId more = grammar.add_node();
    grammar.add_bytes(from, '1', '9', more);
    const int digits = static_cast<int>(least.size());
    grammar.add_jump(add_run(grammar, more, '0', '9', digits, kMostDigits - 1), to);
  }
  for (size_t size = least.size(); size <= most.size(); ++size) {
    const std::string begin = size == least.size() ? least : '1' + std::string(size - 1, '0');
    const std::string end = size == most.size() ? most : std::string(size, '9');
    add_digits(grammar, from, begin, end, to);
  }
}

void add_one_of(GrammarBuilder& grammar, NodeId from, std::string_view bytes, NodeId to) {
  for (const char byte : bytes) {
    grammar.add_bytes(from, static_cast<uint8_t>(byte), static_cast<uint8_t>(byte), to);
  }
}

void add_hexadecimal(GrammarBuilder& grammar, NodeId from, NodeId to) {
  grammar.add_bytes(from, '0', '9', to);
  grammar.add_bytes(from, 'a', 'f', to);
  grammar.add_bytes(from, 'A', 'F', to);
}

/// So many hexadecimal digits.
NodeId add_hexadecimals(GrammarBuilder& grammar, NodeId from, int count) {
  for (int i = 0; i < count; ++i) {
    const NodeId next = grammar.add_node();
    add_hexadecimal(grammar, from, next);
    from = next;
  }
  return from;
}

/// What follows \u: a character of the first plane, or two halves of one of the others.
void add_unicode_escape(GrammarBuilder& grammar, NodeId from, NodeId to) {
  const NodeId second = grammar.add_node(), after_d = grammar.add_node();
  grammar.add_bytes(from, '0', '9', second);
  add_one_of(grammar, from, "abcefABCEF", second);
  add_one_of(grammar, from, "dD", after_d);
  grammar.add_jump(add_hexadecimals(grammar, second, 3), to);
  const NodeId third = grammar.add_node();
  grammar.add_bytes(after_d, '0', '7', third);
  grammar.add_jump(add_hexadecimals(grammar, third, 2), to);
  const NodeId in_high = grammar.add_node();
  add_one_of(grammar, after_d, "89abAB", in_high);
  const NodeId low = grammar.add_text(add_hexadecimals(grammar, in_high, 2), "\\u");
  const NodeId low_d = grammar.add_node(), in_low = grammar.add_node();
  add_one_of(grammar, low, "dD", low_d);
  add_one_of(grammar, low_d, "cdefCDEF", in_low);
  grammar.add_jump(add_hexadecimals(grammar, in_low, 2), to);
}

/// One character of a string, escaped or not.
void add_string_character(GrammarBuilder& grammar, NodeId from, NodeId to) {
  constexpr std::array<CodePointRange, 3> kUnescaped = {
      {{' ', '!'}, {'#', '['}, {']', kLastCodePoint}}};
  grammar.add_code_points(from, kUnescaped, to);
  const NodeId escape = grammar.add_text(from, "\\");
  add_one_of(grammar, escape, "\"\\/bfnrt", to);
  add_unicode_escape(grammar, grammar.add_text(escape, "u"), to);
}

/// items is called with the node behind the opening bracket and returns the one before the closing
/// one.
template <class Items>
NodeId add_bracketed(GrammarBuilder& grammar, NodeId from, std::string_view brackets,
                     bool may_be_empty, Items&& items) {
  const NodeId inside = add_json_space(grammar, grammar.add_text(from, brackets.substr(0, 1)));
  const NodeId last = grammar.add_node();
  grammar.add_jump(add_json_space(grammar, items(inside)), last);
  if (may_be_empty) grammar.add_jump(inside, last);
  return grammar.add_text(last, brackets.substr(1, 1));
}

NodeId add_comma(GrammarBuilder& grammar, NodeId from) {
  return add_json_space(grammar, grammar.add_text(from, ","));
}

NodeId add_colon(GrammarBuilder& grammar, NodeId from) {
  return add_json_space(grammar, grammar.add_text(from, ":"));
}

}  // namespace

NodeId add_json_space(GrammarBuilder& grammar, NodeId from) {
  const NodeId end = grammar.add_node();
  grammar.add_jump(from, end);
  grammar.add_bytes(from, ' ', ' ', end);
  const NodeId line = grammar.add_text(from, "\n");
  grammar.add_jump(add_run(grammar, line, ' ', ' ', 0, kMostIndent), end);
  return end;
}

NodeId add_json_integer(GrammarBuilder& grammar, NodeId from, std::optional<int64_t> least,
                        std::optional<int64_t> most) {
  const NodeId end = grammar.add_node();
  const auto size_of = [](int64_t number) {
    const auto bits = static_cast<uint64_t>(number);
    return number < 0 ? 0 - bits : bits;
  };
  if (!most || *most >= 0) {
    const uint64_t first = least && *least > 0 ? size_of(*least) : 0;
    add_natural(grammar, from, first, most ? std::optional(size_of(*most)) : std::nullopt, end);
  }
  if (!least || *least < 0) {
    const uint64_t first = most && *most < 0 ? size_of(*most) : least ? 1 : 0;
    add_natural(grammar, grammar.add_text(from, "-"), first,
                least ? std::optional(size_of(*least)) : std::nullopt, end);
  }
  return end;
}

NodeId add_json_number(GrammarBuilder& grammar, NodeId from) {
  const NodeId whole = add_json_integer(grammar, from);
  const NodeId fraction = grammar.add_node();
  grammar.add_jump(whole, fraction);
  const NodeId point = grammar.add_text(whole, ".");
  grammar.add_jump(add_run(grammar, point, '0', '9', 1, kMostDigits), fraction);
  const NodeId end = grammar.add_node();
  grammar.add_jump(fraction, end);
  const NodeId exponent = grammar.add_node();
  add_one_of(grammar, fraction, "eE", exponent);
  const NodeId sign = grammar.add_node();
  grammar.add_jump(exponent, sign);
  add_one_of(grammar, exponent, "+-", sign);
  grammar.add_jump(add_run(grammar, sign, '0', '9', 1, 2), end);
  const NodeId hundred = grammar.add_text(sign, "1");
  grammar.add_jump(add_run(grammar, hundred, '0', '9', 2, 2), end);
  return end;
}

NodeId add_json_string(GrammarBuilder& grammar, NodeId from, int least, std::optional<int> most) {
  from = grammar.add_text(from, "\"");
  const auto add_character = [&](NodeId at) {
    const NodeId next = grammar.add_node();
    add_string_character(grammar, at, next);
    return next;
  };
  for (int i = 0; i < least && !grammar.full(); ++i) from = add_character(from);
  const NodeId last = grammar.add_node();
  grammar.add_jump(from, last);
  if (most) {
    for (int i = least; i < *most && !grammar.full(); ++i) {
      from = add_character(from);
      grammar.add_jump(from, last);
    }
  } else {
    add_string_character(grammar, last, last);
  }
  return grammar.add_text(last, "\"");
}

NodeId add_json_value(GrammarBuilder& grammar, NodeId from, const OrderedJson& value) {
  if (!value.is_structured() || value.empty()) {
    constexpr auto kLossy = OrderedJson::error_handler_t::replace;
    return grammar.add_text(from, value.dump(-1, ' ', false, kLossy));
  }
  return add_bracketed(grammar, from, value.is_object() ? "{}" : "[]", false, [&](NodeId at) {
    bool first = true;
    for (const auto& [key, item] : value.items()) {
      if (!first) at = add_comma(grammar, at);
      first = false;
      if (value.is_object()) {
        at = add_colon(grammar, add_json_value(grammar, at, OrderedJson(key)));
      }
      at = add_json_value(grammar, at, item);
    }
    return at;
  });
}

RuleId add_any_json(GrammarBuilder& grammar) {
  const RuleId any = grammar.add_rule();
  const NodeId begin = grammar.begin_of(any);
  const NodeId end = grammar.add_node();
  for (const NodeId one : {add_json_map(grammar, begin, any), add_json_list(grammar, begin, any),
                           add_json_string(grammar, begin), add_json_number(grammar, begin),
                           grammar.add_text(begin, "true"), grammar.add_text(begin, "false"),
                           grammar.add_text(begin, "null")}) {
    grammar.add_jump(one, end);
  }
  grammar.end_rule(end);
  return any;
}

NodeId add_json_map(GrammarBuilder& grammar, NodeId from, RuleId values) {
  return add_bracketed(grammar, from, "{}", true, [&](NodeId at) {
    const NodeId key = grammar.add_node();
    grammar.add_jump(at, key);
    const NodeId colon = add_colon(grammar, add_json_string(grammar, key));
    const NodeId end = grammar.add_call(colon, values);
    grammar.add_jump(add_comma(grammar, end), key);
    return end;
  });
}

NodeId add_json_list(GrammarBuilder& grammar, NodeId from, RuleId values, int least,
                     std::optional<int> most) {
  return add_bracketed(grammar, from, "[]", least == 0, [&](NodeId at) {
    if (most == 0) return at;
    const NodeId last = grammar.add_node();
    NodeId item = grammar.add_node();
    grammar.add_jump(at, item);
    for (int i = 1;; ++i) {
      const NodeId end = grammar.add_call(item, values);
      if (i >= least) grammar.add_jump(end, last);
      if (grammar.full() || (most && i >= *most)) return last;
      if (!most && i >= least) {
        grammar.add_jump(add_comma(grammar, end), item);
        return last;
      }
      item = add_comma(grammar, end);
    }
  });
}

}  // namespace tidar
