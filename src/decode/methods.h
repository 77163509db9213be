#pragma once
// The methods by name: one place that knows all of them. A method is its file and its place in the
// list; what is known of it, it tells itself (method_facts.h).

#include <memory>
#include <span>
#include <string_view>
#include <variant>

#include "decode/ar.h"
#include "decode/block_diffusion.h"
#include "decode/decoder.h"
#include "decode/masked_diffusion.h"
#include "decode/method_facts.h"
#include "decode/speculative.h"
#include "decode/tidar.h"

namespace tidar {

/// How a text is continued: the list of all methods, in the order in which users read it.
using Method = std::variant<ArOptions, TidarOptions, SelfSpeculativeOptions, LookupMethodOptions,
                            SpeculativeOptions, BlockDiffusionOptions, MaskedDiffusionOptions>;

struct MethodInfo {
  std::string_view name;
  std::string_view summary;
  Method (*make)();  ///< with its default options
};

/// One entry for each alternative of Method, in their order.
std::span<const MethodInfo> all_methods();

/// What users call the method.
std::string_view name_of(const Method& method);

/// The method of that name, with its default options. The Error names the nearest.
Result<Method> method_named(std::string_view name);

MethodFacts facts_of(const Method& method);

/// Makes the decoder. `cache` may hold the keys of the first tokens of the prompt, as the method
/// reads them. Fails as the methods do.
Result<std::unique_ptr<Decoder>> make_decoder(const Method& method, SequenceSpec spec,
                                              SequenceCache cache, const EvaluatorLimits& limits);

}  // namespace tidar
