#pragma once
// The flags of `tidar generate`, and the request that they describe.

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "apps/method_flags.h"
#include "apps/session.h"
#include "engine/request.h"

namespace tidar {

struct GenerateFlags {
  ModelFlags model;

  std::string prompts;  ///< JSONL file of many; or one prompt:
  // The first of these that was given, else stdin.
  std::optional<std::string> prompt;
  std::string prompt_file;
  std::string prompt_ids;
  bool no_special = false;

  MethodFlags method;

  int max_new = 256;
  std::vector<std::string> stop;
  bool ignore_eos = false;

  Sampling sampling;
  Penalties penalties;
  std::vector<std::string> logit_bias;  ///< ID:VALUE

  bool compare = false;
  bool print_pass = false;
  bool json = false;
};

/// Adds all flags to the subcommand. `flags` must outlive the parsing.
void add_generate_flags(CLI::App& command, GenerateFlags& flags);

/// What was asked for, in the terms of the model. Reads the prompt, from stdin if need be; with
/// --prompts the prompt is left empty.
Result<Request> make_request(const GenerateFlags& flags, const ModelConfig& config,
                             const Tokenizer* tokenizer);

}  // namespace tidar
