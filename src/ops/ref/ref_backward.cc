#include "ops/ref/ref_backward.h"

#include "base/check.h"
#include "ops/backward_checks.h"
#include "ops/checks.h"
#include "ops/host_backward.h"
#include "ops/ref/backward_verbs.h"

namespace tidar {

namespace {

template <class T>
class RefBackward final : public HostBackward {
  using Trained = ref::Trained<T>;

 public:
  using HostBackward::refresh;
  explicit RefBackward(Ops& forward) : forward_(forward) {}

  Ops& forward() override { return forward_; }

  std::unique_ptr<TrainedWeight> make_weight(PackOrder order, std::span<const Matrix> masters,
                                             WeightFormat format) override {
    check_masters(forward_, order, masters, format);
    auto weight = std::make_unique<Trained>();
    weight->order = order;
    weight->masters.assign(masters.begin(), masters.end());
    for (const Matrix& master : masters) weight->packed.outputs += master.rows;
    weight->packed.inputs = masters[0].cols;
    weight->packed.format = format;
    weight->packed.bytes =
        weight->packed.outputs * weight->packed.inputs * static_cast<int64_t>(sizeof(T));
    weight->packed.elements = Buffer(static_cast<size_t>(weight->packed.bytes));
    return weight;
  }

  void refresh(TrainedWeight& weight) override {
    auto& mine = dynamic_cast<Trained&>(weight);
    std::vector<HostMatrix> parts;
    for (const Matrix& master : mine.masters) {
      parts.push_back({master.data, master.dtype, master.rows, master.cols});
    }
    mine.packed = std::move(*ref::pack<T>(mine.order, parts, mine.packed.format));
  }

  void linear(Matrix x, const TrainedWeight& weight, Matrix d_out,
              const LinearGradients& gradients) override {
    check_linear_backward(forward_, x, weight, own(weight).masters, d_out, gradients);
    ref::linear_backward<T>(x, own(weight), d_out, gradients);
  }

  void gate_up(Matrix x, const TrainedWeight& weight, Matrix gate_up) override {
    check_gate_up(forward_, x, weight, gate_up);
    ref::gate_up<T>(x, own(weight), gate_up);
  }

  void swiglu_backward(Matrix gate_up, Matrix d_out, Matrix d_gate_up) override {
    check_swiglu_backward(forward_, gate_up, d_out, d_gate_up);
    ref::swiglu_backward<T>(gate_up, d_out, d_gate_up);
  }

  void rms_norm(const RmsNormCall& call, Matrix d_out, Into into, Matrix d_x,
                Matrix d_weight) override {
    check_rms_norm_backward(forward_, call, d_out, into, d_x, d_weight);
    ref::rms_norm_backward<T>(call, d_out, into, d_x, d_weight);
  }

  void rope(Matrix d_x, int heads, const PreparedPass& pass, const RopeTable& table) override {
    check_rope(forward_, d_x, heads, host(pass).positions, table);
    ref::rotate<T>(d_x, heads, host(pass).positions, host(table), -1);
  }

  void attend(const AttendRows& rows, Matrix out, Matrix log_sums) override {
    check_attend_rows(forward_, rows, out, log_sums);
    ref::attend_rows<T>(rows, out, log_sums);
  }

  void attend_backward(const AttendRows& rows, Matrix out, Matrix log_sums, Matrix d_out,
                       const AttendGradients& gradients) override {
    check_attend_backward(forward_, rows, out, log_sums, d_out, gradients);
    ref::attend_rows_backward<T>(rows, out, log_sums, d_out, gradients);
  }

  void embed(const PreparedPass& pass, Matrix d_out, Matrix d_table) override {
    check_embed_backward(forward_, host(pass).tokens, d_out, d_table);
    ref::scatter_add<T>(d_out, host(pass).tokens, 1, d_table);
  }

  void cross_entropy(Matrix logits, std::span<const Label> labels,
                     std::span<double> losses) override {
    check_cross_entropy(forward_, logits, labels, losses);
    // Rows with a target first: the gradients of others take the place of what these look at.
    for (size_t i = 0; i < labels.size(); ++i) {
      const int32_t target = labels[i].target.row;
      if (target < 0) continue;
      losses[i] = ref::soft_cross_entropy(logits.row<T>(static_cast<int64_t>(i)),
                                          logits.row<T>(target), logits.cols, labels[i]);
    }
    for (size_t i = 0; i < labels.size(); ++i) {
      if (labels[i].target.row >= 0) continue;
      losses[i] =
          ref::cross_entropy(logits.row<T>(static_cast<int64_t>(i)), logits.cols, labels[i]);
    }
  }

 private:
  static const Trained& own(const TrainedWeight& weight) {
    return dynamic_cast<const Trained&>(weight);
  }

  Ops& forward_;
};

}  // namespace

std::unique_ptr<BackwardOps> make_ref_backward(Ops& forward) {
  if (forward.activation() == DType::f64) return std::make_unique<RefBackward<double>>(forward);
  return std::make_unique<RefBackward<float>>(forward);
}

}  // namespace tidar
