#pragma once
// For tests: a trainable network on each backend in turn.

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/network_testing.h"
#include "net/trainable.h"
#include "ops/cpu/cpu_backward.h"
#include "ops/ref/ref_backward.h"
#include "ops/wrap/fenced_ops.h"

namespace tidar {

/// A way to compute forward and backward that every test of the suite runs over.
struct TrainingBackend {
  std::string name;
  DType activation = DType::f32;
  std::optional<Isa> isa{};  ///< none: the reference
  bool fenced = false;       ///< its memory is elsewhere, its verbs come late
};

inline std::ostream& operator<<(std::ostream& out, const TrainingBackend& backend) {
  return out << backend.name;
}

/// The references, and the vector kernels at every instruction set that this processor has.
inline std::vector<TrainingBackend> all_training_backends() {
  std::vector<TrainingBackend> backends = {
      {"ref_f32", DType::f32}, {"ref_f64", DType::f64}, {"fenced_ref_f32", DType::f32, {}, true}};
  for (const Isa isa : usable_isas()) {
    std::string name = "cpu_" + std::string(name_of(isa));
    std::replace(name.begin(), name.end(), '-', '_');
    backends.push_back({name, DType::f32, isa});
  }
  return backends;
}

/// A trainable network and what it stands on.
class TrainableOnBackend {
 public:
  static constexpr int kRows = 700;
  inline static const TrainableOptions kOptions = {.max_rows = kRows, .max_position = 400};
  TrainableOnBackend(const ModelConfig& config, const ModelWeights& weights,
                     const TrainingBackend& backend, WeightFormat compute = WeightFormat::f32,
                     int threads = 2, TrainableOptions options = kOptions)
      : threads_(threads) {
    if (backend.isa) {
      const Precision precision = compute == WeightFormat::bf16 ? Precision::bf16 : Precision::f32;
      const CpuOptions cpu = {.isa = *backend.isa, .precision = precision};
      ops_ = make_cpu_ops(threads_, cpu);
      backward_ = make_cpu_backward(threads_, cpu, *ops_);
    } else {
      ops_ = make_ref_ops(backend.activation);
      backward_ = make_ref_backward(*ops_);
    }
    if (backend.fenced) {
      fenced_ops_ = std::make_unique<FencedOps>(*ops_);
      fenced_backward_ = std::make_unique<FencedBackward>(*backward_, *fenced_ops_);
    }
    options.compute = compute;
    trainable_ = std::move(
        Trainable::build(config, weights, backend.fenced ? *fenced_backward_ : *backward_, options)
            .value());
  }

  Trainable& operator*() { return *trainable_; }
  const Ops& ops() const { return *ops_; }
  Trainable* operator->() { return trainable_.get(); }

 private:
  Threads threads_;
  std::unique_ptr<Ops> ops_;
  std::unique_ptr<BackwardOps> backward_;
  std::unique_ptr<FencedOps> fenced_ops_;
  std::unique_ptr<FencedBackward> fenced_backward_;
  std::unique_ptr<Trainable> trainable_;
};

/// Element i of a gradient, whatever its type.
inline double gradient_at(const Parameter& parameter, int64_t i) {
  const Matrix& gradient = parameter.gradient;
  const int64_t row = i / gradient.cols, col = i % gradient.cols;
  return gradient.dtype == DType::f64 ? gradient.row<double>(row)[col]
                                      : double{gradient.row<float>(row)[col]};
}

}  // namespace tidar
