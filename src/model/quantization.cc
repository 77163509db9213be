#include "model/quantization.h"

#include <array>
#include <cstring>
#include <utility>

#include "format/files.h"

namespace tidar {
namespace {

using Scheme = Quantization::Scheme;

constexpr std::string_view kSupported =
    "supported are compressed-tensors (int-quantized, pack-quantized, float-quantized), gptq "
    "without act-order, awq and fp8; use the unquantised checkpoint, or a GGUF file of this model";

constexpr int kLargestGroup = 1 << 20;

Error unsupported(const JsonFields& fields, const std::string& what) {
  return error("{}: {}, which is not supported; {}", fields.where(), what, kSupported);
}

/// Inputs that share a scale: a size, or -1 for all.
Result<int64_t> read_group(const JsonFields& fields) {
  TIDAR_TRY(const int size, fields.integer("group_size", {-1, kLargestGroup}, -1));
  if (size == 0) return fields.wrong("group_size", "a positive number, or -1");
  return int64_t{size > 0 ? size : 0};
}

Result<Quantization> read_gptq(const JsonFields& fields) {
  Quantization result{.scheme = Scheme::gptq, .zero_offset = 1, .name = "GPTQ"};
  TIDAR_TRY(result.bits, fields.integer("bits", {2, 8}));
  if (result.bits != 4 && result.bits != 8) return fields.wrong("bits", "4 or 8");
  TIDAR_TRY(result.group, read_group(fields));
  TIDAR_TRY(const bool ordered, fields.boolean("desc_act", false));
  if (ordered) return unsupported(fields, "GPTQ with act-order (desc_act)");
  TIDAR_TRY(const std::string format, fields.text("checkpoint_format", "gptq"));
  if (format == "gptq_v2") {
    result.zero_offset = 0;
  } else if (format != "gptq") {
    return unsupported(fields, "GPTQ stored as " + in_quotes(format));
  }
  return result;
}

Result<Quantization> read_awq(const JsonFields& fields) {
  Quantization result{.scheme = Scheme::awq, .name = "AWQ"};
  TIDAR_TRY(result.bits, fields.integer("bits", {1, 8}));
  if (result.bits != 4) return fields.wrong("bits", "4");
  TIDAR_TRY(result.group, read_group(fields));
  TIDAR_TRY(const std::string version, fields.text("version", "gemm"));
  if (version != "gemm" && version != "GEMM") {
    return unsupported(fields, "AWQ of the version " + in_quotes(version));
  }
  return result;
}

Result<Quantization> read_fp8(const JsonFields& fields) {
  Quantization result{.scheme = Scheme::float_quantized, .name = "FP8"};
  TIDAR_TRY(const std::string format, fields.text("fmt", "e4m3"));
  if (format != "e4m3") return fields.wrong("fmt", "'e4m3'");
  TIDAR_TRY(const auto block, fields.integers("weight_block_size", {1, kLargestGroup}));
  if (!block.empty() && block.size() != 2) return fields.wrong("weight_block_size", "two numbers");
  if (!block.empty()) {
    result.block_rows = block[0];
    result.group = block[1];
  }
  return result;
}

/// The numbers of compressed-tensors' "weights".
Result<void> read_weights(const JsonFields& weights, Quantization& result) {
  TIDAR_TRY(result.bits, weights.integer("num_bits", {1, 16}));
  TIDAR_TRY(const std::string type, weights.text("type", "int"));
  TIDAR_TRY(const std::string strategy, weights.text("strategy", "tensor"));
  const bool wants_float = result.scheme == Scheme::float_quantized;
  if (type != (wants_float ? "float" : "int")) {
    return weights.wrong("type", wants_float ? "'float'" : "'int'");
  }
  const bool packed = result.scheme == Scheme::pack_quantized;
  if (result.bits != 8 && !(packed && result.bits == 4)) {
    return weights.wrong("num_bits", packed ? "4 or 8" : "8");
  }
  TIDAR_TRY(const bool symmetric, weights.boolean("symmetric", true));
  if (!symmetric && packed) return unsupported(weights, "a packed weight that is not symmetric");
  if (strategy == "group") {
    TIDAR_TRY(result.group, read_group(weights));
  } else if (strategy == "block") {
    TIDAR_TRY(const auto block, weights.integers("block_structure", {1, kLargestGroup}));
    if (block.size() != 2) return weights.wrong("block_structure", "two numbers");
    result.block_rows = block[0];
    result.group = block[1];
  } else if (strategy == "tensor") {
    result.block_rows = 0;
  } else if (strategy != "channel") {
    return weights.wrong("strategy", "'channel', 'group', 'block' or 'tensor'");
  }
  return {};
}

/// One entry of "config_groups".
Result<Quantization> read_group_of(const JsonFields& groups, const std::string& key,
                                   Quantization result) {
  TIDAR_TRY(const auto group, groups.object(key));
  if (!group) return groups.wrong(key, "an object");
  TIDAR_TRY(const auto weights, group->object("weights"));
  if (!weights) return group->wrong("weights", "an object");
  TIDAR_TRY_VOID(read_weights(*weights, result));
  return result;
}

Result<std::vector<Quantization>> read_compressed(const JsonFields& fields) {
  constexpr std::array<std::pair<std::string_view, Scheme>, 4> formats = {
      {{"int-quantized", Scheme::int_quantized},
       {"pack-quantized", Scheme::pack_quantized},
       {"float-quantized", Scheme::float_quantized},
       {"naive-quantized", Scheme::float_quantized}}};
  TIDAR_TRY(const std::string format, fields.text("format"));
  Quantization scheme;
  for (const auto& [name, known] : formats) {
    if (name == format) scheme.name = name, scheme.scheme = known;
  }
  if (scheme.name.empty()) {
    return unsupported(fields, "compressed-tensors in the format " + in_quotes(format));
  }
  TIDAR_TRY(const auto groups, fields.object("config_groups"));
  if (!groups || groups->keys().empty()) {
    return fields.wrong("config_groups", "an object: which matrices are quantised, and how");
  }
  std::vector<Quantization> all;
  for (const std::string& key : groups->keys()) {
    TIDAR_TRY(const Quantization one, read_group_of(*groups, key, scheme));
    all.push_back(one);
  }
  return all;
}

/// The tensors of one matrix.
class Finder {
 public:
  Finder(const TensorFolder& folder, std::string_view name, std::set<std::string>& used)
      : folder_(folder), stem_(name.substr(0, name.rfind('.') + 1)), used_(used) {}

  const StoredTensor* find(std::string_view end) const {
    const std::string name = stem_ + std::string(end);
    used_.insert(name);
    return folder_.find(name);
  }

  Result<const StoredTensor*> require(std::string_view end) const {
    const StoredTensor* tensor = find(end);
    if (tensor != nullptr) return tensor;
    return error("tensor {} is missing; the config.json's quantization_config asks for it",
                 in_quotes(stem_ + std::string(end)));
  }

  /// The first of them that is there.
  Result<const StoredTensor*> require_one(std::string_view end, std::string_view other) const {
    const StoredTensor* tensor = find(end);
    return tensor != nullptr ? Result<const StoredTensor*>(tensor) : require(other);
  }

 private:
  const TensorFolder& folder_;
  std::string stem_;
  std::set<std::string>& used_;
};

/// g_idx, where it is there, must say what the group size says: input i is of group i / size.
Result<void> refuse_order(const StoredTensor* index, int64_t group) {
  if (index == nullptr) return {};
  const size_t count = index->data.size() / sizeof(int32_t);
  for (size_t i = 0; i < count && index->dtype == DType::i32; ++i) {
    int32_t here = 0;
    std::memcpy(&here, index->data.data() + i * sizeof here, sizeof here);
    if (here == static_cast<int64_t>(i) / group) continue;
    return error(
        "{}: tensor {} gives inputs an order of their own (act-order), which is not "
        "supported; {}",
        index->file, in_quotes(index->name), kSupported);
  }
  return {};
}

Result<void> find_parts(const Finder& finder, const Quantization& quantization,
                        QuantizedMatrix& matrix) {
  matrix.scales.block_cols = quantization.group > 0 ? quantization.group : matrix.cols;
  matrix.scales.block_rows = quantization.block_rows > 0 ? quantization.block_rows : matrix.rows;
  const auto packed = [&](const StoredTensor* words, const CodePacking& packing) {
    return PackedCodes{.words = words, .bits = quantization.bits, .packing = packing};
  };
  for (const std::string_view spare : {"input_scale", "input_zero_point", "output_scale"}) {
    finder.find(spare);
  }
  switch (quantization.scheme) {
    case Scheme::int_quantized:
    case Scheme::float_quantized: {
      TIDAR_TRY(matrix.bytes, finder.require("weight"));
      TIDAR_TRY(matrix.scales.values, finder.require_one("weight_scale", "weight_scale_inv"));
      const bool one = matrix.scales.values->data.size() ==
                       size_of(matrix.scales.values->dtype);  // whatever the config says
      if (one) matrix.scales.block_rows = matrix.rows, matrix.scales.block_cols = matrix.cols;
      if (const StoredTensor* zeros = finder.find("weight_zero_point")) {
        return error(
            "{}: tensor {} makes a weight that is not symmetric, which is not supported; "
            "{}",
            zeros->file, in_quotes(zeros->name), kSupported);
      }
      return {};
    }
    case Scheme::pack_quantized: {
      TIDAR_TRY(const StoredTensor* words, finder.require("weight_packed"));
      TIDAR_TRY(matrix.scales.values, finder.require("weight_scale"));
      finder.find("weight_shape");
      matrix.codes = packed(words, kCompressedCodes);
      matrix.zero = 1 << (quantization.bits - 1);
      return refuse_order(finder.find("weight_g_idx"), matrix.scales.block_cols);
    }
    case Scheme::gptq:
    case Scheme::awq: {
      const bool gptq = quantization.scheme == Scheme::gptq;
      TIDAR_TRY(const StoredTensor* words, finder.require("qweight"));
      TIDAR_TRY(const StoredTensor* zeros, finder.require("qzeros"));
      TIDAR_TRY(matrix.scales.values, finder.require("scales"));
      matrix.scales.transposed = true;
      matrix.codes = packed(words, gptq ? kGptqCodes : kAwq);
      matrix.zeros = packed(zeros, gptq ? kGptqZeros : kAwq);
      matrix.zero = quantization.zero_offset;
      return refuse_order(finder.find("g_idx"), matrix.scales.block_cols);
    }
  }
  return {};
}

}  // namespace

Result<std::vector<Quantization>> read_quantizations(const JsonFields& config) {
  TIDAR_TRY(const auto fields, config.object("quantization_config"));
  if (!fields) return std::vector<Quantization>();
  TIDAR_TRY(const std::string method, fields->text("quant_method"));
  if (method == "compressed-tensors") return read_compressed(*fields);
  const auto read = [&]() -> Result<Quantization> {
    if (method == "gptq") return read_gptq(*fields);
    if (method == "awq") return read_awq(*fields);
    if (method == "fp8") return read_fp8(*fields);
    return unsupported(*fields, "the weights are quantised by " + in_quotes(method));
  };
  TIDAR_TRY(const Quantization quantization, read());
  return std::vector{quantization};
}

Result<FoundMatrix> find_quantized(const TensorFolder& folder,
                                   std::span<const Quantization> quantizations,
                                   std::string_view name, int64_t rows, int64_t cols,
                                   std::set<std::string>& used) {
  TIDAR_CHECK(!quantizations.empty());
  const Finder finder(folder, name, used);
  const auto by = [&](const Quantization& quantization) -> Result<FoundMatrix> {
    FoundMatrix found{.matrix = {}, .scheme = quantization.name};
    found.matrix.rows = rows;
    found.matrix.cols = cols;
    TIDAR_TRY_VOID(find_parts(finder, quantization, found.matrix));
    TIDAR_TRY_VOID(found.matrix.check());
    return found;
  };
  Result<FoundMatrix> found = by(quantizations.front());
  for (const Quantization& other : quantizations.subspan(1)) {
    if (!found.ok()) found = by(other);
  }
  return found;
}

OrderedJson packed_config(std::span<const PackedMatrices> groups,
                          const std::vector<std::string>& plain) {
  OrderedJson config = {{"quant_method", "compressed-tensors"},
                        {"format", "pack-quantized"},
                        {"quantization_status", "compressed"}};
  int number = 0;
  for (const PackedMatrices& group : groups) {
    OrderedJson targets = {"Linear"};
    if (groups.size() > 1) targets = group.names;
    config["config_groups"][fmt::format("group_{}", number++)] = {{"targets", targets},
                                                                  {"weights",
                                                                   {{"num_bits", group.bits},
                                                                    {"type", "int"},
                                                                    {"symmetric", true},
                                                                    {"strategy", "group"},
                                                                    {"group_size", kCodesOfScale},
                                                                    {"dynamic", false}}},
                                                                  {"input_activations", nullptr},
                                                                  {"output_activations", nullptr}};
  }
  config["ignore"] = plain;
  return config;
}

std::array<TensorToWrite, 3> packed_tensors(const std::string& module, int64_t rows, int64_t cols,
                                            int bits) {
  TIDAR_CHECK_EQ(cols % kCodesOfScale, 0);
  return {{{module + ".weight_packed", DType::i32, {rows, cols * bits / 32}, {}},
           {module + ".weight_scale", DType::f16, {rows, cols / kCodesOfScale}, {}},
           {module + ".weight_shape", DType::i64, {2}, {}}}};
}

}  // namespace tidar
