#pragma once
// How the matrices of a Hugging Face folder are quantised, as its config.json says, and how their
// tensors are found.

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"
#include "format/json.h"
#include "format/quantized_matrix.h"
#include "format/tensors.h"

namespace tidar {

/// One scheme of quantising, with its numbers. Which matrices are left plain is told by the tensors
/// themselves.
struct Quantization {
  enum class Scheme : uint8_t {
    int_quantized,    ///< compressed-tensors: weight I8, weight_scale
    pack_quantized,   ///< compressed-tensors: weight_packed, weight_scale
    float_quantized,  ///< compressed-tensors or fp8: weight F8_E4M3, weight_scale(_inv)
    gptq,             ///< qweight, qzeros, scales
    awq,              ///< the same, in another order
  };
  Scheme scheme = Scheme::int_quantized;
  int bits = 8;            ///< of a code
  int64_t group = 0;       ///< inputs that share a scale; 0: all of an output
  int64_t block_rows = 1;  ///< outputs that share a scale; 0: all of them
  int zero_offset = 0;     ///< GPTQ: what is added to a stored zero
  std::string_view name;   ///< for people: "GPTQ", "FP8"
};

/// The "quantization_config" of a config.json; nothing where there is none. A scheme that is not
/// supported is an Error that names it, and says what to do.
Result<std::optional<Quantization>> read_quantization(const JsonFields& config);

/// The matrix [rows, cols] whose plain tensor would have this name ("….q_proj.weight"), as the
/// folder has it; checked. `used` gets the names of its tensors, and of those beside it that say
/// nothing about its numbers.
Result<QuantizedMatrix> find_quantized(const TensorFolder& folder, const Quantization& quantization,
                                       std::string_view name, int64_t rows, int64_t cols,
                                       std::set<std::string>& used);

}  // namespace tidar
