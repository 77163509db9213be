#pragma once
// The flags of `tidar eval`. Of the groups below, a kind of task reads its own and those of the
// model; what the flags are called in --help is what the fields are called here.

#include <CLI/CLI.hpp>
#include <string>

#include "apps/method_flags.h"
#include "apps/session.h"
#include "base/sampling.h"
#include "sandbox/sandbox.h"

namespace tidar {

struct EvalFlags {
  // Of all tasks.
  std::string task;              ///< [KIND:]FILE
  std::string out;               ///< folder of the results
  int limit = 0;                 ///< items; 0: all
  int shots = 0;                 ///< solved examples before each item
  std::string shots_file;        ///< where they stand
  bool check_solutions = false;  ///< judge the solutions of the task's file; needs no model
  bool say_solutions = false;    ///< decode those solutions instead of the model's own choices
  int together = 4;              ///< items that share passes; no result depends on it

  // Of tasks that are answered: gsm8k, humaneval, mbpp; and of documents, but for samples.
  int samples = 1;  ///< answers to each problem
  int max_new = 0;  ///< tokens of an answer; 0: as the kind of task has it
  Sampling sampling;
  SandboxLimits sandbox;  ///< of each program

  // Of documents.
  std::string methods;  ///< as parse_methods() reads them; "": ar, and that of `method`
  /// Of those that draft; "": the checkpoint's block size, else the methods' default; without
  /// `methods` that of `method`.
  std::string draft_lengths;
  int prompt_tokens = 16;  ///< that are the prompt of documents without one

  // Of tasks that are scored: choices, text.
  int monte_carlo_samples = 128;  ///< of each text, with a method of diffusion
  int window = 0;                 ///< tokens; 0: as many as fit, but not more than 2048
  int stride = 0;                 ///< tokens; 0: half of the window

  MethodFlags method;
  ModelFlags model;
  bool json = false;
};

/// Adds all flags to the subcommand. `flags` must outlive the parsing.
void add_eval_flags(CLI::App& command, EvalFlags& flags);

/// What the parser cannot see by itself, flags that need or exclude each other: throws
/// CLI::ValidationError, so that it ends as any wrong use does.
void check_eval_flags(const EvalFlags& flags);

}  // namespace tidar
