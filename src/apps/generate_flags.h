#pragma once
// The flags of `tidar generate`, and the request that they describe. What a flag may be is checked
// where it is added; what only the model shows (positions, ids), where the request is made.

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apps/method_flags.h"
#include "apps/session.h"
#include "engine/request.h"

namespace tidar {

/// Texts that share passes: a small model writes half as many tokens a second again as with 4, and
/// fewer with 64.
inline constexpr int kTextsTogether = 16;

/// As the command line has them.
struct GenerateFlags {
  ModelFlags model;

  std::string prompts;  ///< JSONL file of many:
  int samples = 1;      ///< of each
  int together = kTextsTogether;
  std::string out;  ///< file that they go to; "": stdout
  // Or one prompt.
  // The first of these that was given, else stdin.
  std::optional<std::string> prompt;
  std::string prompt_file;
  std::string prompt_ids;
  bool no_special = false;  ///< without the tokens that the tokenizer puts around a text

  MethodFlags method;

  int max_new = 256;              ///< tokens
  std::vector<std::string> stop;  ///< strings that end the text, which they are not part of
  bool ignore_eos = false;        ///< end-of-text tokens are forbidden

  // What the output must look like; one of them at most:
  std::optional<std::string> regex;  ///< an expression that all of it matches
  std::string json_schema;           ///< file of a schema of the JSON that it is
  bool json_object = false;          ///< any JSON object

  Sampling sampling;
  Penalties penalties;
  std::vector<std::string> logit_bias;  ///< ID:VALUE

  bool compare = false;     ///< once more with AR, and say whether the tokens agree
  bool print_pass = false;  ///< draw the first decoding pass on stderr
  bool explain = false;     ///< tell of each pass what it was offered, held and brought
  std::string reliability;  ///< file of a figure: what offers said, and what happened; "": none
  std::string trace;        ///< file of what masks draft along the texts; "": none
  bool json = false;
};

/// Adds the flags of the method, of the end of the output, of the choice of tokens and of the
/// model. `flags` must outlive the parsing.
void add_decoding_flags(CLI::App& command, GenerateFlags& flags);
/// Adds these, and those of the prompt, of the form of the output, and of the report.
void add_generate_flags(CLI::App& command, GenerateFlags& flags);

/// What was asked for, in the terms of the model, with a prompt that is known already. Without a
/// tokenizer no form of the output can be asked for.
Result<Request> make_request(const GenerateFlags& flags, const ModelConfig& config,
                             const Tokenizer* tokenizer, std::vector<int32_t> prompt);
/// The same. Reads the prompt, from stdin if need be; with --prompts the prompt is left empty.
Result<Request> make_request(const GenerateFlags& flags, const ModelConfig& config,
                             const Tokenizer* tokenizer);

}  // namespace tidar
