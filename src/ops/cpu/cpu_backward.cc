#include "ops/cpu/cpu_backward.h"

#include <algorithm>

#include "ops/backward_checks.h"
#include "ops/checks.h"
#include "ops/cpu/backward_attend.h"
#include "ops/cpu/backward_linear.h"
#include "ops/cpu/grain.h"

namespace tidar {

namespace {

using cpu::BackwardKernels;
using cpu::row_grain;
using cpu::TrainedPanels;

// Rows whose gradients of a norm's weight are summed up together; the sums follow in order.
constexpr int64_t kNormRows = 32;

class VectorBackward final : public CpuBackward {
 public:
  VectorBackward(Threads& threads, const CpuOptions& options, Ops& forward)
      : threads_(threads),
        kernels_(cpu::backward_kernels_for(options.isa)),
        forward_(forward),
        linear_(threads, options),
        attend_(threads, kernels_, forward.operand(WeightFormat::bf16)) {}

  Ops& forward() override { return forward_; }

  int64_t scratch_bytes() const override {
    return linear_.scratch_bytes() + attend_.scratch_bytes() + norm_sums_.bytes();
  }

  std::unique_ptr<TrainedWeight> make_weight(PackOrder order, std::span<const Matrix> masters,
                                             WeightFormat format) override {
    check_masters(forward_, order, masters, format);
    return std::make_unique<TrainedPanels>(order, masters, format);
  }

  using HostBackward::refresh;
  void refresh(TrainedWeight& weight) override {
    dynamic_cast<TrainedPanels&>(weight).refresh(threads_, kernels_);
  }

  void linear(Matrix x, const TrainedWeight& weight, Matrix d_out,
              const LinearGradients& gradients) override {
    check_linear_backward(forward_, x, weight, own(weight).masters(), d_out, gradients);
    linear_.run(x, own(weight), d_out, gradients);
  }

  void gate_up(Matrix x, const TrainedWeight& weight, Matrix gate_up) override {
    check_gate_up(forward_, x, weight, gate_up);
    linear_.gate_up(x, own(weight), gate_up);
  }

  void swiglu_backward(Matrix gate_up, Matrix d_out, Matrix d_gate_up) override {
    check_swiglu_backward(forward_, gate_up, d_out, d_gate_up);
    threads_.split(d_out.rows, row_grain(d_out.cols), [&](Range rows, int) {
      for (int64_t r = rows.begin; r < rows.end; ++r) {
        const float* const gate = gate_up.row<float>(r);
        float* const d_gate = d_gate_up.row<float>(r);
        kernels_.swiglu_backward({gate, gate + d_out.cols}, d_out.row<float>(r), d_out.cols,
                                 {d_gate, d_gate + d_out.cols});
      }
    });
  }

  void rms_norm(const RmsNormCall& call, Matrix d_out, Into into, Matrix d_x,
                Matrix d_weight) override;

  void rope(Matrix d_x, int heads, const PreparedPass& pass, const RopeTable& table) override {
    const std::vector<int32_t>& positions = host(pass).positions;
    check_rope(forward_, d_x, heads, positions, table);
    const HostRope& angles = host(table);
    const int64_t half = table.half;
    threads_.split(d_x.rows, row_grain(d_x.cols), [&](Range rows, int) {
      for (int64_t r = rows.begin; r < rows.end; ++r) {
        const int64_t angle = positions[static_cast<size_t>(r)] * half;
        for (int64_t h = 0; h < heads; ++h) {
          kernels_.rope(d_x.row<float>(r) + h * 2 * half, angles.cosines.data() + angle,
                        angles.sines.data() + angle, half);
        }
      }
    });
  }

  void attend(const AttendRows& rows, Matrix out, Matrix log_sums) override {
    check_attend_rows(forward_, rows, out, log_sums);
    attend_.forward(rows, out, log_sums);
  }

  void attend_backward(const AttendRows& rows, Matrix out, Matrix log_sums, Matrix d_out,
                       const AttendGradients& gradients) override {
    check_attend_backward(forward_, rows, out, log_sums, d_out, gradients);
    attend_.backward(rows, out, log_sums, d_out, gradients);
  }

  // Threads share columns, since many rows may go to one place (those of the mask token do).
  void embed(const PreparedPass& pass, Matrix d_out, Matrix d_table) override {
    const std::span<const int32_t> tokens = host(pass).tokens;
    check_embed_backward(forward_, tokens, d_out, d_table);
    threads_.split(d_out.cols, row_grain(d_out.rows), [&](Range columns, int) {
      for (int64_t i = 0; i < d_out.rows; ++i) {
        kernels_.add(d_out.row<float>(i) + columns.begin, columns.size(),
                     d_table.row<float>(tokens[static_cast<size_t>(i)]) + columns.begin);
      }
    });
  }

  void cross_entropy(Matrix logits, std::span<const Label> labels,
                     std::span<double> losses) override {
    check_cross_entropy(forward_, logits, labels, losses);
    const auto has_target = [](const Label& label) { return label.target.row >= 0; };
    const auto split = [&](auto&& body) {
      threads_.split(std::ssize(labels), row_grain(logits.cols), [&](Range rows, int) {
        for (int64_t r = rows.begin; r < rows.end; ++r) body(r, labels[static_cast<size_t>(r)]);
      });
    };
    // Rows with a target first: the gradients of others take the place of what these look at.
    if (std::any_of(labels.begin(), labels.end(), has_target)) {
      split([&](int64_t r, const Label& label) {
        if (!has_target(label)) return;
        losses[static_cast<size_t>(r)] = kernels_.soft_cross_entropy(
            logits.row<float>(r), logits.row<float>(label.target.row), logits.cols, label);
      });
    }
    split([&](int64_t r, const Label& label) {
      if (has_target(label)) return;
      losses[static_cast<size_t>(r)] =
          kernels_.cross_entropy(logits.row<float>(r), logits.cols, label.token, label.weight);
    });
  }

 private:
  static const TrainedPanels& own(const TrainedWeight& weight) {
    return dynamic_cast<const TrainedPanels&>(weight);
  }

  Threads& threads_;
  const BackwardKernels& kernels_;
  Ops& forward_;
  cpu::LinearBackward linear_;
  cpu::AttendBackward attend_;
  cpu::Scratch norm_sums_;
};

void VectorBackward::rms_norm(const RmsNormCall& call, Matrix d_out, Into into, Matrix d_x,
                              Matrix d_weight) {
  check_rms_norm_backward(forward_, call, d_out, into, d_x, d_weight);
  const std::span<const float> weight = values_of(*call.weight);
  const auto size = static_cast<int64_t>(weight.size());
  const int64_t rows = call.x.rows, chunks = (rows + kNormRows - 1) / kNormRows;
  const bool wanted = d_weight.data != nullptr;
  auto* const sums = reinterpret_cast<float*>(norm_sums_.at_least(chunks * size * 4));
  if (wanted) std::fill_n(sums, chunks * size, 0.0f);
  const int64_t grain = std::max<int64_t>(1, row_grain(call.x.cols) / kNormRows);
  threads_.split(chunks, grain, [&](Range range, int) {
    const int64_t end = std::min(range.end * kNormRows, rows);
    for (int64_t r = range.begin * kNormRows; r < end; ++r) {
      cpu::RmsNormVector vector;
      vector.weight = weight.data();
      vector.d_weight = wanted ? sums + r / kNormRows * size : nullptr;
      vector.size = size;
      vector.eps = call.eps;
      vector.adds = into == Into::add;
      for (int64_t first = 0; first < call.x.cols; first += size) {
        vector.x = call.x.row<float>(r) + first;
        vector.d_out = d_out.row<float>(r) + first;
        vector.d_x = d_x.row<float>(r) + first;
        kernels_.rms_norm(vector);
      }
    }
  });
  if (!wanted) return;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    kernels_.add(sums + chunk * size, size, d_weight.row<float>(0));
  }
}

}  // namespace

std::unique_ptr<CpuBackward> make_cpu_backward(Threads& threads, const CpuOptions& options,
                                               Ops& forward) {
  return std::make_unique<VectorBackward>(threads, options, forward);
}

}  // namespace tidar
