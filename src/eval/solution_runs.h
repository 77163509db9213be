#pragma once
// Decodes solutions that are given: how well drafts foresee a text that somebody else wrote, and
// how probable it is. Nothing is judged.

#include "base/result.h"
#include "engine/engine.h"
#include "eval/given_text.h"
#include "eval/problem_runs.h"
#include "eval/results_file.h"
#include "eval/run.h"
#include "text/tokenizer.h"

namespace tidar {

/// Says the solution of each problem's file behind its prompt, and the first of the request's
/// end-of-text tokens if it has any; a line of results a problem, which goes on where earlier lines
/// end. Tokens are those of prompt and solution, each for itself. Numbers: "nll", nats a token of
/// all solutions, and what decoding cost. `engine` must have been made of `evaluator`, and be idle;
/// the request's method must be one that equals AR.
Result<EvalSummary> run_solutions(const ProblemTask& task, const Tokenizer& tokenizer,
                                  Engine& engine, GivenText& evaluator, ResultsFile& results,
                                  const RunHooks& hooks);

}  // namespace tidar
