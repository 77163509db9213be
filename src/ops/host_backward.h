#pragma once
// What the backward halves share of backends whose memory is the host's (host_ops.h): vectors.

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "ops/backward.h"
#include "ops/backward_checks.h"
#include "ops/host_ops.h"

namespace tidar {

/// Verbs complete before they return, so that finish() has nothing to wait for. A vector is its
/// masters' values at the last refresh, one after another, f32 on every backend.
class HostBackward : public BackwardOps {
 public:
  void finish() override {}
  using BackwardOps::refresh;
  std::unique_ptr<TrainedVector> make_vector(std::span<const Matrix> masters) override {
    check_vector_masters(masters);
    auto vector = std::make_unique<Vector>();
    vector->masters.assign(masters.begin(), masters.end());
    for (const Matrix& master : masters) vector->packed.size += master.cols;
    vector->packed.values.resize(static_cast<size_t>(vector->packed.size));
    vector->packed.bytes = vector->packed.size * static_cast<int64_t>(sizeof(float));
    return vector;
  }

  void refresh(TrainedVector& vector) override {
    auto& own = static_cast<Vector&>(vector);
    float* to = own.packed.values.data();
    for (const Matrix& master : own.masters) {
      to = std::copy_n(master.row<float>(0), master.cols, to);
    }
  }

 private:
  struct Vector final : TrainedVector {
    const PackedVector& forward() const override { return packed; }
    HostVector packed;
    std::vector<Matrix> masters;
  };
};

}  // namespace tidar
