#pragma once
// How the matrices of a Hugging Face folder are quantised, as its config.json says, and how their
// tensors are found.

#include <array>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "format/json.h"
#include "format/quantized_matrix.h"
#include "format/tensors.h"

namespace tidar {

/// One scheme of quantising, with its numbers. Which matrices are left plain, and which have which
/// of several schemes, is told by the tensors themselves.
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

/// The "quantization_config" of a config.json; none where there is none, and several where
/// compressed-tensors has several groups. A scheme that is not supported is an Error that names it,
/// and says what to do.
Result<std::vector<Quantization>> read_quantizations(const JsonFields& config);

/// A matrix, and the scheme by which it is read.
struct FoundMatrix {
  QuantizedMatrix matrix;
  std::string_view scheme;
};

/// The matrix [rows, cols] whose plain tensor would have this name ("….q_proj.weight"), as the
/// folder has it by the first of these schemes that fits; checked. `used` gets the names of its
/// tensors, and of those beside it that say nothing about its numbers.
Result<FoundMatrix> find_quantized(const TensorFolder& folder,
                                   std::span<const Quantization> quantizations,
                                   std::string_view name, int64_t rows, int64_t cols,
                                   std::set<std::string>& used);

/// Matrices of a folder that have GroupCodes of the same number of bits.
struct PackedMatrices {
  int bits = 4;
  std::vector<std::string> names;  ///< of their modules: "model.layers.0.mlp.up_proj"
};

/// The "quantization_config" of a folder in the form pack-quantized of compressed-tensors, whose
/// matrices other than these are plain: those of `plain`, modules that loaders would take for
/// quantised otherwise. A single group is that of all other linear layers.
OrderedJson packed_config(std::span<const PackedMatrices> groups,
                          const std::vector<std::string>& plain);

/// The tensors of a matrix [rows, cols] in such a folder, without data; cols is a multiple of 32.
/// The first holds GroupCodes::codes of all rows, the second their scales, and the third rows and
/// cols.
std::array<TensorToWrite, 3> packed_tensors(const std::string& module, int64_t rows, int64_t cols,
                                            int bits);

}  // namespace tidar
