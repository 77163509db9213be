#pragma once
// Backward halves that pass every call on to others: the base of wrappers that change a few.

#include "ops/backward.h"

namespace tidar {

/// `inner` must outlive it. Weights and vectors are the inner one's.
class ForwardBackward : public BackwardOps {
 public:
  explicit ForwardBackward(BackwardOps& inner) : inner_(inner) {}

  Ops& forward() override { return inner_.forward(); }
  void finish() override { inner_.finish(); }
  std::unique_ptr<TrainedWeight> make_weight(PackOrder order, std::span<const Matrix> masters,
                                             WeightFormat format) override {
    return inner_.make_weight(order, masters, format);
  }
  std::unique_ptr<TrainedVector> make_vector(std::span<const Matrix> masters) override {
    return inner_.make_vector(masters);
  }
  void refresh(TrainedWeight& weight) override { inner_.refresh(weight); }
  void refresh(TrainedVector& vector) override { inner_.refresh(vector); }
  void linear(Matrix x, const TrainedWeight& weight, Matrix d_out,
              const LinearGradients& gradients) override {
    inner_.linear(x, weight, d_out, gradients);
  }
  void gate_up(Matrix x, const TrainedWeight& weight, Matrix gate_up) override {
    inner_.gate_up(x, weight, gate_up);
  }
  void swiglu_backward(Matrix gate_up, Matrix d_out, Matrix d_gate_up) override {
    inner_.swiglu_backward(gate_up, d_out, d_gate_up);
  }
  void rms_norm(const RmsNormCall& call, Matrix d_out, Into into, Matrix d_x,
                Matrix d_weight) override {
    inner_.rms_norm(call, d_out, into, d_x, d_weight);
  }
  void rope(Matrix d_x, int heads, const PreparedPass& pass, const RopeTable& table) override {
    inner_.rope(d_x, heads, pass, table);
  }
  void attend(const AttendRows& rows, Matrix out, Matrix log_sums) override {
    inner_.attend(rows, out, log_sums);
  }
  void attend_backward(const AttendRows& rows, Matrix out, Matrix log_sums, Matrix d_out,
                       const AttendGradients& gradients) override {
    inner_.attend_backward(rows, out, log_sums, d_out, gradients);
  }
  void embed(const PreparedPass& pass, Matrix d_out, Matrix d_table) override {
    inner_.embed(pass, d_out, d_table);
  }
  void cross_entropy(Matrix logits, std::span<const Label> labels,
                     std::span<double> losses) override {
    inner_.cross_entropy(logits, labels, losses);
  }

 protected:
  BackwardOps& inner() const { return inner_; }

 private:
  BackwardOps& inner_;
};

}  // namespace tidar
