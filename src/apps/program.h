#pragma once
// The program around its subcommands: reads the command line, runs the one it names, turns the
// outcome into an exit code.

#include <span>

#include "apps/command.h"

namespace tidar {

/// One of command.h's functions.
using AddCommand = void (*)(CLI::App& program, Action& action);

/// What one program differs in from another. Refers to what main() has, which needs no memory.
struct ProgramFacts {
  const char* version;
  const char* description;               ///< the first lines of --help
  std::span<const AddCommand> commands;  ///< in the order of --help
};

/// What main() returns. Says on stderr what went wrong, in a sentence; throws nothing.
int run_program(const ProgramFacts& facts, int argc, char** argv);

}  // namespace tidar
