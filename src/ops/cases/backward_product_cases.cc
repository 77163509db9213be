// Backward cases of the products, and of what stands between gate, up and down.

#include <array>

#include "ops/cases/backward_inputs.h"

namespace tidar {
namespace {

struct ProductShape {
  int rows = 1, inputs = 1;
  std::vector<int> parts;
  PackOrder order = PackOrder::stacked;
  WeightFormat weight = WeightFormat::f32;
  Numbers numbers = Numbers::any_float;  // of d_out
};

int outputs_of(const ProductShape& shape) {
  int outputs = 0;
  for (const int part : shape.parts) outputs += part;
  return outputs;
}

// Where rounding to bf16 is part of the contract, what is rounded before the call fits it.
Numbers numbers_for(WeightFormat weight) {
  return weight == WeightFormat::bf16 ? Numbers::fit_bf16 : Numbers::any_float;
}

std::string describe(const char* verb, const ProductShape& shape) {
  return fmt::format("{} R {} N {} ({} parts) K {} {}{}{}", verb, shape.rows, outputs_of(shape),
                     shape.parts.size(), shape.inputs, name_of(shape.weight),
                     shape.order == PackOrder::interleaved ? " interleaved" : "",
                     shape.numbers == Numbers::fit_bf16 ? " exact" : "");
}

// The masters of one weight, on one backend.
struct Masters {
  Masters(BackwardOps& ops, const std::vector<Grid>& values, const ProductShape& shape) {
    for (const Grid& part : values) {
      grids.push_back(Grid::copy(part, DType::f32));
      views.push_back(grids.back());
    }
    weight = ops.make_weight(shape.order, views, shape.weight);
    ops.refresh(*weight);
  }
  std::vector<Grid> grids;
  std::vector<Matrix> views;
  std::unique_ptr<TrainedWeight> weight;
};

class LinearBackward final : public BackwardCase {
 public:
  LinearBackward(ProductShape shape, uint64_t seed)
      : shape_(std::move(shape)),
        rng_(seed),
        x_(normal_grid(rng_, shape_.rows, shape_.inputs, numbers_for(shape_.weight))),
        d_out_(normal_grid(rng_, shape_.rows, outputs_of(shape_), shape_.numbers)),
        bias_before_(normal_grid(rng_, 1, outputs_of(shape_), Numbers::any_float)) {
    for (const int part : shape_.parts) {
      parts_.push_back(normal_grid(rng_, part, shape_.inputs, numbers_for(shape_.weight)));
      before_.push_back(normal_grid(rng_, part, shape_.inputs, Numbers::any_float));
    }
    missing_ = static_cast<Missing>(rng_.below(5));
    unwanted_ = static_cast<size_t>(rng_.below(2));
  }

  std::string name() const override {
    constexpr const char* kMissing[] = {"", " without d_x", " without d_parts", " without d_bias",
                                        " without one of each"};
    return describe("linear", shape_) + kMissing[static_cast<int>(missing_)];
  }

  std::vector<Outcome> run(BackwardOps& ops) const override {
    const DType type = ops.forward().activation();
    const Masters masters(ops, parts_, shape_);
    const Placed x(x_, ops.forward().operand(shape_.weight)), d_out(d_out_, type), d_x(x_, type);
    const Placed d_bias(bias_before_, type);
    std::vector<Placed> gradients;
    for (const Grid& before : before_) gradients.emplace_back(before, type);
    const std::vector<Matrix> d_parts(gradients.begin(), gradients.end());
    LinearGradients wanted;
    if (missing_ != Missing::d_x) wanted.d_x = d_x;
    const int64_t middle = outputs_of(shape_) / 2;
    const std::array d_biases = {Matrix(d_bias).col_range(0, middle),
                                 Matrix(d_bias).col_range(middle, outputs_of(shape_))};
    if (missing_ != Missing::d_bias) wanted.d_biases = d_biases;
    if (missing_ != Missing::d_parts) wanted.d_parts = d_parts;
    auto some_biases = d_biases;
    std::vector<Matrix> some_parts = d_parts;
    if (missing_ == Missing::one_of_each) {
      some_biases[unwanted_].data = nullptr;
      some_parts[unwanted_ % some_parts.size()].data = nullptr;
      wanted.d_biases = some_biases;
      wanted.d_parts = some_parts;
    }
    ops.linear(x, *masters.weight, d_out, wanted);
    std::vector<Outcome> outcomes;
    outcomes.push_back(outcome("d_x", d_x));
    outcomes.push_back(outcome("d_bias", d_bias));
    for (const Matrix& d_part : d_parts) outcomes.push_back(outcome("d_part", d_part));
    return outcomes;
  }

  std::vector<Grid> bounds(const Ops& ops, const std::vector<Outcome>& truth) const override {
    const Roundings eps = roundings_of(ops, shape_.weight);
    // d_out is the one operand that the call has to round.
    const double narrow = shape_.numbers == Numbers::fit_bf16 ? 0 : 0.5 * eps.operands;
    const auto product = [&](int64_t length, double a, double b) {
      return product_tolerance(eps.sums, length, a, b) + narrow * a * b;
    };
    const int64_t rows = shape_.rows, outputs = outputs_of(shape_);
    const auto d_rows = row_norms(d_out_), d_cols = column_norms(d_out_), x_cols = column_norms(x_);
    std::vector<double> weight_cols(static_cast<size_t>(shape_.inputs));
    for (const Grid& part : parts_) {
      const auto norms = column_norms(part);
      for (size_t k = 0; k < norms.size(); ++k) {
        weight_cols[k] = std::hypot(weight_cols[k], norms[k]);
      }
    }
    std::vector<Grid> bounds;
    bounds.push_back(grid_of(truth[0].values, [&](int64_t r, int64_t k) {
      return product(outputs, d_rows[static_cast<size_t>(r)], weight_cols[static_cast<size_t>(k)]);
    }));
    bounds.push_back(grid_of(truth[1].values, [&](int64_t, int64_t n) {
      const double all_ones = std::sqrt(static_cast<double>(rows));
      return product_tolerance(eps.sums, rows, d_cols[static_cast<size_t>(n)], all_ones) +
             eps.sums *
                 (std::abs(element(truth[1].values, 0, n)) + std::abs(element(bias_before_, 0, n)));
    }));
    size_t first = 0;
    for (size_t p = 0; p < parts_.size(); ++p) {
      const Grid& result = truth[2 + p].values;
      bounds.push_back(grid_of(result, [&](int64_t n, int64_t k) {
        return product(rows, d_cols[first + static_cast<size_t>(n)],
                       x_cols[static_cast<size_t>(k)]) +
               eps.sums * (std::abs(element(result, n, k)) + std::abs(element(before_[p], n, k)));
      }));
      first += static_cast<size_t>(parts_[p]->rows);
    }
    return bounds;
  }

 private:
  ProductShape shape_;
  Rng rng_;
  // What nobody asks for; it must stay as it was.
  enum class Missing : uint8_t { nothing, d_x, d_parts, d_bias, one_of_each };

  Grid x_, d_out_, bias_before_;
  std::vector<Grid> parts_, before_;
  Missing missing_ = Missing::nothing;
  size_t unwanted_ = 0;  // of one_of_each
};

class GateUp final : public BackwardCase {
 public:
  GateUp(ProductShape shape, uint64_t seed)
      : shape_(std::move(shape)),
        rng_(seed),
        x_(normal_grid(rng_, shape_.rows, shape_.inputs, numbers_for(shape_.weight))) {
    for (const int part : shape_.parts) {
      parts_.push_back(normal_grid(rng_, part, shape_.inputs, numbers_for(shape_.weight)));
    }
  }
  std::string name() const override { return describe("gate_up", shape_); }
  std::vector<Outcome> run(BackwardOps& ops) const override {
    const Masters masters(ops, parts_, shape_);
    const Placed x(x_, ops.forward().operand(shape_.weight));
    const Placed out(Grid(DType::f64, shape_.rows, outputs_of(shape_)), ops.forward().activation());
    ops.gate_up(x, *masters.weight, out);
    std::vector<Outcome> outcomes;
    outcomes.push_back(outcome("gate_up", out));
    return outcomes;
  }
  std::vector<Grid> bounds(const Ops& ops, const std::vector<Outcome>& truth) const override {
    const auto x_norms = row_norms(x_);
    std::vector<double> w_norms;
    for (const Grid& part : parts_) {
      for (const double norm : row_norms(part)) w_norms.push_back(norm);
    }
    std::vector<Grid> bounds;
    bounds.push_back(grid_of(truth[0].values, [&](int64_t r, int64_t n) {
      return product_tolerance(epsilon_of(ops.activation()), shape_.inputs,
                               x_norms[static_cast<size_t>(r)], w_norms[static_cast<size_t>(n)]);
    }));
    return bounds;
  }

 private:
  ProductShape shape_;
  Rng rng_;
  Grid x_;
  std::vector<Grid> parts_;
};

// The backward half of swiglu(), which writes over its input.
class SwiGlu final : public BackwardCase {
 public:
  SwiGlu(int rows, int width, WeightFormat weight, uint64_t seed)
      : weight_(weight),
        rng_(seed),
        gate_up_(normal_grid(rng_, rows, 2 * width, Numbers::any_float, 3)),
        d_out_(normal_grid(rng_, rows, width, Numbers::any_float)) {}
  std::string name() const override {
    return fmt::format("swiglu R {} N {} for {}", d_out_->rows, d_out_->cols, name_of(weight_));
  }
  std::vector<Outcome> run(BackwardOps& ops) const override {
    const Ops& forward = ops.forward();
    const Placed gate_up(gate_up_, forward.activation()), d_out(d_out_, forward.activation());
    ops.swiglu_backward(gate_up, d_out, gate_up);
    std::vector<Outcome> outcomes;
    outcomes.push_back(outcome("d_gate_up", gate_up));
    return outcomes;
  }
  std::vector<Grid> bounds(const Ops& ops, const std::vector<Outcome>& truth) const override {
    const double eps = epsilon_of(ops.activation());
    const int64_t width = d_out_->cols;
    std::vector<Grid> bounds;
    bounds.push_back(grid_of(truth[0].values, [&](int64_t r, int64_t n) {
      const double gate = element(gate_up_, r, n % width);
      const double d = element(d_out_, r, n % width), sigmoid = 1 / (1 + std::exp(-gate));
      // silu' = sigmoid (1 + gate (1 - sigmoid)), whose two terms may cancel.
      const double slope =
          n < width ? element(gate_up_, r, width + n) * (1 + std::abs(gate)) : gate;
      return 2 * kFunctionEpsilons * eps * std::abs(d * sigmoid * slope);
    }));
    return bounds;
  }

 private:
  WeightFormat weight_;
  Rng rng_;
  Grid gate_up_, d_out_;
};

constexpr int kProductLengths[] = {1, 7, 31, 32, 33, 64, 100, 131, 300};

}  // namespace

void add_product_cases(BackwardCases& cases, int rows, uint64_t seed) {
  Rng rng(seed);
  for (const WeightFormat weight : {WeightFormat::f32, WeightFormat::bf16}) {
    for (const Numbers numbers : {Numbers::fit_bf16, Numbers::any_float}) {
      ProductShape stacked = {rows,   one_of(rng, kProductLengths), {}, PackOrder::stacked, weight,
                              numbers};
      for (int part = rng.below(3); part >= 0; --part) {
        stacked.parts.push_back(one_of(rng, kOutputs));
      }
      cases.push_back(std::make_unique<LinearBackward>(stacked, next_seed(rng)));
      const int width = one_of(rng, kOutputs);
      const ProductShape pairs = {rows,           one_of(rng, kProductLengths),
                                  {width, width}, PackOrder::interleaved,
                                  weight,         numbers};
      cases.push_back(std::make_unique<LinearBackward>(pairs, next_seed(rng)));
      cases.push_back(std::make_unique<GateUp>(pairs, next_seed(rng)));
    }
    cases.push_back(
        std::make_unique<SwiGlu>(rows, one_of(rng, kProductLengths), weight, next_seed(rng)));
  }
  if (rows != 17) return;
  // Wide and long enough for every cut that a product makes.
  for (const WeightFormat weight : {WeightFormat::f32, WeightFormat::bf16}) {
    cases.push_back(std::make_unique<LinearBackward>(
        ProductShape{530, 70, {1500, 1130}, PackOrder::stacked, weight, Numbers::fit_bf16},
        next_seed(rng)));
  }
}

}  // namespace tidar
