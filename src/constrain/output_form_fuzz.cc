// The input is a regular expression, or a JSON schema where it begins with a brace. Whatever it is,
// it is refused with a sentence, or a grammar of which a text can be followed as far as one likes:
// there is always a byte that leads on, or the text may end. What ends is UTF-8, and JSON where it
// was to be.
//
// Seeds: scripts/fuzz-seeds.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/rng.h"
#include "constrain/automaton.h"
#include "constrain/expression.h"
#include "constrain/json_schema.h"
#include "text/utf8.h"

namespace tidar {
namespace {

constexpr size_t kLongestText = 300;

/// A text of the grammar, as far as it comes; whether it came to its end.
bool follow(const Grammar& grammar, Rng& rng, std::string& text) {
  Automaton automaton(grammar);
  auto state = automaton.begin();
  TIDAR_CHECK(state != Automaton::kDead);
  while (text.size() < kLongestText && !automaton.full()) {
    if (automaton.may_end(state) && rng.below(4) == 0) return true;
    const int first = rng.below(256);
    int tried = 0;
    uint8_t byte = 0;
    for (; tried < 256; ++tried) {
      byte = static_cast<uint8_t>(first + tried);
      if (automaton.next(state, byte) != Automaton::kDead) break;
    }
    if (tried == 256) {
      TIDAR_CHECK(automaton.may_end(state));
      return true;
    }
    // What closes is rather taken the longer the text is.
    for (const char closing : {'"', '}', ']'}) {
      const bool leads_on =
          automaton.next(state, static_cast<uint8_t>(closing)) != Automaton::kDead;
      if (leads_on && rng.below(20) < static_cast<int>(text.size()))
        byte = static_cast<uint8_t>(closing);
    }
    text += static_cast<char>(byte);
    state = automaton.next(state, byte);
  }
  return false;
}

void check(const Result<Grammar>& grammar, bool is_json, Rng& rng) {
  if (!grammar.ok()) {
    TIDAR_CHECK(!grammar.error().message.empty());
    return;
  }
  for (int i = 0; i < 3; ++i) {
    std::string text;
    if (!follow(*grammar, rng, text)) continue;
    TIDAR_CHECK(is_utf8(text));
    TIDAR_CHECK(!is_json || OrderedJson::accept(text));
  }
}

Result<Grammar> grammar_of(std::string_view expression, Expression::Extent extent,
                           Expression::Writing writing) {
  TIDAR_TRY(const Expression read, Expression::parse(expression, extent));
  GrammarBuilder builder;
  builder.end_rule(read.add_to(builder, builder.begin_of(0), writing));
  return builder.finish();
}

}  // namespace
}  // namespace tidar

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace tidar;
  const std::string_view input(reinterpret_cast<const char*>(bytes), size);
  Rng rng(size + (size > 0 ? bytes[size / 2] : 0u));
  if (input.starts_with('{')) {
    const auto schema = parse_schema(input);
    if (schema.ok()) check(grammar_of_schema(*schema), true, rng);
    return 0;
  }
  check(grammar_of(input, Expression::Extent::whole, Expression::Writing::plain), false, rng);
  check(grammar_of(input, Expression::Extent::part, Expression::Writing::json_string), false, rng);
  return 0;
}
