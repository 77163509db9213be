#pragma once
// The methods by name: one place that knows all of them.

#include <memory>
#include <span>
#include <string_view>
#include <variant>

#include "decode/block_diffusion.h"
#include "decode/decoder.h"
#include "decode/lookup.h"
#include "decode/masked_diffusion.h"
#include "decode/speculative.h"
#include "decode/tidar.h"

namespace tidar {

/// Autoregressive decoding has nothing to choose.
struct ArOptions {};

/// TiDAR's weights in two passes a step, one that drafts and one that verifies (no_groups()): the
/// tokens of AR for 2 K + 1 rows a step where TiDAR needs K (K + 1), and half the speed where rows
/// are free.
struct SelfSpeculativeOptions {
  int draft_length = 8;  ///< K, at least 1
};

/// Speculative decoding with what stands in the text already.
struct LookupMethodOptions {
  int draft_length = 8;  ///< as of SpeculativeOptions
  LookupOptions lookup{};
};

/// How a text is continued.
using Method = std::variant<ArOptions, TidarOptions, SelfSpeculativeOptions, LookupMethodOptions,
                            SpeculativeOptions, BlockDiffusionOptions, MaskedDiffusionOptions>;

struct MethodInfo {
  std::string_view name;     ///< as users write it: "block-diffusion"
  std::string_view summary;  ///< a line for users
  Method (*make)();          ///< with its default options
};

/// One entry for each alternative of Method, in their order.
std::span<const MethodInfo> all_methods();

/// What users call the method.
std::string_view name_of(const Method& method);

/// The method of that name, with its default options. The Error names the nearest.
Result<Method> method_named(std::string_view name);

bool needs_mask_token(const Method& method);

/// Whether the tokens are those of AR with the same spec: greedy, and sampled from the same seed.
bool equals_ar(const Method& method);

/// Rows that a decoding pass can use. The prompt's tokens count for methods that read it in every
/// pass.
int useful_rows(const Method& method, int prompt_tokens = 0);

/// Whether the text's keys are kept from pass to pass; else the method needs no pages.
bool keeps_keys(const Method& method);

/// Keys that a pass can keep beyond those of the text: drafts.
int draft_keys(const Method& method);

/// Makes the decoder. `cache` may hold the keys of the first tokens of the prompt, as the method
/// reads them. Fails as the methods do.
Result<std::unique_ptr<Decoder>> make_decoder(const Method& method, SequenceSpec spec,
                                              SequenceCache cache, const EvaluatorLimits& limits);

}  // namespace tidar
