#pragma once
// The flags that choose and shape a method, and the Method that they describe.

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "decode/methods.h"
#include "model/config.h"

namespace tidar {

/// A flag that only some methods read.
struct FlagOfMethods {
  const CLI::Option* option;  ///< the command's
  std::vector<std::string_view> methods;
};

struct MethodFlags {
  std::string name;      ///< "": as the checkpoint was trained
  int mask_token = -1;   ///< -1: the checkpoint's
  int draft_length = 0;  ///< 0: the checkpoint's block size, else 8

  // tidar
  float trust_ar = 1;
  std::string groups = "auto";
  int guessed = 0;
  std::string prices;  ///< FILE, "measure" or "none"; "": as apps/price_source.h says

  // lookup
  LookupOptions lookup;

  // speculative
  std::string draft_model;  ///< a folder, or a GGUF file

  // block-diffusion and masked-diffusion
  int block_size = 0;  ///< 0: the checkpoint's or 16; of masked diffusion: one block
  std::string order;   ///< "": entropy where it is bounded, else confidence
  int per_pass = 1;
  std::optional<float> confidence;
  std::optional<float> entropy_bound;
  std::string block_keys;     ///< empty: as the weights were trained
  std::string block_borders;  ///< likewise
  int steps = 0;
  bool shifted_logits = false;

  std::vector<FlagOfMethods> of_methods;  ///< filled by add_method_flags()
};

/// Adds the flags to the subcommand. `flags` must outlive the parsing, and the command
/// make_method().
void add_method_flags(CLI::App& command, MethodFlags& flags);

/// Throws CLI::ValidationError where no checkpoint could give the flags a meaning: one that the
/// method does not read, groups that no draft has. To be called while parsing.
void check_method_flags(const MethodFlags& flags);

/// The method, in the terms of the model: `max_new` is the length of an output that is fixed. The
/// drafters of speculative decoding are the caller's to add. A flag that was given and that the
/// method does not read is an Error.
Result<Method> make_method(const MethodFlags& flags, const ModelConfig& config, int max_new);

}  // namespace tidar
