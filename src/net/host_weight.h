#pragma once
// Tensors of a model as backends pack them.

#include <optional>

#include "model/weights.h"
#include "ops/ops.h"

namespace tidar {

/// The numbers of a tensor that has data. A vector is a matrix of one row.
HostMatrix host_matrix(const StoredTensor& tensor);

/// One tensor of a model while it is packed in a format: the codes that its file has, where they
/// are of that very format; numbers that are made row by row, where others become codes; or its
/// numbers. Released when this ends; `weights` must outlive it.
class HostWeight {
 public:
  HostWeight(const ModelWeights& weights, WeightRole role, int layer, WeightFormat format);
  ~HostWeight();
  HostWeight(const HostWeight&) = delete;
  HostWeight& operator=(const HostWeight&) = delete;

  const HostMatrix& matrix() const { return matrix_; }

 private:
  class DecodedRows final : public MadeRows {
   public:
    DecodedRows(const ModelWeights& weights, const StoredTensor& tensor)
        : weights_(weights), tensor_(tensor) {}
    void read(int64_t row, std::span<float> out) const override {
      weights_.make_row(tensor_, row, out);
    }

   private:
    const ModelWeights& weights_;
    const StoredTensor& tensor_;
  };

  const ModelWeights& weights_;
  const StoredTensor* tensor_ = nullptr;
  CodeMatrix codes_;
  std::optional<DecodedRows> rows_;
  HostMatrix matrix_;
};

}  // namespace tidar
