#include "apps/quantized_folder.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/buffer.h"
#include "format/files.h"
#include "format/group_codes.h"
#include "format/tensors.h"
#include "model/quantization.h"
#include "net/host_weight.h"
#include "ops/group_codes.h"

namespace tidar {
namespace {

namespace fs = std::filesystem;

// Files and kernels count alike.
static_assert(kCodesOfScale == kGroup);

/// "model.layers.0.mlp.up_proj"
std::string module_of(const WeightSpec& spec) { return spec.name.substr(0, spec.name.rfind('.')); }

// --- config.json ---------------------------------------------------------------------------------

OrderedJson quantization_config(const std::vector<TensorPlan>& plan) {
  std::vector<PackedMatrices> groups;
  std::vector<std::string> plain;
  for (const TensorPlan& tensor : plan) {
    const auto role = packed_role(tensor.spec.role);
    if (!role || *role == PackedRole::embedding) continue;  // no linear layer
    const std::string module = module_of(tensor.spec);
    if (!tensor.as_codes) {
      plain.push_back(module);
      continue;
    }
    const int bits = facts_of(tensor.format).element_bits;
    const auto found = std::find_if(groups.begin(), groups.end(), [&](const PackedMatrices& group) {
      return group.bits == bits;
    });
    PackedMatrices& group =
        found != groups.end() ? *found : groups.emplace_back(PackedMatrices{bits, {}});
    group.names.push_back(module);
  }
  return packed_config(groups, plain);
}

Result<void> write_config(const QuantizedFolderJob& job, const std::vector<TensorPlan>& plan,
                          const fs::path& folder) {
  TIDAR_TRY(const std::string text, config_json_of(job.model, job.config));
  OrderedJson config = OrderedJson::parse(text);  // it was read before: it is an object
  config["quantization_config"] = quantization_config(plan);
  return write_text_file(folder / "config.json", config.dump(2) + "\n");
}

// --- What stands beside --------------------------------------------------------------------------

/// The adapter that config.json names stays beside the weights, as it is.
Result<void> copy_adapter(const fs::path& model, const std::string& name, const fs::path& folder,
                          Neighbours& written) {
  if (name.empty()) return {};
  fs::create_directory(folder / name);
  for (const auto& entry : fs::directory_iterator(model / name)) {
    if (!entry.is_regular_file()) continue;
    TIDAR_TRY_VOID(write_copy(entry.path(), folder / name / entry.path().filename()));
  }
  std::erase(written.left_out, name + "/");
  written.copied.push_back(name + "/");
  return {};
}

// --- Weights -------------------------------------------------------------------------------------

std::vector<TensorToWrite> tensors_of(const ModelWeights& weights,
                                      const std::vector<TensorPlan>& plan) {
  std::vector<TensorToWrite> tensors;
  for (const auto& [spec, format, as_codes] : plan) {
    if (as_codes) {
      const auto parts = packed_tensors(module_of(spec), spec.shape[0], spec.shape[1],
                                        facts_of(format).element_bits);
      tensors.insert(tensors.end(), parts.begin(), parts.end());
    } else {
      tensors.push_back(as_numbers(weights, spec));
    }
  }
  return tensors;
}

/// The codes of a row behind each other: 8 bits each, or 4, the earlier one in the lower half.
void put_codes(const HostMatrix& matrix, WeightFormat format, int64_t row, std::byte* codes,
               std::byte* scales) {
  const WeightRow groups(format, matrix, row);
  const bool halves = facts_of(format).element_bits == 4;
  for (int64_t g = 0; g < groups_of(matrix.cols); ++g) {
    const WeightGroup group = groups.group(g);
    for (size_t i = 0; i < kGroup; i += halves ? 2 : 1) {
      const int byte = halves ? group.codes[i] | group.codes[i + 1] << 4 : group.codes[i];
      *codes++ = static_cast<std::byte>(byte);
    }
    std::memcpy(scales + g * static_cast<int64_t>(sizeof(Half)), &group.scale, sizeof(Half));
  }
}

Result<void> write_codes(const QuantizedFolderJob& job, const TensorPlan& tensor,
                         TensorFileWriter& file) {
  const WeightSpec& spec = tensor.spec;
  const WeightFormatFacts& facts = facts_of(tensor.format);
  const HostWeight weight(job.weights, spec.role, spec.layer, tensor.format);
  const HostMatrix& matrix = weight.matrix();
  const Buffer codes(static_cast<size_t>(facts.element_bytes(matrix.rows, matrix.cols)));
  const Buffer scales(static_cast<size_t>(facts.scale_bytes(matrix.rows, matrix.cols)));
  job.threads.split(matrix.rows, 1, [&](Range range, int) {
    for (int64_t row = range.begin; row < range.end; ++row) {
      put_codes(matrix, tensor.format, row,
                codes.data() + row * facts.element_bytes(1, matrix.cols),
                scales.data() + row * facts.scale_bytes(1, matrix.cols));
    }
  });
  const auto parts = packed_tensors(module_of(spec), matrix.rows, matrix.cols, facts.element_bits);
  const std::array<int64_t, 2> shape = {matrix.rows, matrix.cols};
  TIDAR_TRY_VOID(file.write(parts[0].name, 0, {codes.data(), codes.bytes()}));
  TIDAR_TRY_VOID(file.write(parts[1].name, 0, {scales.data(), scales.bytes()}));
  return file.write(parts[2].name, 0, std::as_bytes(std::span(shape)));
}

}  // namespace

std::vector<TensorPlan> plan_quantized(const ModelConfig& config, const WeightFormats& formats) {
  std::vector<TensorPlan> plan;
  for (WeightSpec& spec : weight_table(config)) {
    TensorPlan tensor;
    if (const auto role = packed_role(spec.role)) {
      tensor.format = formats.of({*role, spec.layer});
      tensor.as_codes = *role != PackedRole::embedding && *role != PackedRole::head &&
                        facts_of(tensor.format).group > 0 && spec.shape[1] % kGroup == 0;
    }
    tensor.spec = std::move(spec);
    plan.push_back(std::move(tensor));
  }
  return plan;
}

Result<WrittenFolder> write_quantized_folder(const QuantizedFolderJob& job,
                                             const std::vector<TensorPlan>& plan) {
  WrittenFolder written;
  TIDAR_TRY(FolderWriter writer, FolderWriter::create(job.out));
  const fs::path folder = writer.folder();
  TIDAR_TRY_VOID(write_config(job, plan, folder));
  TIDAR_TRY(written.beside, write_neighbours(job.model, folder));
  TIDAR_TRY_VOID(copy_adapter(job.model, job.config.adapter, folder, written.beside));
  const std::vector<TensorToWrite> tensors = tensors_of(job.weights, plan);
  TIDAR_TRY(TensorFileWriter file, TensorFileWriter::create(folder / "model.safetensors", tensors));
  for (size_t i = 0; i < plan.size(); ++i) {
    if (!job.proceed(i, plan.size(), plan[i].spec.name)) return written;
    TIDAR_TRY_VOID(plan[i].as_codes ? write_codes(job, plan[i], file)
                                    : write_numbers(job.weights, plan[i].spec, file));
  }
  TIDAR_TRY_VOID(file.commit());
  written.weight_bytes = static_cast<int64_t>(fs::file_size(folder / "model.safetensors"));
  TIDAR_TRY_VOID(writer.commit());
  written.finished = true;
  return written;
}

}  // namespace tidar
