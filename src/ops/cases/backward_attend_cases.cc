// Backward cases of attention: forward and backward of rows that see each other.

#include "ops/cases/backward_inputs.h"

namespace tidar {
namespace {

enum class Pattern : uint8_t {
  random,  // ranges of every kind, and rows that see nothing
  tidar,   // clean rows, then as many masks in blocks of their own
  packed,  // documents that do not see each other
};

struct RowsShape {
  int rows = 1, kv_heads = 1, group = 1, head_size = 16;
  Pattern pattern = Pattern::random;
  Numbers numbers = Numbers::any_float;
};

Sight random_sight(Rng& rng, int rows) {
  Sight sight;
  const int kind = rng.below(6);
  if (kind == 0) return sight;
  if (kind != 1) {
    sight.prefix.from = kind == 2 ? rng.below(rows) : 0;
    sight.prefix.to = sight.prefix.from + rng.below(rows - sight.prefix.from + 1);
  }
  if (kind == 2 && sight.prefix.from > 0) {  // a block in front of the prefix
    sight.block.to = 1 + rng.below(sight.prefix.from);
  } else if (kind != 3 && sight.prefix.to < rows) {
    sight.block.from = sight.prefix.to + rng.below(rows - sight.prefix.to);
    sight.block.to = sight.block.from + 1 + rng.below(rows - sight.block.from);
  }
  return sight;
}

std::vector<Sight> sights_of(const RowsShape& shape, Rng& rng) {
  std::vector<Sight> sights;
  const int clean = (shape.rows + 1) / 2, block = 1 + rng.below(20), document = 1 + rng.below(40);
  for (int r = 0; r < shape.rows; ++r) {
    if (shape.pattern == Pattern::random) {
      sights.push_back(random_sight(rng, shape.rows));
    } else if (shape.pattern == Pattern::packed) {
      sights.push_back({{r / document * document, r + 1}, {}});
    } else if (r < clean) {
      sights.push_back({{0, r + 1}, {}});
    } else {
      const int seen = (r - clean) / block * block;
      sights.push_back({{0, seen}, {clean + seen, std::min(clean + seen + block, shape.rows)}});
    }
  }
  return sights;
}

class Attention final : public BackwardCase {
 public:
  Attention(const RowsShape& shape, uint64_t seed)
      : shape_(shape),
        rng_(seed),
        q_(normal_grid(rng_, shape.rows, kv_cols() * shape.group, shape.numbers)),
        k_(normal_grid(rng_, shape.rows, kv_cols(), shape.numbers)),
        v_(normal_grid(rng_, shape.rows, kv_cols(), shape.numbers)),
        d_out_(normal_grid(rng_, shape.rows, kv_cols() * shape.group, shape.numbers)),
        sights_(sights_of(shape, rng_)) {}

  std::string name() const override {
    constexpr const char* kPatterns[] = {"random", "tidar", "packed"};
    return fmt::format("attention R {} H {} G {} E {} {}{}", shape_.rows, heads(), shape_.kv_heads,
                       shape_.head_size, kPatterns[static_cast<int>(shape_.pattern)],
                       shape_.numbers == Numbers::fit_bf16 ? " exact" : "");
  }

  std::vector<Outcome> run(BackwardOps& ops) const override {
    const DType type = ops.forward().activation();
    const Placed q(q_, type), k(k_, type), v(v_, type), d_out(d_out_, type);
    const Placed out(q_, out_type(ops.forward()));
    const Placed log_sums(Grid(DType::f64, shape_.rows, heads()), type);
    // Left full of numbers, which must be gone afterwards.
    const Placed d_q(q_, type), d_k(k_, type), d_v(v_, type);
    const auto pass = prepare_rows(ops.forward(), sights_.size(), {.sights = sights_});
    const AttendRows rows = {q, k, v, pass.get(), shape_.kv_heads};
    ops.attend(rows, out, log_sums);
    ops.attend_backward(rows, out, log_sums, d_out, {d_q, d_k, d_v});
    std::vector<Outcome> outcomes;
    outcomes.push_back(outcome("out", out));
    outcomes.push_back(outcome("log_sums", log_sums));
    outcomes.push_back(outcome("d_q", d_q));
    outcomes.push_back(outcome("d_k", d_k));
    outcomes.push_back(outcome("d_v", d_v));
    return outcomes;
  }

  std::vector<Grid> bounds(const Ops& ops, const std::vector<Outcome>& truth) const override {
    std::vector<Grid> bounds;
    for (const Outcome& one : truth) {
      bounds.emplace_back(DType::f64, one.values->rows, one.values->cols);
    }
    for (int r = 0; r < shape_.rows; ++r) {
      for (int h = 0; h < heads(); ++h) add_bounds(ops, truth, bounds, r, h);
    }
    return bounds;
  }

 private:
  int heads() const { return shape_.kv_heads * shape_.group; }
  int64_t kv_cols() const { return int64_t{shape_.kv_heads} * shape_.head_size; }
  DType out_type(const Ops& ops) const {
    return shape_.rows % 2 == 0 ? ops.activation() : ops.operand(WeightFormat::bf16);
  }
  std::vector<int> seen_by(int row) const {
    const Sight& sight = sights_[static_cast<size_t>(row)];
    std::vector<int> seen;
    for (const KeyRange& range : {sight.prefix, sight.block}) {
      for (int key = range.from; key < range.to; ++key) seen.push_back(key);
    }
    return seen;
  }
  void add_bounds(const Ops& ops, const std::vector<Outcome>& truth, std::vector<Grid>& bounds,
                  int row, int head) const;

  RowsShape shape_;
  Rng rng_;
  Grid q_, k_, v_, d_out_;
  std::vector<Sight> sights_;
};

double dot(Matrix a, int64_t a_row, int64_t a_from, Matrix b, int64_t b_row, int64_t b_from,
           int64_t size) {
  double sum = 0;
  for (int64_t e = 0; e < size; ++e) {
    sum += element(a, a_row, a_from + e) * element(b, b_row, b_from + e);
  }
  return sum;
}

void add_to(Matrix matrix, int64_t r, int64_t c, double value) {
  set_element(matrix, r, c, element(matrix, r, c) + value);
}

// Errors of first order, followed through the formulas of ref/attend_backward.cc. `narrow` is the
// error of rounding a probability or its gradient to an operand; `given` that of rounding q, k, v
// or d_out, where they do not fit it already.
void Attention::add_bounds(const Ops& ops, const std::vector<Outcome>& truth,
                           std::vector<Grid>& bounds, int row, int head) const {
  const Roundings eps = roundings_of(ops, WeightFormat::bf16);
  const double narrow = 0.5 * eps.operands;
  const double given = shape_.numbers == Numbers::fit_bf16 ? 0 : narrow;
  const int64_t size = shape_.head_size, q_from = head * size, kv_from = head / shape_.group * size;
  const double scale = 1 / std::sqrt(static_cast<double>(size));
  const std::vector<int> seen = seen_by(row);
  const double terms = std::sqrt(static_cast<double>(seen.size()));
  const double q_norm = norm_of(q_, row, q_from, q_from + size);
  const double d_norm = norm_of(d_out_, row, q_from, q_from + size);
  double k_norm = 0, v_norm = 0, v_size = 0;
  for (const int key : seen) {
    k_norm = std::max(k_norm, norm_of(k_, key, kv_from, kv_from + size));
    v_norm = std::max(v_norm, norm_of(v_, key, kv_from, kv_from + size));
    for (int64_t e = 0; e < size; ++e) {
      v_size = std::max(v_size, std::abs(element(v_, key, kv_from + e)));
    }
  }
  const auto product = [&](double a, double b) {
    return product_tolerance(eps.sums, size, a, b) + 2 * given * a * b;
  };
  const double log_sum = element(truth[1].values, row, head);
  const double score = product(q_norm, k_norm) * scale + eps.sums * q_norm * k_norm * scale;
  const double log_sum_error =
      score + eps.sums * (2 * kFunctionEpsilons * (std::abs(log_sum) + 1) + terms);
  const double probability = score + log_sum_error + kFunctionEpsilons * eps.sums;
  const double out_error = (probability + narrow + given + eps.sums * terms) * v_size;
  set_element(bounds[1], row, head, log_sum_error);
  double mean_error = product_tolerance(eps.sums, size, d_norm, v_norm);
  for (int64_t e = q_from; e < q_from + size; ++e) {
    const double error = rounded(out_error, element(truth[0].values, row, e), out_type(ops));
    set_element(bounds[0], row, e, error);
    mean_error += std::abs(element(d_out_, row, e)) * error;
  }
  const double mean = dot(d_out_, row, q_from, truth[0].values, row, q_from, size);
  for (const int key : seen) {
    const double p = std::exp(dot(q_, row, q_from, k_, key, kv_from, size) * scale - log_sum);
    const double d_p = dot(d_out_, row, q_from, v_, key, kv_from, size);
    const double d_score = p * (d_p - mean) * scale;
    const double d_score_error = p * scale *
                                     (probability * (std::abs(d_p) + std::abs(mean)) +
                                      product(d_norm, v_norm) + mean_error) +
                                 (narrow + 2 * eps.sums) * std::abs(d_score);
    const double d_q_error = d_score_error + (given + eps.sums * terms) * std::abs(d_score);
    const double sums = eps.sums * std::sqrt(shape_.rows * shape_.group);
    for (int64_t e = 0; e < size; ++e) {
      add_to(bounds[2], row, q_from + e, d_q_error * std::abs(element(k_, key, kv_from + e)));
      add_to(bounds[3], key, kv_from + e,
             (d_score_error + (given + sums) * std::abs(d_score)) *
                 std::abs(element(q_, row, q_from + e)));
      add_to(
          bounds[4], key, kv_from + e,
          p * (probability + narrow + given + sums) * std::abs(element(d_out_, row, q_from + e)));
    }
  }
}

constexpr int kAnyHeadSizes[] = {2, 5, 8, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128};

}  // namespace

void add_attend_cases(BackwardCases& cases, int rows, uint64_t seed) {
  Rng rng(seed);
  for (const Pattern pattern : {Pattern::random, Pattern::tidar, Pattern::packed}) {
    for (const Numbers numbers : {Numbers::fit_bf16, Numbers::any_float}) {
      cases.push_back(
          std::make_unique<Attention>(RowsShape{rows, 1 + rng.below(2), 1 + rng.below(3),
                                                one_of(rng, kAnyHeadSizes), pattern, numbers},
                                      next_seed(rng)));
    }
  }
  if (rows != 17) return;
  cases.push_back(std::make_unique<Attention>(
      RowsShape{210, 1, 2, 32, Pattern::tidar, Numbers::fit_bf16}, next_seed(rng)));
  cases.push_back(std::make_unique<Attention>(
      RowsShape{150, 2, 1, 64, Pattern::random, Numbers::fit_bf16}, next_seed(rng)));
  // More keys than softmaxes are taken over at once.
  cases.push_back(std::make_unique<Attention>(
      RowsShape{600, 1, 1, 16, Pattern::random, Numbers::fit_bf16}, next_seed(rng)));
}

}  // namespace tidar
