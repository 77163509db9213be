#pragma once
// The subcommands of the program. Each lives in a file of its own, adds its flags to the parser,
// and leaves behind what is to be done.

#include <CLI/CLI.hpp>
#include <functional>

#include "base/result.h"

namespace tidar {

/// Exit codes, the same for every subcommand.
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;    // something that the command line names is wrong, or failed
inline constexpr int kWrongUse = 2;  // the command line itself is, whatever files there are
inline constexpr int kInterrupted = 130;  // 128 + SIGINT, as shells say it

/// What main() does once the command line has been understood. The value is the exit code; an
/// Error is printed, and the exit code is kFailed.
using Action = std::function<Result<int>()>;

/// Adds one subcommand to `program`. When the parser meets it, `action` is set. `action` must
/// outlive the parsing. Wrong use that the parser cannot see by itself is thrown as
/// CLI::ValidationError while parsing, like everything else that it finds.
void add_generate(CLI::App& program, Action& action);
void add_logits(CLI::App& program, Action& action);
void add_tokenize(CLI::App& program, Action& action);
void add_detokenize(CLI::App& program, Action& action);
void add_prompt(CLI::App& program, Action& action);
void add_chat(CLI::App& program, Action& action);
void add_serve(CLI::App& program, Action& action);
void add_gradients(CLI::App& program, Action& action);
void add_inspect(CLI::App& program, Action& action);
void add_quantize(CLI::App& program, Action& action);
void add_bench(CLI::App& program, Action& action);
void add_data(CLI::App& program, Action& action);
void add_train(CLI::App& program, Action& action);
void add_eval(CLI::App& program, Action& action);
void add_report(CLI::App& program, Action& action);
void add_convert(CLI::App& program, Action& action);

}  // namespace tidar
