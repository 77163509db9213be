#pragma once
// The weights of a model under training: masters and gradients, as plain matrices.

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/matrix.h"
#include "model/adapter.h"
#include "model/config.h"
#include "model/weights.h"

namespace tidar {

/// One tensor of the checkpoint, or of an adapter. Vectors are matrices of one row.
struct Parameter {
  WeightSpec spec;
  Matrix value;     ///< f32, the layout of the checkpoint
  Matrix gradient;  ///< f32, or f64 where activations are f64; without data: frozen

  bool frozen() const { return gradient.data == nullptr; }
  /// Elements that are trained.
  int64_t trained_elements() const { return frozen() ? 0 : value.rows * value.cols; }
};

/// What is trained: the weight table, and behind the weights of each layer the tensors of its
/// adapter, where there is one (adapter_table()).
std::vector<WeightSpec> trained_table(const ModelConfig& config, const AdapterConfig* adapter);

/// All of them, in the order of trained_table(). Owns masters and gradients.
class Parameters {
 public:
  /// Copies the weights, widened to f32, and lets go of their files; tensors of an adapter are 0.
  /// `gradients`: f32 or f64. `frozen`: names of those that stay as they are and have no gradient.
  Parameters(const ModelConfig& config, const ModelWeights& weights, DType gradients,
             std::span<const std::string> frozen = {}, const AdapterConfig* adapter = nullptr);

  std::span<Parameter> all() { return parameters_; }
  std::span<const Parameter> all() const { return parameters_; }

  /// The parameter of a role, which must be in trained_table().
  Parameter& get(WeightRole role, int layer = -1, WeightPart part = WeightPart::whole);
  const Parameter& get(WeightRole role, int layer = -1, WeightPart part = WeightPart::whole) const;

  void zero_gradients();
  int64_t count() const { return count_; }
  /// Bytes of masters and of gradients.
  int64_t bytes() const { return static_cast<int64_t>(values_.bytes() + gradients_.bytes()); }

 private:
  int64_t count_ = 0;
  Buffer values_, gradients_;
  std::vector<Parameter> parameters_;
};

}  // namespace tidar
