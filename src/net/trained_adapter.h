#pragma once
// An adapter under training: the forward of adapter_weights.h, and its backward.

#include "net/adapter_weights.h"
#include "net/parameters.h"
#include "ops/backward.h"

namespace tidar {

/// The rows of a pass on which the adapter acts, with room for the backward. One for all layers.
class TrainedAdapterRows {
 public:
  TrainedAdapterRows(const ModelConfig& config, BackwardOps& ops, const AdapterConfig& adapter,
                     int max_rows);

  void take(const Pass& pass) { rows_.take(pass); }
  const AdaptedRows& rows() const { return rows_; }
  int64_t bytes() const { return rows_.bytes() + planes_.bytes(); }

  // Activation type, overwritten by each product.
  Matrix scaled;  ///< [r] scale * (x A^T), of the rows that the adapter acts on
  Matrix d_down;  ///< [3 r] of all rows
  Matrix d_x;     ///< [most inputs of a product]

 private:
  AdaptedRows rows_;
  Planes planes_;
};

/// Of one layer.
class TrainedAdapter {
 public:
  /// Makes A and B out of `parameters`. `rows`: nullptr where there is no adapter, and then nothing
  /// is done anywhere; else, as the others, it must outlive this. `format`: of the weights beside.
  TrainedAdapter(const ModelConfig& config, Parameters& parameters, int layer, BackwardOps& ops,
                 WeightFormat format, TrainedAdapterRows* rows);

  /// Takes over the present values of the parameters.
  void refresh();
  int64_t bytes() const;

  BlockAdapter view() const;
  /// `view` must outlive the result.
  AdapterForward forward(const BlockAdapter& view) const;

  /// Adds to the gradients of A and B, and to d_x [R, K] what comes through them. x [R, K]: the
  /// product's operand; d_out [R, N]: the gradient of its result.
  void backward(PackedRole product, Matrix x, Matrix d_out, Matrix d_x) const;

 private:
  using Product = OwnedAdapter<TrainedWeight>::Product;
  Matrix gradient(WeightRole role, WeightPart part) const {
    return parameters_.get(role, layer_, part).gradient;
  }
  void part_backward(const Product& product, size_t part, Matrix down, Matrix d_out) const;

  Parameters& parameters_;
  int layer_;
  BackwardOps& ops_;
  TrainedAdapterRows* rows_;
  OwnedAdapter<TrainedWeight> weights_;
};

}  // namespace tidar
