#include "apps/initial_folder.h"

#include <cstring>
#include <system_error>
#include <vector>

#include "apps/folder_parts.h"
#include "base/half.h"
#include "format/files.h"
#include "format/json.h"
#include "format/tensors.h"
#include "model/weights.h"
#include "net/host_weight.h"
#include "ops/host_matrix.h"

namespace tidar {
namespace {

namespace fs = std::filesystem;

/// The vocabulary with the added token.
int vocabulary_of(const InitialFolderJob& job) {
  const bool added = !job.added.content.empty() && job.added.id == job.config.vocabulary;
  return job.config.vocabulary + (added ? 1 : 0);
}

Result<void> write_config(const InitialFolderJob& job, const ModelWeights& weights,
                          const fs::path& folder) {
  TIDAR_TRY(const std::string before, config_json_of(job.model, job.config));
  TIDAR_TRY(const std::string text, to_json(job.config, before, weights.matrix_dtype()));
  OrderedJson json = OrderedJson::parse(text);
  json["vocab_size"] = vocabulary_of(job);
  return write_text_file(folder / "config.json", json.dump(2) + "\n");
}

Result<void> name_token(const NewToken& token, const fs::path& folder) {
  const fs::path tokenizer = folder / "tokenizer.json", config = folder / "tokenizer_config.json";
  TIDAR_TRY(const std::string text, read_text_file(tokenizer));
  TIDAR_TRY(const std::string named, with_special_token(text, token));
  TIDAR_TRY_VOID(write_text_file(tokenizer, named));
  if (!fs::exists(config)) return {};
  TIDAR_TRY(const std::string before, read_text_file(config));
  TIDAR_TRY(const std::string after, config_with_mask_token(before, token));
  return write_text_file(config, after);
}

/// The bytes of numbers in a type that files hold.
std::vector<std::byte> narrowed(const std::vector<float>& row, DType dtype) {
  std::vector<std::byte> bytes(row.size() * size_of(dtype));
  for (size_t i = 0; i < row.size(); ++i) {
    std::byte* const to = bytes.data() + i * size_of(dtype);
    if (dtype == DType::bf16) {
      const BFloat16 narrow(row[i]);
      std::memcpy(to, &narrow, sizeof(narrow));
    } else if (dtype == DType::f16) {
      const Half narrow = nearest_half(row[i]);
      std::memcpy(to, &narrow, sizeof(narrow));
    } else {
      std::memcpy(to, &row[i], sizeof(float));
    }
  }
  return bytes;
}

std::vector<float> mean_of_rows(const ModelWeights& weights, const WeightSpec& spec) {
  const bool numbers = weights.form(spec.role, spec.layer) == StoredForm::numbers;
  const StoredTensor& tensor =
      numbers ? weights.get(spec.role, spec.layer) : weights.look_at(spec.role, spec.layer);
  const int64_t rows = spec.shape[0];
  std::vector<float> row(static_cast<size_t>(spec.shape[1]));
  std::vector<double> sums(row.size());
  for (int64_t r = 0; r < rows; ++r) {
    numbers ? read_row(host_matrix(tensor), r, row.data()) : weights.make_row(tensor, r, row);
    for (size_t i = 0; i < row.size(); ++i) sums[i] += static_cast<double>(row[i]);
  }
  weights.release(tensor);
  for (size_t i = 0; i < row.size(); ++i) {
    row[i] = static_cast<float>(sums[i] / static_cast<double>(rows));
  }
  return row;
}

bool has_row_of_token(const WeightSpec& spec) {
  return spec.role == WeightRole::embedding || spec.role == WeightRole::head;
}

Result<void> write_weights(const InitialFolderJob& job, const ModelWeights& weights,
                           const fs::path& path) {
  const std::vector<WeightSpec> table = weight_table(job.config);
  const int more = vocabulary_of(job) - job.config.vocabulary;
  std::vector<TensorToWrite> tensors;
  for (const WeightSpec& spec : table) {
    tensors.push_back(as_numbers(weights, spec));
    if (has_row_of_token(spec)) tensors.back().shape[0] += more;
  }
  TIDAR_TRY(TensorFileWriter file, TensorFileWriter::create(path, tensors));
  for (size_t i = 0; i < table.size(); ++i) {
    const WeightSpec& spec = table[i];
    TIDAR_TRY_VOID(write_numbers(weights, spec, file));
    if (more == 0 || !has_row_of_token(spec)) continue;
    const auto bytes = narrowed(mean_of_rows(weights, spec), tensors[i].dtype);
    TIDAR_TRY_VOID(file.write(spec.name, bytes.size() * static_cast<size_t>(spec.shape[0]), bytes));
  }
  return file.commit();
}

}  // namespace

Result<void> write_initial_folder(const InitialFolderJob& job) {
  TIDAR_TRY(const ModelWeights weights, ModelWeights::open(job.model, job.config));
  TIDAR_TRY(FolderWriter writer, FolderWriter::create(job.out));
  const fs::path folder = writer.folder();
  TIDAR_TRY_VOID(write_neighbours(job.model, folder));
  TIDAR_TRY_VOID(write_config(job, weights, folder));
  if (!job.added.content.empty()) TIDAR_TRY_VOID(name_token(job.added, folder));
  TIDAR_TRY_VOID(write_weights(job, weights, folder / "model.safetensors"));
  std::error_code ignored;
  fs::remove_all(job.out, ignored);
  return writer.commit();
}

}  // namespace tidar
