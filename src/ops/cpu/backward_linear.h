#pragma once
// Weights under training, and the gradients of products, on packed kernels.
//
// With d_out in the role of x, d_x = d_out W is one more product with a packed weight, W by
// columns; and so is d_W = d_out^T x, with x packed as the weight and the columns of d_out as rows.
// The outputs of a wide weight are taken a slab at a time, so that its part of d_out, in both
// layouts, stays in the cache.

#include <memory>
#include <span>
#include <vector>

#include "ops/backward.h"
#include "ops/cpu/backward_kernels.h"
#include "ops/cpu/products.h"
#include "ops/cpu/scratch.h"
#include "ops/cpu/stores.h"

namespace tidar::cpu {

/// The weight in both layouts: as forward products read it, and by columns for d_x. Rounded from
/// the masters, which are their owner's, by refresh().
class TrainedPanels final : public TrainedWeight {
 public:
  /// `format`: a plain one.
  TrainedPanels(PackOrder order, std::span<const Matrix> masters, WeightFormat format);

  const PackedWeight& forward() const override { return forward_; }
  int64_t bytes() const override {
    return forward_.bytes + static_cast<int64_t>(backward_.bytes());
  }
  const PanelWeight& panels() const { return forward_; }
  std::span<const Matrix> masters() const { return masters_; }

  /// Slabs of outputs, and a slab's panels: of 16 inputs each, [outputs of the slab] deep.
  int64_t slabs() const;
  Range slab(int64_t i) const;
  const std::byte* slab_panels(int64_t i) const { return backward_.data() + slab_offset(i); }
  int64_t slab_panel_bytes(int64_t i) const;

  /// Fills both layouts from the masters as they are now.
  void refresh(Threads& threads, const BackwardKernels& kernels);

 private:
  int64_t slab_offset(int64_t i) const;  // bytes
  DType dtype() const { return facts_of(forward_.format).plain.value(); }

  PackOrder order_;
  std::vector<Matrix> masters_;
  std::vector<HostMatrix> parts_;
  std::vector<const void*> rows_;  // of all masters
  PanelWeight forward_;
  Buffer backward_;
};

/// BackwardOps::linear and gate_up. Owns its scratch, which grows with the largest call. Not
/// thread-safe; uses all threads.
class LinearBackward {
 public:
  LinearBackward(Threads& threads, const CpuOptions& options);

  /// Arguments are checked.
  void run(Matrix x, const TrainedPanels& weight, Matrix d_out, const LinearGradients& gradients);
  void gate_up(Matrix x, const TrainedPanels& weight, Matrix gate_up);
  int64_t scratch_bytes() const;

 private:
  struct Slab;
  void pack_x(Matrix x);
  void lay_out(const Slab& slab, Matrix d_out);
  void multiply(const Slab& slab, const TrainedPanels& weight, const LinearGradients& gradients);
  void multiply_panels(LinearCall call, const Product& product, int thread);
  void add_bias(Matrix d_out, Matrix d_bias);

  Threads& threads_;
  const Products products_;
  const BackwardKernels& backward_;
  // x as a weight, 16 of its columns a panel; a slab of d_out as operands, by rows and by columns.
  Scratch x_panels_, d_rows_, d_columns_;
  std::vector<Scratch> partial_;
};

}  // namespace tidar::cpu
