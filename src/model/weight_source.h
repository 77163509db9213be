#pragma once
// Where the tensors of a model come from: a Hugging Face folder, a GGUF file, or a seed. For
// ModelWeights, which keeps what is made.

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/result.h"
#include "format/group_codes.h"
#include "format/tensors.h"
#include "model/weights.h"

namespace tidar {

/// The tensors of a model, by their rows in its weight table. Any number of threads may use it,
/// each a tensor of its own.
class WeightSource {
 public:
  virtual ~WeightSource() = default;

  /// The tensor of a row. Where its numbers stand in memory as they are used, a view of them, good
  /// for as long as the source; otherwise `data` is empty, and make() brings them.
  virtual StoredTensor tensor(size_t row) const = 0;
  /// Writes `count` rows of a tensor that has no numbers to show, from row `first` on, in its
  /// dtype. A vector is one row. Where the form is numbers, all rows are asked for at once.
  virtual void make(size_t row, int64_t first, int64_t count, std::byte* out) const = 0;
  /// What the tensor is read from is not needed for now: its pages may leave memory.
  virtual void release(size_t row) const = 0;
  virtual StoredForm form(size_t row) const = 0;
  /// The codes of one row of a matrix whose form says that there are such.
  virtual void read_codes(size_t, int64_t, const GroupCodes&) const { TIDAR_CHECK(false); }
  /// What the file calls the way in which the tensor is stored: "BF16", "Q4_K".
  virtual std::string_view stored_as(size_t row) const = 0;
};

/// What ModelWeights::open(), random() and of_memory() say.
Result<std::unique_ptr<WeightSource>> folder_source(const std::filesystem::path& folder,
                                                    const ModelConfig& config);
Result<std::unique_ptr<WeightSource>> gguf_source(const std::filesystem::path& path,
                                                  const ModelConfig& config);
std::unique_ptr<WeightSource> random_source(const ModelConfig& config, DType dtype, uint64_t seed,
                                            Threads* threads);
std::unique_ptr<WeightSource> memory_source(std::vector<StoredTensor> tensors);

}  // namespace tidar
