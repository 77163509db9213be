// The program, with all its subcommands.

#include "apps/program.h"

namespace {

constexpr tidar::AddCommand kCommands[] = {
    tidar::add_generate, tidar::add_chat,       tidar::add_serve,  tidar::add_logits,
    tidar::add_tokenize, tidar::add_detokenize, tidar::add_prompt, tidar::add_gradients,
    tidar::add_inspect,  tidar::add_quantize,   tidar::add_bench,  tidar::add_convert,
    tidar::add_train,    tidar::add_data,       tidar::add_eval,   tidar::add_report};

}  // namespace

int main(int argc, char** argv) {
  return tidar::run_program(
      {.version = TIDAR_VERSION,
       .description = "Text from hybrid diffusion/autoregressive language models, on the CPU.",
       .commands = kCommands},
      argc, argv);
}
