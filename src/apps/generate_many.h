#pragma once
// tidar generate --prompts: the prompts of a file, continued some at a time.

#include "apps/generate_flags.h"
#include "base/result.h"

namespace tidar {

/// Writes one JSON object a line to stdout for each prompt, in the order in which they finish:
/// {"line", "seed", "text", "tokens", "logprobs", "policy_logprobs", "prompt_tokens", "n",
/// "finish_reason", "passes", "decoded", "tokens_per_pass"} and what put_rows() adds
/// (apps/row_summary.h), with --explain also "explained", a pass each as to_json() tells it
/// (serve/explanation_json.h); "line" is that of the file, the first is 1. Lines without a prompt
/// that the model can take are told on stderr and passed over. An Error when there is no other. The
/// value is the program's exit code.
Result<int> generate_many(const GenerateFlags& flags);

}  // namespace tidar
