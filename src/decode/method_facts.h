#pragma once
// What is known of a method before it decodes anything. Each method tells its own, in its header:
// MethodFacts facts_of(const ItsOptions&).

#include <string_view>

namespace tidar {

/// What users read of a method.
struct MethodTitle {
  std::string_view name;     ///< as users write it: "block-diffusion"
  std::string_view summary;  ///< a line for users
};

struct MethodFacts {
  bool needs_mask = false;  ///< SequenceSpec::mask_token

  /// Whether the tokens are those of AR with the same spec: greedy, and sampled from the same seed.
  bool equals_ar = false;

  /// Whether the text's keys are kept from pass to pass. Else the method needs no pages, and reads
  /// the prompt in every pass.
  bool keeps_keys = true;

  /// Whether they are those that AR would keep, each of a token that saw those before it. Texts
  /// that begin alike then have the same first keys.
  bool causal_keys = true;

  int rows = 1;        ///< that a decoding pass can use, without those of a prompt that it reads
  int draft_keys = 0;  ///< that a pass can keep beyond those of the text

  /// Rows that a decoding pass of a text with such a prompt can use.
  int useful_rows(int prompt_tokens) const { return keeps_keys ? rows : prompt_tokens + rows; }
};

}  // namespace tidar
