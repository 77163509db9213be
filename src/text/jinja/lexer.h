#pragma once
// Cuts a template into tokens. White space around tags goes as transformers has it: trim_blocks
// (the line's end behind a block goes) and lstrip_blocks (so does the indentation before one).

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tidar::jinja {

struct Token {
  enum class Kind : uint8_t {
    data,  // text between tags
    block_begin,
    block_end,  // {% %}
    output_begin,
    output_end,  // {{ }}
    name,
    text,
    integer,
    fraction,
    symbol,  // an operator or a bracket
    end,     // of the template
  };
  Kind kind = Kind::end;
  std::string text;  // of a text: what it says, without quotes and escapes
  int line = 1;
};

/// The last token is of kind end. `source` must be UTF-8. Errors begin with "line N: ".
Result<std::vector<Token>> tokenize(std::string_view source);

}  // namespace tidar::jinja
