// Backward cases of the verbs that change rows one by one, and of the loss.

#include "ops/cases/backward_inputs.h"

namespace tidar {
namespace {

class RmsNormBackward final : public BackwardCase {
 public:
  RmsNormBackward(int rows, int heads, int size, Into into, uint64_t seed)
      : rng_(seed),
        heads_(heads),
        size_(size),
        into_(into),
        x_(normal_grid(rng_, rows, int64_t{heads} * size, Numbers::any_float)),
        d_out_(normal_grid(rng_, rows, int64_t{heads} * size, Numbers::any_float)),
        before_(normal_grid(rng_, rows, int64_t{heads} * size, Numbers::any_float)),
        weight_before_(normal_grid(rng_, 1, size, Numbers::any_float)),
        weight_(normal_floats(rng_, size, 1, 0.3f)),
        wants_weight_(rng_.below(4) != 0) {}

  std::string name() const override {
    return fmt::format("rms_norm R {} heads {} of {}{}", x_->rows, heads_, size_,
                       into_ == Into::add ? " added" : "");
  }

  std::vector<Outcome> run(BackwardOps& ops) const override {
    const DType type = ops.forward().activation();
    const Placed x(x_, type), d_out(d_out_, type), sum(before_, type),
        d_weight(weight_before_, type);
    // What is overwritten is the gradient itself.
    const Matrix d_x = into_ == Into::add ? sum : d_out;
    const auto weight = pack_floats(ops.forward(), weight_);
    ops.rms_norm({x, weight.get(), kEps, heads_}, d_out, into_, d_x,
                 wants_weight_ ? Matrix(d_weight) : Matrix());
    std::vector<Outcome> outcomes;
    outcomes.push_back(outcome("d_x", d_x));
    outcomes.push_back(outcome("d_weight", d_weight));
    return outcomes;
  }

  std::vector<Grid> bounds(const Ops& ops, const std::vector<Outcome>& truth) const override {
    const double eps = epsilon_of(ops.activation()), size = size_;
    const double relative = eps * (std::sqrt(size) + 2 * kFunctionEpsilons);
    Grid d_x(DType::f64, x_->rows, x_->cols), d_weight(DType::f64, 1, size_);
    std::vector<double> sums(weight_.size());
    for (int64_t r = 0; r < x_->rows; ++r) {
      for (int64_t first = 0; first < x_->cols; first += size_) {
        const double x_norm = norm_of(x_, r, first, first + size_);
        const double scale = 1 / std::sqrt(x_norm * x_norm / size + kEps);
        double squares = 0;
        for (int64_t i = 0; i < size_; ++i) squares += std::pow(weighted(r, first, i), 2);
        const double along = std::sqrt(squares) * x_norm * scale * scale / size;
        for (int64_t i = 0; i < size_; ++i) {
          const double x = element(x_, r, first + i);
          const double terms = std::abs(weighted(r, first, i)) + std::abs(x) * along;
          const double before = into_ == Into::add ? element(before_, r, first + i) : 0;
          set_element(
              d_x, r, first + i,
              relative * scale * terms +
                  eps * (std::abs(before) + std::abs(element(truth[0].values, r, first + i))));
          sums[static_cast<size_t>(i)] += std::abs(element(d_out_, r, first + i) * x * scale);
        }
      }
    }
    const double terms = std::sqrt(static_cast<double>(x_->rows * heads_));
    for (int64_t i = 0; i < size_; ++i) {
      const double sum = sums[static_cast<size_t>(i)] + std::abs(element(weight_before_, 0, i));
      set_element(d_weight, 0, i, (relative + eps * terms) * sum);
    }
    std::vector<Grid> bounds;
    bounds.push_back(std::move(d_x));
    bounds.push_back(std::move(d_weight));
    return bounds;
  }

 private:
  static constexpr double kEps = 1e-3;
  double weighted(int64_t r, int64_t first, int64_t i) const {
    return element(d_out_, r, first + i) * weight_[static_cast<size_t>(i)];
  }
  Rng rng_;
  int heads_, size_;
  Into into_;
  Grid x_, d_out_, before_, weight_before_;
  std::vector<float> weight_;
  bool wants_weight_;  // else its gradient must stay as it was
};

class RopeBackward final : public BackwardCase {
 public:
  RopeBackward(int rows, int heads, int size, uint64_t seed)
      : rng_(seed),
        heads_(heads),
        half_(size / 2),
        d_out_(normal_grid(rng_, rows, int64_t{heads} * size, Numbers::any_float)) {
    for (int r = 0; r < rows; ++r) positions_.push_back(rng_.below(kPositions));
  }
  std::string name() const override {
    return fmt::format("rope R {} H {} E {}", d_out_->rows, heads_, 2 * half_);
  }
  std::vector<Outcome> run(BackwardOps& ops) const override {
    const Placed d_x(d_out_, ops.forward().activation());
    const auto table =
        ops.forward().make_rope(rope_frequencies(2 * static_cast<int>(half_)), 1, kPositions);
    const auto pass = prepare_rows(ops.forward(), positions_.size(), {.positions = positions_});
    ops.rope(d_x, heads_, *pass, *table);
    std::vector<Outcome> outcomes;
    outcomes.push_back(outcome("d_x", d_x));
    return outcomes;
  }
  std::vector<Grid> bounds(const Ops& ops, const std::vector<Outcome>& truth) const override {
    std::vector<Grid> bounds;
    bounds.push_back(grid_of(truth[0].values, [&](int64_t r, int64_t c) {
      const int64_t other = c % (2 * half_) < half_ ? c + half_ : c - half_;
      return rope_tolerance(epsilon_of(ops.activation()), element(d_out_, r, c),
                            element(d_out_, r, other));
    }));
    return bounds;
  }

 private:
  static constexpr int kPositions = 500;
  Rng rng_;
  int heads_;
  int64_t half_;
  Grid d_out_;
  std::vector<int32_t> positions_;
};

// Half of the rows go to the same place, as those of the mask token do.
class RowsAdded final : public BackwardCase {
 public:
  RowsAdded(int rows, int vocabulary, int cols, uint64_t seed)
      : rng_(seed),
        d_out_(normal_grid(rng_, rows, cols, Numbers::any_float)),
        before_(normal_grid(rng_, vocabulary, cols, Numbers::any_float)) {
    for (int r = 0; r < rows; ++r) {
      rows_.push_back(rng_.below(2) == 0 ? vocabulary / 2 : rng_.below(vocabulary));
    }
  }
  std::string name() const override {
    return fmt::format("embed R {} V {} K {}", d_out_->rows, before_->rows, before_->cols);
  }
  std::vector<Outcome> run(BackwardOps& ops) const override {
    const DType type = ops.forward().activation();
    const Placed d_out(d_out_, type), d_table(before_, type);
    const auto pass = prepare_rows(ops.forward(), rows_.size(), {.tokens = rows_});
    ops.embed(*pass, d_out, d_table);
    std::vector<Outcome> outcomes;
    outcomes.push_back(outcome("d_table", d_table));
    return outcomes;
  }
  std::vector<Grid> bounds(const Ops& ops, const std::vector<Outcome>&) const override {
    Grid sums =
        grid_of(before_, [&](int64_t r, int64_t c) { return std::abs(element(before_, r, c)); });
    std::vector<int> terms(static_cast<size_t>(before_->rows));
    for (int64_t i = 0; i < d_out_->rows; ++i) {
      const int32_t row = rows_[static_cast<size_t>(i)];
      ++terms[static_cast<size_t>(row)];
      for (int64_t c = 0; c < d_out_->cols; ++c) {
        set_element(sums, row, c, element(sums, row, c) + std::abs(element(d_out_, i, c)));
      }
    }
    std::vector<Grid> bounds;
    bounds.push_back(grid_of(before_, [&](int64_t r, int64_t c) {
      return epsilon_of(ops.activation()) *
             std::sqrt(static_cast<double>(terms[static_cast<size_t>(r)])) * element(sums, r, c);
    }));
    return bounds;
  }

 private:
  Rng rng_;
  Grid d_out_, before_;
  std::vector<int32_t> rows_;
};

std::vector<Outcome> run_cross_entropy(BackwardOps& ops, const Grid& grid,
                                       const std::vector<Label>& labels) {
  const Placed logits(grid, ops.forward().activation());
  std::vector<double> losses(labels.size());
  ops.cross_entropy(logits, labels, losses);
  std::vector<Outcome> outcomes;
  outcomes.push_back(outcome("d_logits", logits));
  outcomes.push_back(
      outcome("losses", Matrix(losses.data(), DType::f64, 1, static_cast<int64_t>(losses.size()))));
  return outcomes;
}

class CrossEntropy final : public BackwardCase {
 public:
  CrossEntropy(int rows, int vocabulary, uint64_t seed)
      : rng_(seed), logits_(normal_grid(rng_, rows, vocabulary, Numbers::any_float, 4)) {
    for (int r = 0; r < rows; ++r) {
      labels_.push_back({r, rng_.below(vocabulary), r % 5 == 3 ? 0.0f : rng_.uniform()});
    }
  }
  std::string name() const override {
    return fmt::format("cross_entropy R {} V {}", logits_->rows, logits_->cols);
  }
  std::vector<Outcome> run(BackwardOps& ops) const override {
    return run_cross_entropy(ops, logits_, labels_);
  }
  std::vector<Grid> bounds(const Ops& ops, const std::vector<Outcome>& truth) const override {
    const double eps = epsilon_of(ops.activation());
    std::vector<double> sizes;
    for (int64_t r = 0; r < logits_->rows; ++r) {
      double size = 0;
      for (int64_t c = 0; c < logits_->cols; ++c) {
        size = std::max(size, std::abs(element(logits_, r, c)));
      }
      sizes.push_back(size);
    }
    std::vector<Grid> bounds;
    bounds.push_back(grid_of(truth[0].values, [&](int64_t r, int64_t c) {
      const Label& label = labels_[static_cast<size_t>(r)];
      const double result = element(truth[0].values, r, c);
      const double one_hot = c == label.token ? label.weight : 0;
      const double probability = result + one_hot;
      // exp() of a logit that is off as a log-probability is.
      return probability * logprob_tolerance(eps, sizes[static_cast<size_t>(r)], logits_->cols) +
             eps * (std::abs(result) + one_hot);
    }));
    bounds.push_back(grid_of(truth[1].values, [&](int64_t, int64_t r) {
      return logprob_tolerance(eps, sizes[static_cast<size_t>(r)], logits_->cols);
    }));
    return bounds;
  }

 private:
  Rng rng_;
  Grid logits_;
  std::vector<Label> labels_;
};

// Of `rows` labels every other one has a target: a row with a label but no target, or one of some
// rows behind.
class SoftCrossEntropy final : public BackwardCase {
 public:
  SoftCrossEntropy(int rows, int vocabulary, Distance distance, uint64_t seed)
      : rng_(seed),
        distance_(distance),
        logits_(normal_grid(rng_, rows + 2, vocabulary, Numbers::any_float, 3)) {
    for (int r = 0; r < rows; ++r) {
      Label label = {r, rng_.below(vocabulary), r % 5 == 3 ? 0.0f : rng_.uniform()};
      if (r % 2 == 1) {
        const int target =
            rng_.below(2) == 0 ? 2 * rng_.below((rows + 1) / 2) : rows + rng_.below(2);
        label.target = {target, distance, r % 7 == 5 ? 1.0f : rng_.uniform()};
      }
      labels_.push_back(label);
    }
  }
  std::string name() const override {
    return fmt::format("cross_entropy R {} + 2 V {} and {}", labels_.size(), logits_->cols,
                       distance_ == Distance::l1 ? "l1" : "kl");
  }
  std::vector<Outcome> run(BackwardOps& ops) const override {
    return run_cross_entropy(ops, logits_, labels_);
  }

  // A probability is off by a part of itself, as a log-probability is; where q and p are that near,
  // the sign of their difference may be another, which moves all of the row.
  std::vector<Grid> bounds(const Ops& ops, const std::vector<Outcome>& truth) const override {
    const double eps = epsilon_of(ops.activation());
    Grid slopes = grid_of(logits_, [](int64_t, int64_t) { return 0.0; });
    Grid losses = grid_of(truth[1].values, [](int64_t, int64_t) { return 0.0; });
    for (int64_t r = 0; r < std::ssize(labels_); ++r) {
      const Label& label = labels_[static_cast<size_t>(r)];
      const std::vector<double> q = softmax(r);
      const std::vector<double> p = label.target.row < 0 ? q : softmax(label.target.row);
      const double size = std::max(largest(r), largest(std::max(label.target.row, 0)));
      const double off = logprob_tolerance(eps, size, logits_->cols) + 4 * eps;
      const auto is_unsure = [&](size_t i) {
        return label.target.row >= 0 && std::abs(q[i] - p[i]) <= 2 * off * (q[i] + p[i]);
      };
      double unsure = 0;
      for (size_t i = 0; i < q.size(); ++i) unsure += is_unsure(i) ? 2 * q[i] : 0;
      for (size_t i = 0; i < q.size(); ++i) {
        const double one_hot = static_cast<int32_t>(i) == label.token ? 1 : 0;
        const double bound =
            off * (4 * q[i] + p[i] + one_hot) + q[i] * (unsure + (is_unsure(i) ? 2 : 0));
        set_element(slopes, r, static_cast<int64_t>(i), label.weight * bound);
      }
      set_element(losses, 0, r, off * (3 + 4 * size));
    }
    std::vector<Grid> bounds;
    bounds.push_back(std::move(slopes));
    bounds.push_back(std::move(losses));
    return bounds;
  }

 private:
  double largest(int64_t r) const {
    double most = 0;
    for (int64_t c = 0; c < logits_->cols; ++c)
      most = std::max(most, std::abs(element(logits_, r, c)));
    return most;
  }
  std::vector<double> softmax(int64_t r) const {
    std::vector<double> values;
    double sum = 0;
    for (int64_t c = 0; c < logits_->cols; ++c) {
      values.push_back(std::exp(element(logits_, r, c)));
      sum += values.back();
    }
    for (double& value : values) value /= sum;
    return values;
  }

  Rng rng_;
  Distance distance_;
  Grid logits_;
  std::vector<Label> labels_;
};

constexpr int kLossVocabularies[] = {1, 2, 7, 64, 500, 1003};

}  // namespace

void add_row_cases(BackwardCases& cases, int rows, uint64_t seed) {
  Rng rng(seed);
  for (const Into into : {Into::overwrite, Into::add}) {
    cases.push_back(
        std::make_unique<RmsNormBackward>(rows, 1, one_of(rng, kLengths), into, next_seed(rng)));
    cases.push_back(std::make_unique<RmsNormBackward>(
        rows, 2 + rng.below(4), one_of(rng, kHeadSizes), into, next_seed(rng)));
  }
  for (int i = 0; i < 2; ++i) {
    cases.push_back(std::make_unique<RopeBackward>(rows, 1 + rng.below(4), one_of(rng, kHeadSizes),
                                                   next_seed(rng)));
    cases.push_back(std::make_unique<RowsAdded>(rows, 1 + rng.below(50), one_of(rng, kLengths),
                                                next_seed(rng)));
    cases.push_back(
        std::make_unique<CrossEntropy>(rows, one_of(rng, kLossVocabularies), next_seed(rng)));
  }
  for (const Distance distance : {Distance::l1, Distance::kl}) {
    cases.push_back(std::make_unique<SoftCrossEntropy>(rows, one_of(rng, kLossVocabularies),
                                                       distance, next_seed(rng)));
  }
}

}  // namespace tidar
