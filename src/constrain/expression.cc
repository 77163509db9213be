#include "constrain/expression.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <utility>

#include "text/utf8.h"

namespace tidar {
namespace {

using Ranges = std::vector<CodePointRange>;

constexpr int kMostRepeats = 100'000;  // more never fits a grammar
constexpr int kDeepestGroups = 100;

Ranges digits() { return {{'0', '9'}}; }
Ranges word_characters() { return {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}; }
Ranges spaces() { return {{'\t', '\r'}, {' ', ' '}}; }

// All that any reader of expressions may take for white space.
Ranges wide_spaces() {
  Ranges ranges = {{0x1C, 0x1F}, {0xFEFF, 0xFEFF}};
  for (char32_t c = 0; c <= 0x3000; ++c) {
    if (is_white_space(c)) ranges.push_back({c, c});
  }
  return normalized(ranges);
}

}  // namespace

Ranges normalized(Ranges ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const auto& a, const auto& b) { return a.from < b.from; });
  Ranges joined;
  for (const CodePointRange& range : ranges) {
    if (!joined.empty() && range.from <= joined.back().to + 1) {
      joined.back().to = std::max(joined.back().to, range.to);
    } else {
      joined.push_back(range);
    }
  }
  return joined;
}

Ranges all_but(const Ranges& ranges) {
  Ranges others;
  char32_t next = 0;
  for (const CodePointRange& range : ranges) {
    if (range.from > next) others.push_back({next, range.from - 1});
    next = range.to + 1;
  }
  if (next <= kLastCodePoint) others.push_back({next, kLastCodePoint});
  return others;
}

void add_json_characters(GrammarBuilder& grammar, NodeId from, const Ranges& ranges, NodeId to) {
  Ranges unescaped;
  for (const CodePointRange& range : ranges) {
    for (const CodePointRange& free :
         {CodePointRange{' ', '!'}, {'#', '['}, {']', kLastCodePoint}}) {
      const CodePointRange both = {std::max(range.from, free.from), std::min(range.to, free.to)};
      if (both.from <= both.to) unescaped.push_back(both);
    }
    for (char32_t c = range.from; c <= std::min<char32_t>(range.to, '\\'); ++c) {
      constexpr std::string_view kShort = "\"\"\\\\\bb\ff\nn\rr\tt";
      const bool is_free = c >= ' ' && c != '"' && c != '\\';
      if (is_free) continue;
      std::string escaped = fmt::format("\\u{:04x}", static_cast<unsigned>(c));
      for (size_t i = 0; i < kShort.size(); i += 2) {
        if (kShort[i] == static_cast<char>(c)) escaped = {'\\', kShort[i + 1]};
      }
      grammar.add_jump(grammar.add_text(from, escaped), to);
    }
  }
  grammar.add_code_points(from, unescaped, to);
}

// alternatives := sequence ('|' sequence)*; sequence := (atom count?)*
class ExpressionParser {
 public:
  ExpressionParser(std::string_view text, Expression::Extent extent)
      : text_(text), extent_(extent) {}

  Result<Expression> parse() {
    if (text_.size() > kLongestExpression) {
      return error("regular expression: it has {} bytes; use at most {}", text_.size(),
                   kLongestExpression);
    }
    if (!is_utf8(text_)) return error("regular expression: it is not UTF-8");
    const size_t all = alternatives(0);
    if (!wrong_ && !at_end()) fail("')' has no '(' before it; write \\) for the character");
    if (wrong_) return *wrong_;
    if (all + 1 != parts_.size()) add({.of = {all}});
    Expression expression;
    expression.parts_ = std::move(parts_);
    return expression;
  }

 private:
  using Part = Expression::Part;
  using Kind = Part::Kind;

  size_t add(Part part) {
    parts_.push_back(std::move(part));
    return parts_.size() - 1;
  }
  size_t add_characters(Ranges ranges) {
    return add({.kind = Kind::characters, .characters = std::move(ranges)});
  }
  size_t add_anything() {
    const size_t any = add_characters({{0, kLastCodePoint}});
    return add({.kind = Kind::repeat, .of = {any}, .most = Expression::kNoLimit});
  }

  bool at_end() const { return at_ == text_.size(); }
  bool next_is(std::string_view what) const { return text_.substr(at_).starts_with(what); }
  bool take(std::string_view what) {
    if (!next_is(what)) return false;
    at_ += what.size();
    return true;
  }
  char32_t take_character() {
    const Utf8Unit unit = utf8_front(text_.substr(at_));
    at_ += unit.size;
    return unit.code_point;
  }
  /// Remembers the first thing that is wrong, at the character before which reading stands.
  void fail(std::string_view what) {
    if (!wrong_) wrong_ = error("regular expression, at byte {}: {}", at_ + 1, what);
    at_ = text_.size();
  }

  size_t alternatives(int depth) {
    if (depth > kDeepestGroups) {
      fail("groups are nested too deep");
      return 0;
    }
    std::vector<size_t> all = {sequence(depth)};
    while (take("|")) all.push_back(sequence(depth));
    if (all.size() == 1) return all[0];
    return add({.kind = Kind::alternatives, .of = std::move(all)});
  }

  // Of the outermost ones each is held to the borders of the text on its own.
  size_t sequence(int depth) {
    const bool outermost = depth == 0;
    const bool from_begin = outermost && (take("^") || take("\\A"));
    bool to_end = false;
    std::vector<size_t> parts;
    if (outermost && extent_ == Expression::Extent::part && !from_begin) {
      parts.push_back(add_anything());
    }
    while (!at_end() && !next_is("|") && !next_is(")")) {
      const std::string_view rest = text_.substr(at_);
      if (outermost && (rest == "$" || rest.starts_with("$|") || rest == "\\Z" || rest == "\\z" ||
                        rest.starts_with("\\Z|") || rest.starts_with("\\z|"))) {
        take_character();
        if (rest[0] == '\\') take_character();
        to_end = true;
        continue;
      }
      const size_t one = atom(depth);
      parts.push_back(counted(one));
    }
    if (outermost && extent_ == Expression::Extent::part && !to_end) {
      parts.push_back(add_anything());
    }
    return add({.of = std::move(parts)});
  }

  size_t atom(int depth) {
    if (next_is("^") || next_is("$")) {
      fail(
          "^ and $ may stand only at the borders of the expression or of one of its outermost "
          "alternatives; write \\^ or \\$ for the character");
      return 0;
    }
    if (next_is("*") || next_is("+") || next_is("?") || next_is("{")) {
      fail("there is nothing to repeat; write a \\ before the character for itself");
      return 0;
    }
    if (take("(")) return group(depth);
    if (take("[")) return add_characters(characters_in_brackets());
    if (take("."))
      return add_characters(all_but(normalized({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}})));
    if (next_is("\\")) return add_characters(escape(false));
    const char32_t c = take_character();
    return add_characters({{c, c}});
  }

  size_t group(int depth) {
    if (take("?:")) {
    } else if (next_is("?P<") || (next_is("?<") && !next_is("?<=") && !next_is("?<!"))) {
      const size_t end = text_.find('>', at_);
      if (end == std::string_view::npos) {
        fail("the name of the group has no '>'");
        return 0;
      }
      at_ = end + 1;
    } else if (next_is("?")) {
      fail("look-around, options and other (?… are not supported; use plain groups, (?:…)");
      return 0;
    }
    const size_t inside = alternatives(depth + 1);
    if (!take(")")) fail("a '(' has no ')'");
    return inside;
  }

  size_t counted(size_t part) {
    int least = 1, most = 1;
    if (take("*")) {
      least = 0;
      most = Expression::kNoLimit;
    } else if (take("+")) {
      most = Expression::kNoLimit;
    } else if (take("?")) {
      least = 0;
    } else if (next_is("{")) {
      if (!count(least, most)) return part;
    } else {
      return part;
    }
    if (next_is("+")) fail("possessive counts are not supported; leave the second + out");
    take("?");  // lazy
    if (next_is("*") || next_is("+") || next_is("?") || next_is("{")) {
      fail("a count stands behind another; put what is repeated into (?:…)");
    }
    return add({.kind = Kind::repeat, .of = {part}, .least = least, .most = most});
  }

  // {3} {3,} {3,5} {,5}
  bool count(int& least, int& most) {
    take("{");
    const auto number = [&](int absent) {
      int value = absent;
      const char* const begin = text_.data() + at_;
      const auto [end, problem] = std::from_chars(begin, text_.data() + text_.size(), value);
      if (problem == std::errc::invalid_argument) return absent;
      at_ += static_cast<size_t>(end - begin);
      return problem == std::errc() && value >= 0 ? value : kMostRepeats + 1;
    };
    constexpr int kNone = -2;
    const int first = number(kNone);
    const bool is_range = take(",");
    const int second = is_range ? number(kNone) : first;
    if (!take("}") || (first == kNone && second == kNone)) {
      fail("expected a count such as {3}, {3,} or {3,5}; write \\{ for the character");
      return false;
    }
    least = first == kNone ? 0 : first;
    most = second == kNone ? Expression::kNoLimit : second;
    if (least > kMostRepeats || most > kMostRepeats) {
      fail(fmt::format("counts go up to {}", kMostRepeats));
      return false;
    }
    if (most != Expression::kNoLimit && most < least) {
      fail("the second number of a count is smaller than the first");
      return false;
    }
    return true;
  }

  Ranges characters_in_brackets() {
    const bool others = take("^");
    Ranges ranges;
    for (bool first = true; !take("]"); first = false) {
      if (at_end()) {
        fail("a '[' has no ']'");
        return {};
      }
      if (next_is("[:")) {
        fail("classes such as [:alpha:] are not supported; name the characters, as in a-zA-Z");
        return {};
      }
      if (!first && (next_is("&&") || next_is("--"))) {
        fail("operations on classes are not supported; write \\& or \\- for the character");
        return {};
      }
      Ranges some = one_in_brackets();
      const bool single = some.size() == 1 && some[0].from == some[0].to;
      if (next_is("-") && !next_is("-]")) {
        take("-");
        if (at_end()) continue;
        const Ranges last = one_in_brackets();
        if (!single || last.size() != 1 || last[0].from != last[0].to) {
          fail(
              "a range of characters needs one character on each side of '-'; write \\- for the "
              "character");
          return {};
        }
        if (last[0].to < some[0].from) {
          fail("a range of characters goes backwards");
          return {};
        }
        some[0].to = last[0].to;
      }
      ranges.insert(ranges.end(), some.begin(), some.end());
    }
    ranges = normalized(ranges);
    if (others) ranges = all_but(ranges);
    if (ranges.empty()) fail("a class of characters holds none");
    return ranges;
  }

  Ranges one_in_brackets() {
    if (next_is("\\")) return escape(true);
    const char32_t c = take_character();
    return {{c, c}};
  }

  Ranges escape(bool in_brackets) {
    take("\\");
    if (at_end()) {
      fail("a \\ stands at the end; write \\\\ for the character");
      return {};
    }
    const char32_t c = take_character();
    switch (c) {
      case 'd':
        return digits();
      case 'D':
        return all_but(digits());
      case 'w':
        return word_characters();
      case 'W':
        return all_but(word_characters());
      case 's':
        return spaces();
      case 'S':
        return all_but(wide_spaces());
      case 'n':
        return {{'\n', '\n'}};
      case 'r':
        return {{'\r', '\r'}};
      case 't':
        return {{'\t', '\t'}};
      case 'f':
        return {{'\f', '\f'}};
      case 'v':
        return {{'\v', '\v'}};
      case 'b':
        if (in_brackets) return {{'\b', '\b'}};
        break;
      case '0':
        if (at_end() || text_[at_] < '0' || text_[at_] > '9') return {{0, 0}};
        break;
      case 'x':
        return code_point(2);
      case 'u':
        return code_point(4);
      default:
        break;
    }
    const bool letter_or_digit = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
    if (!letter_or_digit || c > 127) return {{c, c}};
    fail(fmt::format("\\{} is not supported{}", static_cast<char>(c),
                     c >= '1' && c <= '9'   ? ": what an earlier group matched cannot be repeated"
                     : c == 'b' || c == 'B' ? ": write what stands on both sides of the border"
                     : c == 'p' || c == 'P' ? ": name the characters, as in [a-zà-ÿ]"
                                            : ""));
    return {};
  }

  // Of so many hexadecimal digits, or of those in braces.
  Ranges code_point(size_t digits) {
    size_t end = at_ + digits;
    size_t begin = at_;
    const bool in_braces = digits == 4 && next_is("{");
    if (in_braces) {
      begin = at_ + 1;
      end = std::min(text_.find('}', begin), begin + 9);
    }
    uint32_t value = 0;
    bool whole = end <= text_.size();
    if (whole) {
      const char* const last = text_.data() + end;
      const auto [stop, problem] = std::from_chars(text_.data() + begin, last, value, 16);
      whole = problem == std::errc() && stop == last;
    }
    const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
    if (!whole || surrogate || value > kLastCodePoint) {
      fail("expected the hexadecimal number of a character, as in \\x41, \\u0041 or \\u{1F600}");
      return {};
    }
    at_ = end + (in_braces ? 1 : 0);
    return {{value, value}};
  }

  std::string_view text_;
  Expression::Extent extent_;
  size_t at_ = 0;
  std::vector<Part> parts_;
  std::optional<Error> wrong_;
};

Result<Expression> Expression::parse(std::string_view text, Extent extent) {
  return ExpressionParser(text, extent).parse();
}

NodeId Expression::add_to(GrammarBuilder& grammar, NodeId from, Writing writing) const {
  return add_part(parts_.back(), grammar, from, writing);
}

NodeId Expression::add_part(const Part& part, GrammarBuilder& grammar, NodeId from,
                            Writing writing) const {
  if (grammar.full()) return from;
  switch (part.kind) {
    case Part::Kind::characters: {
      const NodeId end = grammar.add_node();
      if (writing == Writing::plain) {
        grammar.add_code_points(from, part.characters, end);
      } else {
        add_json_characters(grammar, from, part.characters, end);
      }
      return end;
    }
    case Part::Kind::sequence:
      for (const size_t one : part.of) from = add_part(parts_[one], grammar, from, writing);
      return from;
    case Part::Kind::alternatives: {
      const NodeId end = grammar.add_node();
      for (const size_t one : part.of) {
        grammar.add_jump(add_part(parts_[one], grammar, from, writing), end);
      }
      return end;
    }
    case Part::Kind::repeat:
      return add_repeat(part, grammar, from, writing);
  }
  return from;
}

NodeId Expression::add_repeat(const Part& part, GrammarBuilder& grammar, NodeId from,
                              Writing writing) const {
  const Part& one = parts_[part.of[0]];
  for (int i = 0; i < part.least && !grammar.full(); ++i) {
    const NodeId next = add_part(one, grammar, from, writing);
    if (next == from) break;  // it is empty, however often
    from = next;
  }
  if (part.most == kNoLimit) {
    const NodeId loop = grammar.add_node();
    grammar.add_jump(from, loop);
    grammar.add_jump(add_part(one, grammar, loop, writing), loop);
    return loop;
  }
  if (part.most == part.least) return from;
  const NodeId end = grammar.add_node();
  for (int i = part.least; i < part.most && !grammar.full(); ++i) {
    grammar.add_jump(from, end);
    from = add_part(one, grammar, from, writing);
  }
  grammar.add_jump(from, end);
  return end;
}

}  // namespace tidar
