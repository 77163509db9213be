#pragma once
// Evaluations that generate text and judge it. Each brings a line of results a sample, and goes on
// where earlier lines end.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"
#include "eval/judge.h"
#include "eval/problems.h"
#include "eval/results_file.h"
#include "eval/run.h"
#include "text/tokenizer.h"

namespace tidar {

struct ProblemTask {
  ProblemKind kind = ProblemKind::gsm8k;
  std::vector<Problem> problems;
  std::vector<Problem> shots;
  int shot_count = 0;
  int samples = 1;   ///< of each problem
  int together = 1;  ///< samples that share passes
  /// What all samples have in common. The prompt is not used, and the seed is that of the whole
  /// run: each sample draws from one of its own.
  Request request;
};

/// The prompt of a problem, its shots included, as tokens.
Result<std::vector<int32_t>> prompt_tokens(const ProblemTask& task, const Problem& problem,
                                           const Tokenizer& tokenizer);

/// Scores: those of the judge's checks, averaged over the samples of a problem first ("strict",
/// "flexible"); of programs "pass@1" and, with several samples, "pass@<samples>". Numbers: what
/// decoding cost ("tokens_per_pass", "tokens_per_s", …), and the histogram of tokens per pass. Time
/// that programs take is not counted.
/// `engine` must have been made with `tokenizer`, and be idle.
Result<EvalSummary> run_problems(const ProblemTask& task, const Tokenizer& tokenizer,
                                 Engine& engine, const Judge& judge, ResultsFile& results,
                                 const RunHooks& hooks);

/// Writes the programs among the results as samples.jsonl, for evalplus: {"task_id", "solution"}.
Result<void> write_samples(const ProblemTask& task, const ResultsFile& results);

/// A solution that a problem's file itself gives, and that the judge finds wrong.
struct WrongSolution {
  std::string id;
  std::string why;  ///< the check that failed, or how the program did
};

/// Judges the solutions of the file: all should be right, unless this machine is too slow for the
/// sandbox's limits, or lacks a module of Python.
Result<std::vector<WrongSolution>> check_solutions(std::span<const Problem> problems,
                                                   const Judge& judge, const RunHooks& hooks);

}  // namespace tidar
