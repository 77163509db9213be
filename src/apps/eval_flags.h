#pragma once
// The flags of `tidar eval`.

#include <CLI/CLI.hpp>
#include <string>

#include "apps/method_flags.h"
#include "apps/session.h"
#include "base/sampling.h"
#include "sandbox/sandbox.h"

namespace tidar {

struct EvalFlags {
  std::string task;  ///< [KIND:]FILE
  std::string out;
  int limit = 0;  ///< 0: all
  int shots = 0;
  std::string shots_file;
  bool check_solutions = false;
  bool say_solutions = false;

  int samples = 1;
  int max_new = 0;  ///< 0: as the kind of task has it
  Sampling sampling;
  int together = 4;

  int monte_carlo_samples = 128;
  int window = 0;  ///< 0: as many as fit, but not more than 2048
  int stride = 0;  ///< 0: half of the window

  SandboxLimits sandbox;
  MethodFlags method;
  ModelFlags model;
  bool json = false;
};

/// Adds all flags to the subcommand. `flags` must outlive the parsing.
void add_eval_flags(CLI::App& command, EvalFlags& flags);

/// What the parser cannot see by itself: throws CLI::ValidationError.
void check_eval_flags(const EvalFlags& flags);

}  // namespace tidar
