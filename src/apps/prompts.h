#pragma once
// Files of prompts: JSONL, whose fields "prompt" are to be continued.

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "base/result.h"
#include "text/tokenizer.h"

namespace tidar {

struct NumberedPrompt {
  int64_t line = 0;  ///< of its file; the first is 1
  std::vector<int32_t> ids;
  std::string text{};
};

/// Which lines of the file are read.
struct PromptChoice {
  AddSpecial special = AddSpecial::yes;
  int most = std::numeric_limits<int>::max();          ///< the first so many
  int shorter_than = std::numeric_limits<int>::max();  ///< in tokens
  int32_t start = -1;  ///< the token of a prompt that has no other; -1: such prompts are left out
};

/// The prompts of a file, zstd-compressed or not. Lines without one are named on stderr, and so are
/// prompts without a token or with too many. An Error when the file cannot be read, or when no
/// prompt is left.
Result<std::vector<NumberedPrompt>> read_prompts(const std::string& path,
                                                 const Tokenizer& tokenizer,
                                                 const PromptChoice& choice);

/// Says on stderr why a line of a file is passed over.
void pass_over(const std::string& path, int64_t line, std::string_view problem);

}  // namespace tidar
