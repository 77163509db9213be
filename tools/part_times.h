#pragma once
// Where a step of training spends its time: both halves of the verbs, with an account that is kept
// by verb and, for products, shape.

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "ops/backward.h"
#include "ops/wrap/forward_backward.h"
#include "ops/wrap/forward_ops.h"

namespace tidar {

class PartTimes {
 public:
  /// `seconds`: the clock.
  explicit PartTimes(double (*seconds)()) : seconds_(seconds) {}

  template <class Call>
  void time(const std::string& name, double flops, Call&& call) {
    const double start = seconds_();
    call();
    Part& part = parts_[name];
    part.seconds += seconds_() - start;
    part.flops += flops;
    ++part.calls;
  }
  void clear() { parts_.clear(); }

  /// A line a part, the slowest first: calls and milliseconds of one of `steps` steps, share of
  /// their `total_seconds`, and the rate of products.
  std::string table(int steps, double total_seconds) const {
    std::vector<std::pair<std::string, Part>> sorted(parts_.begin(), parts_.end());
    std::sort(sorted.begin(), sorted.end(),
              [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
    std::string text;
    double told = 0;
    for (const auto& [name, part] : sorted) {
      text += line(name, part, steps, total_seconds);
      told += part.seconds;
    }
    return text + line("between them", {.seconds = total_seconds - told}, steps, total_seconds);
  }

 private:
  struct Part {
    double seconds = 0, flops = 0;
    int calls = 0;
  };
  static std::string line(const std::string& name, const Part& part, int steps, double total) {
    std::string text = fmt::format("{:32} {:4} {:9.2f} ms {:5.1f} %", name, part.calls / steps,
                                   1e3 * part.seconds / steps, 100 * part.seconds / total);
    if (part.flops > 0) text += fmt::format(" {:7.0f} GFLOP/s", part.flops / part.seconds / 1e9);
    return text + "\n";
  }

  double (*seconds_)();
  std::map<std::string, Part> parts_;
};

inline double product_flops(int64_t rows, const PackedWeight& weight) {
  return 2.0 * static_cast<double>(rows) * static_cast<double>(weight.inputs * weight.outputs);
}

inline std::string product_name(const char* verb, const PackedWeight& weight) {
  return fmt::format("{} {} -> {}", verb, weight.inputs, weight.outputs);
}

/// The verbs that training calls. `inner` and `parts` must outlive it.
class TimedForward final : public ForwardOps {
 public:
  TimedForward(Ops& inner, PartTimes& parts) : ForwardOps(inner), parts_(parts) {}

  void embed(const PreparedPass& pass, const PackedWeight& table, Matrix out) override {
    parts_.time("embed", 0, [&] { ForwardOps::embed(pass, table, out); });
  }
  void gather(Matrix x, std::span<const int32_t> rows, Matrix out) override {
    parts_.time("gather", 0, [&] { ForwardOps::gather(x, rows, out); });
  }
  void scatter_add(Matrix x, std::span<const int32_t> rows, double scale, Matrix out) override {
    parts_.time("scatter_add", 0, [&] { ForwardOps::scatter_add(x, rows, scale, out); });
  }
  void swiglu(Matrix gate_up, Matrix out) override {
    parts_.time("swiglu", 0, [&] { ForwardOps::swiglu(gate_up, out); });
  }
  void copy(Matrix from, Matrix to) override {
    parts_.time("copy", 0, [&] { ForwardOps::copy(from, to); });
  }
  void rms_norm(Matrix x, const PackedVector& weight, double eps, int heads, Matrix out) override {
    parts_.time(heads == 1 ? "rms_norm" : "rms_norm of heads", 0,
                [&] { ForwardOps::rms_norm(x, weight, eps, heads, out); });
  }
  void linear(Matrix x, const PackedWeight& weight, const PackedVector* bias, Matrix out) override {
    parts_.time(product_name("linear", weight), product_flops(x.rows, weight),
                [&] { ForwardOps::linear(x, weight, bias, out); });
  }
  void linear_add(Matrix x, const PackedWeight& weight, Matrix out) override {
    parts_.time(product_name("linear_add", weight), product_flops(x.rows, weight),
                [&] { ForwardOps::linear_add(x, weight, out); });
  }
  void rope(Matrix x, int heads, const PreparedPass& pass, const RopeTable& table) override {
    parts_.time("rope", 0, [&] { ForwardOps::rope(x, heads, pass, table); });
  }

 private:
  PartTimes& parts_;
};

/// `inner` and `parts` must outlive it.
class TimedBackward final : public ForwardBackward {
 public:
  TimedBackward(BackwardOps& inner, PartTimes& parts)
      : ForwardBackward(inner), parts_(parts), forward_(inner.forward(), parts) {}

  Ops& forward() override { return forward_; }
  using ForwardBackward::refresh;
  void refresh(TrainedWeight& weight) override {
    parts_.time("refresh", 0, [&] { inner().refresh(weight); });
  }
  void linear(Matrix x, const TrainedWeight& weight, Matrix d_out,
              const LinearGradients& gradients) override {
    parts_.time(product_name("linear backward", weight.forward()),
                2 * product_flops(x.rows, weight.forward()),
                [&] { inner().linear(x, weight, d_out, gradients); });
  }
  void gate_up(Matrix x, const TrainedWeight& weight, Matrix gate_up) override {
    parts_.time(product_name("gate_up", weight.forward()), product_flops(x.rows, weight.forward()),
                [&] { inner().gate_up(x, weight, gate_up); });
  }
  void swiglu_backward(Matrix gate_up, Matrix d_out, Matrix d_gate_up) override {
    parts_.time("swiglu backward", 0, [&] { inner().swiglu_backward(gate_up, d_out, d_gate_up); });
  }
  void rms_norm(const RmsNormCall& call, Matrix d_out, Into into, Matrix d_x,
                Matrix d_weight) override {
    parts_.time(call.heads == 1 ? "rms_norm backward" : "rms_norm of heads backward", 0,
                [&] { inner().rms_norm(call, d_out, into, d_x, d_weight); });
  }
  void rope(Matrix d_x, int heads, const PreparedPass& pass, const RopeTable& table) override {
    parts_.time("rope backward", 0, [&] { inner().rope(d_x, heads, pass, table); });
  }
  void attend(const AttendRows& rows, Matrix out, Matrix log_sums) override {
    parts_.time("attend", 4 * products_of(rows), [&] { inner().attend(rows, out, log_sums); });
  }
  void attend_backward(const AttendRows& rows, Matrix out, Matrix log_sums, Matrix d_out,
                       const AttendGradients& gradients) override {
    parts_.time("attend backward", 8 * products_of(rows),
                [&] { inner().attend_backward(rows, out, log_sums, d_out, gradients); });
  }
  void embed(const PreparedPass& pass, Matrix d_out, Matrix d_table) override {
    parts_.time("embed backward", 0, [&] { inner().embed(pass, d_out, d_table); });
  }
  void cross_entropy(Matrix logits, std::span<const Label> labels,
                     std::span<double> losses) override {
    parts_.time("cross_entropy", 0, [&] { inner().cross_entropy(logits, labels, losses); });
  }

 private:
  // Of q with the keys that its rows see, an element and a key each.
  static double products_of(const AttendRows& rows) {
    return static_cast<double>(rows.pass->keys_seen) * static_cast<double>(rows.q.cols);
  }

  PartTimes& parts_;
  TimedForward forward_;
};

}  // namespace tidar
