// The program with `generate` alone, which is built in three fifths of the time.

#include "apps/program.h"

namespace {

constexpr tidar::AddCommand kCommands[] = {tidar::add_generate};

}  // namespace

int main(int argc, char** argv) {
  return tidar::run_program(
      {.version = TIDAR_VERSION,
       .description = "Text from hybrid diffusion/autoregressive language models. This program has "
                      "one subcommand; scripts/build makes the one that has them all.",
       .commands = kCommands},
      argc, argv);
}
