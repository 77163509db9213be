// The truth of the backward halves, held against central finite differences of the forward verbs in
// float64.

#include "ops/ref/ref_backward.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <numeric>

#include "base/rng.h"
#include "ops/cases/inputs.h"
#include "ops/ref/ref_ops.h"

namespace tidar {
namespace {

constexpr uint64_t kReferenceSeed = 20251123;
constexpr int kRounds = 6;
constexpr double kStep = 0x1p-13;

class RefBackwardTest : public testing::Test {
 protected:
  Grid normal(DType dtype, int64_t rows, int64_t cols, double spread = 1) {
    Grid grid(dtype, rows, cols);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) set_element(grid, r, c, spread * rng.normal());
    }
    return grid;
  }
  Grid normal(int64_t rows, int64_t cols, double spread = 1) {
    return normal(DType::f64, rows, cols, spread);
  }
  static Grid zeros(int64_t rows, int64_t cols) { return {DType::f64, rows, cols}; }
  std::unique_ptr<PackedVector> pack(Matrix row) {
    const HostMatrix part = {row.data, row.dtype, 1, row.cols};
    return ops->pack_vector({&part, 1});
  }
  int between(int low, int high) { return low + rng.below(high - low + 1); }

  std::unique_ptr<Ops> ops = make_ref_ops(DType::f64);
  std::unique_ptr<BackwardOps> backward = make_ref_backward(*ops);
  Rng rng{kReferenceSeed};
};

double weighted_sum(Matrix out, Matrix factors) {
  double sum = 0;
  for (int64_t r = 0; r < out.rows; ++r) {
    for (int64_t c = 0; c < out.cols; ++c) sum += element(out, r, c) * element(factors, r, c);
  }
  return sum;
}

double largest_of(Matrix x) {
  double largest = 0;
  for (int64_t r = 0; r < x.rows; ++r) {
    for (int64_t c = 0; c < x.cols; ++c) largest = std::max(largest, std::abs(element(x, r, c)));
  }
  return largest;
}

// `gradient` against the change of loss() as each element of `parameter`
// moves. The error of a central difference is h² / 6 of the third derivative, below 1e-8 here for
// losses whose derivatives are of the size of the gradient.
void expect_gradient(const std::function<double()>& loss, Matrix parameter, Matrix gradient,
                     const std::string& what) {
  const double allowed = 1e-6 * (1 + largest_of(gradient));
  for (int64_t r = 0; r < parameter.rows; ++r) {
    for (int64_t c = 0; c < parameter.cols; ++c) {
      const double value = element(parameter, r, c);
      set_element(parameter, r, c, value + kStep);
      const double above = element(parameter, r, c), loss_above = loss();
      set_element(parameter, r, c, value - kStep);
      const double below = element(parameter, r, c), loss_below = loss();
      set_element(parameter, r, c, value);
      const double slope = (loss_above - loss_below) / (above - below);
      ASSERT_NEAR(element(gradient, r, c), slope, allowed)
          << what << " at row " << r << ", column " << c;
    }
  }
}

TEST_F(RefBackwardTest, Linear) {
  for (int round = 0; round < kRounds; ++round) {
    const int64_t rows = between(0, 5), inputs = between(1, 7);
    const int64_t first = between(1, 4), second = between(1, 5), outputs = first + second;
    const Grid x = normal(rows, inputs), d_out = normal(rows, outputs);
    const Grid parts[] = {normal(first, inputs), normal(second, inputs)};
    const Grid bias = normal(DType::f32, 1, outputs);
    const Matrix masters[] = {parts[0], parts[1]};
    const auto weight = backward->make_weight(PackOrder::stacked, masters, WeightFormat::f32);
    const auto loss = [&] {
      backward->refresh(*weight);
      const Grid out = zeros(rows, outputs);
      ops->linear(x, weight->forward(), pack(bias).get(), out);
      return weighted_sum(out, d_out);
    };
    const Grid d_x = normal(rows, inputs), d_bias = zeros(1, outputs);
    const Grid d_grids[] = {zeros(first, inputs), zeros(second, inputs)};
    const Matrix d_parts[] = {d_grids[0], d_grids[1]};
    loss();
    // In two parts, as those of queries and keys are.
    const Matrix d_biases[] = {Matrix(d_bias).col_range(0, 1),
                               Matrix(d_bias).col_range(1, outputs)};
    backward->linear(x, *weight, d_out, {d_x, d_parts, d_biases});
    expect_gradient(loss, x, d_x, "d_x");
    expect_gradient(loss, parts[0], d_grids[0], "d_part 0");
    expect_gradient(loss, parts[1], d_grids[1], "d_part 1");
    expect_gradient(loss, bias, d_bias, "d_bias");
  }
}

// gate_up(), swiglu() and their backward halves in a row, against the forward's one verb.
TEST_F(RefBackwardTest, GatedProduct) {
  for (int round = 0; round < kRounds; ++round) {
    const int64_t rows = between(1, 4), inputs = between(1, 6), width = between(1, 5);
    const Grid x = normal(rows, inputs), d_out = normal(rows, width);
    const Grid parts[] = {normal(width, inputs), normal(width, inputs)};
    const Matrix masters[] = {parts[0], parts[1]};
    const auto weight = backward->make_weight(PackOrder::interleaved, masters, WeightFormat::f32);
    const auto loss = [&] {
      backward->refresh(*weight);
      const Grid out = zeros(rows, width);
      ops->linear_swiglu(x, weight->forward(), out);
      return weighted_sum(out, d_out);
    };
    const double expected = loss();
    const Grid gate_up = zeros(rows, 2 * width), out = zeros(rows, width);
    backward->gate_up(x, *weight, gate_up);
    ops->swiglu(gate_up, out);
    EXPECT_NEAR(weighted_sum(out, d_out), expected, 1e-12);
    backward->swiglu_backward(gate_up, d_out, gate_up);
    const Grid d_x = zeros(rows, inputs);
    const Grid d_grids[] = {zeros(width, inputs), zeros(width, inputs)};
    const Matrix d_parts[] = {d_grids[0], d_grids[1]};
    backward->linear(x, *weight, gate_up, {d_x, d_parts, {}});
    expect_gradient(loss, x, d_x, "d_x");
    expect_gradient(loss, parts[0], d_grids[0], "d_gate");
    expect_gradient(loss, parts[1], d_grids[1], "d_up");
  }
}

TEST_F(RefBackwardTest, GradientsOfWeightsAreAddedToAndTheOthersWritten) {
  const Grid x = normal(3, 4), d_out = normal(3, 2), master = normal(2, 4);
  const Matrix masters[] = {master};
  const auto weight = backward->make_weight(PackOrder::stacked, masters, WeightFormat::f32);
  backward->refresh(*weight);
  const auto run = [&](double before) {
    Grid all[] = {zeros(3, 4), zeros(2, 4), zeros(1, 2)};
    for (const Grid& grid : all) {
      for (int64_t r = 0; r < grid->rows; ++r) {
        for (int64_t c = 0; c < grid->cols; ++c) set_element(grid, r, c, before);
      }
    }
    const Matrix d_parts[] = {all[1]};
    const Matrix d_biases[] = {all[2]};
    backward->linear(x, *weight, d_out, {all[0], d_parts, d_biases});
    return std::array{element(all[0], 1, 2), element(all[1], 1, 2), element(all[2], 0, 1)};
  };
  const auto fresh = run(0), added = run(10);
  EXPECT_EQ(added[0], fresh[0]);
  EXPECT_NEAR(added[1], fresh[1] + 10, 1e-12);
  EXPECT_NEAR(added[2], fresh[2] + 10, 1e-12);
}

TEST_F(RefBackwardTest, RmsNorm) {
  for (int round = 0; round < kRounds; ++round) {
    const int heads = between(1, 3);
    const int64_t rows = between(1, 4), size = between(1, 7), cols = heads * size;
    const Grid x = normal(rows, cols), d_out = normal(rows, cols);
    const Grid weight = normal(DType::f32, 1, size);
    const Matrix master = weight;
    const auto vector = backward->make_vector({&master, 1});
    const RmsNormCall call = {x, &vector->forward(), 1e-2, heads};
    const auto loss = [&] {
      backward->refresh(*vector);
      const Grid out = zeros(rows, cols);
      ops->rms_norm(x, *call.weight, call.eps, heads, out);
      return weighted_sum(out, d_out);
    };
    const Grid d_x = normal(rows, cols), d_weight = zeros(1, size);
    backward->refresh(*vector);
    backward->rms_norm(call, d_out, Into::overwrite, d_x, d_weight);
    expect_gradient(loss, x, d_x, "d_x");
    expect_gradient(loss, weight, d_weight, "d_weight");

    backward->refresh(*vector);
    const Grid sum = Grid::copy(x, DType::f64), in_place = Grid::copy(d_out, DType::f64);
    backward->rms_norm(call, d_out, Into::add, sum, {});
    backward->rms_norm(call, in_place, Into::overwrite, in_place, {});
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) {
        EXPECT_NEAR(element(sum, r, c), element(x, r, c) + element(d_x, r, c), 1e-12);
        EXPECT_EQ(element(in_place, r, c), element(d_x, r, c));
      }
    }
  }
}

TEST_F(RefBackwardTest, Rope) {
  for (int round = 0; round < kRounds; ++round) {
    const int heads = between(1, 3), half = between(1, 4);
    const int64_t rows = between(1, 5), cols = int64_t{2} * half * heads;
    std::vector<double> frequencies;
    for (int i = 0; i < half; ++i) frequencies.push_back(std::pow(100.0, -i));
    const auto table = ops->make_rope(frequencies, 1, 50);
    std::vector<int32_t> positions;
    for (int64_t r = 0; r < rows; ++r) positions.push_back(rng.below(50));
    const auto pass = prepare_rows(*ops, positions.size(), {.positions = positions});
    const Grid x = normal(rows, cols), d_out = normal(rows, cols);
    const auto loss = [&] {
      const Grid out = Grid::copy(x, DType::f64);
      ops->rope(out, heads, *pass, *table);
      return weighted_sum(out, d_out);
    };
    const Grid d_x = Grid::copy(d_out, DType::f64);
    backward->rope(d_x, heads, *pass, *table);
    expect_gradient(loss, x, d_x, "d_x");
  }
}

// Prefixes from anywhere, blocks behind or before them, and some rows that see nothing.
std::vector<Sight> random_sights(Rng& rng, int rows) {
  std::vector<Sight> sights;
  for (int r = 0; r < rows; ++r) {
    Sight sight;
    const int kind = rng.below(5);
    if (kind != 0 && kind != 1) {
      sight.prefix.from = kind == 2 ? rng.below(rows) : 0;
      sight.prefix.to = sight.prefix.from + rng.below(rows - sight.prefix.from + 1);
    }
    if (kind != 0 && sight.prefix.to < rows && kind != 4) {
      sight.block.from = sight.prefix.to + rng.below(rows - sight.prefix.to);
      sight.block.to = sight.block.from + 1 + rng.below(rows - sight.block.from);
    }
    if (kind == 2 && sight.prefix.from > 0) {
      sight.block.from = 0;
      sight.block.to = 1 + rng.below(sight.prefix.from);
    }
    sights.push_back(sight);
  }
  return sights;
}

TEST_F(RefBackwardTest, Attention) {
  for (int round = 0; round < 2 * kRounds; ++round) {
    const int kv_heads = between(1, 2), group = between(1, 3), size = between(1, 5);
    const int64_t rows = between(1, 9), kv_cols = int64_t{kv_heads} * size;
    const int64_t cols = kv_cols * group, heads = int64_t{kv_heads} * group;
    const Grid q = normal(rows, cols), k = normal(rows, kv_cols), v = normal(rows, kv_cols);
    const Grid d_out = normal(rows, cols);
    const auto sights = random_sights(rng, static_cast<int>(rows));
    const auto pass = prepare_rows(*ops, sights.size(), {.sights = sights});
    const AttendRows call = {q, k, v, pass.get(), kv_heads};
    const Grid out = zeros(rows, cols), log_sums = zeros(rows, heads);
    const auto loss = [&] {
      backward->attend(call, out, log_sums);
      return weighted_sum(out, d_out);
    };
    const Grid d_q = normal(rows, cols), d_k = normal(rows, kv_cols), d_v = normal(rows, kv_cols);
    loss();
    backward->attend_backward(call, out, log_sums, d_out, {d_q, d_k, d_v});
    expect_gradient(loss, q, d_q, "d_q");
    expect_gradient(loss, k, d_k, "d_k");
    expect_gradient(loss, v, d_v, "d_v");
  }
}

// The forward of training against the forward of serving over a store.
TEST_F(RefBackwardTest, AttentionOfRowsIsAttentionOverAStore) {
  constexpr int kRows = 40, kKvHeads = 2, kHeads = 6, kSize = 4;
  const Grid q = normal(kRows, kHeads * kSize), k = normal(kRows, kKvHeads * kSize),
             v = normal(kRows, kKvHeads * kSize);
  std::vector<Sight> sights;
  for (int r = 0; r < kRows; ++r) {
    const int block = r / 5 * 5;
    sights.push_back({{0, block}, {block, block + 5}});
  }
  const Grid out = zeros(kRows, kHeads * kSize), log_sums = zeros(kRows, kHeads);
  const auto rows = prepare_rows(*ops, sights.size(), {.sights = sights});
  backward->attend({q, k, v, rows.get(), kKvHeads}, out, log_sums);

  const auto kv = ops->make_kv(
      {.layers = 1, .kv_heads = kKvHeads, .head_size = kSize, .rows = kRows, .dtype = DType::f64});
  Pass pass;
  pass.begin_sequence();
  for (const Sight& sight : sights) pass.add_row(0, 0, sight, Keep::scratch);
  std::unique_ptr<PreparedPass> prepared;
  ops->prepare(pass, kv.get(), prepared);
  ops->store_kv(k, v, *prepared, *kv, 0);
  const Grid expected = zeros(kRows, kHeads * kSize);
  ops->attend(q, *prepared, *kv, 0, expected);
  for (int64_t r = 0; r < kRows; ++r) {
    for (int64_t c = 0; c < out->cols; ++c) {
      EXPECT_NEAR(element(out, r, c), element(expected, r, c), 1e-13);
    }
  }
}

TEST_F(RefBackwardTest, RowsThatSeeNothingGiveNothing) {
  const Grid x = normal(2, 4), out = normal(2, 4), log_sums = normal(2, 1);
  const Grid d_q = normal(2, 4), d_k = normal(2, 4), d_v = normal(2, 4);
  const auto pass = prepare_rows(*ops, 2, {.sights = std::vector<Sight>(2)});
  backward->attend({x, x, x, pass.get(), 1}, out, log_sums);
  backward->attend_backward({x, x, x, pass.get(), 1}, out, log_sums, x, {d_q, d_k, d_v});
  for (const Grid* grid : {&out, &d_q, &d_k, &d_v}) EXPECT_EQ(largest_of(*grid), 0);
  EXPECT_EQ(element(log_sums, 1, 0), -std::numeric_limits<double>::infinity());
}

TEST_F(RefBackwardTest, Embed) {
  const int vocabulary = 5, cols = 3;
  const Grid table = normal(vocabulary, cols);
  const std::vector<int32_t> tokens = {4, 0, 4, 4, 2};
  const Grid d_out = normal(5, cols);
  const auto loss = [&] {
    const Grid out = zeros(5, cols);
    ops->gather(table, tokens, out);
    return weighted_sum(out, d_out);
  };
  const Grid d_table = zeros(vocabulary, cols);
  const auto pass = prepare_rows(*ops, tokens.size(), {.tokens = tokens});
  backward->embed(*pass, d_out, d_table);
  expect_gradient(loss, table, d_table, "d_table");
}

TEST_F(RefBackwardTest, GatherAndScatterAddAreEachOthersHalves) {
  const Grid x = normal(5, 3), rows_of_x = normal(2, 3), out = normal(5, 3),
             d_picked = normal(2, 3);
  const std::vector<int32_t> rows = {4, 1};
  const auto gathered = [&] {
    const Grid picked = zeros(2, 3);
    ops->gather(x, rows, picked);
    return weighted_sum(picked, d_picked);
  };
  const Grid d_x = zeros(5, 3);
  ops->scatter_add(d_picked, rows, 1, d_x);
  expect_gradient(gathered, x, d_x, "d_x of gather");
  const auto scattered = [&] {
    const Grid sum = Grid::copy(out, DType::f64);
    ops->scatter_add(rows_of_x, rows, 1, sum);
    return weighted_sum(sum, x);
  };
  const Grid d_rows = zeros(2, 3);
  ops->gather(x, rows, d_rows);
  expect_gradient(scattered, rows_of_x, d_rows, "d_x of scatter_add");
}

TEST_F(RefBackwardTest, CrossEntropy) {
  for (int round = 0; round < kRounds; ++round) {
    const int rows = between(1, 4), vocabulary = between(1, 9);
    const Grid logits = normal(rows, vocabulary, 3);
    std::vector<Label> labels;
    for (int r = 0; r < rows; ++r) {
      labels.push_back({r, rng.below(vocabulary), r == 1 ? 0.0f : rng.uniform()});
    }
    std::vector<double> losses(labels.size());
    // By its definition, through the forward's log-probabilities in double.
    const auto loss = [&] {
      double sum = 0;
      for (size_t i = 0; i < labels.size(); ++i) {
        const double* row = Matrix(logits).row<double>(static_cast<int64_t>(i));
        double total = 0;
        for (int n = 0; n < vocabulary; ++n) total += std::exp(row[n]);
        sum += labels[i].weight * (std::log(total) - row[labels[i].token]);
      }
      return sum;
    };
    const Grid gradient = Grid::copy(logits, DType::f64);
    backward->cross_entropy(gradient, labels, losses);
    double sum = 0;
    for (size_t i = 0; i < labels.size(); ++i) sum += labels[i].weight * losses[i];
    EXPECT_NEAR(sum, loss(), 1e-12);
    expect_gradient(loss, logits, gradient, "logits");
  }
}

// Row 0 is held against its token, row 1 against row 0 as well, and row 2 against row 3, which has
// no label. By their definition, with targets that stay what they were.
TEST_F(RefBackwardTest, CrossEntropyWithTargets) {
  for (int round = 0; round < kRounds; ++round) {
    const int vocabulary = between(1, 9);
    const Grid logits = normal(4, vocabulary, 2), before = Grid::copy(logits, DType::f64);
    const auto distance = round % 2 == 0 ? Distance::l1 : Distance::kl;
    const auto token = [&] { return rng.below(vocabulary); };
    const std::vector<Label> labels = {
        {0, token(), rng.uniform()},
        {1, token(), rng.uniform(), {0, distance, rng.uniform()}},
        {2, token(), rng.uniform(), {3, distance, round % 4 < 2 ? 1.0f : rng.uniform()}}};
    const auto log_probability = [&](const Grid& grid, int64_t row, int n) {
      const double* of = Matrix(grid).row<double>(row);
      double total = 0;
      for (int i = 0; i < vocabulary; ++i) total += std::exp(of[i]);
      return of[n] - std::log(total);
    };
    const auto loss = [&] {
      double sum = 0;
      for (const Label& label : labels) {
        double away = 0;
        for (int n = 0; n < vocabulary && label.target.row >= 0; ++n) {
          const double log_q = log_probability(logits, label.row, n);
          const double log_p = log_probability(before, label.target.row, n);
          away += distance == Distance::l1 ? std::abs(std::exp(log_q) - std::exp(log_p))
                                           : std::exp(log_p) * (log_p - log_q);
        }
        const double share = label.target.share;
        sum += label.weight *
               (-(1 - share) * log_probability(logits, label.row, label.token) + share * away);
      }
      return sum;
    };
    const Grid gradient = Grid::copy(logits, DType::f64);
    std::vector<double> losses(labels.size());
    backward->cross_entropy(gradient, labels, losses);
    double sum = 0;
    for (size_t i = 0; i < labels.size(); ++i) sum += labels[i].weight * losses[i];
    EXPECT_NEAR(sum, loss(), 1e-12);
    for (int n = 0; n < vocabulary; ++n) {
      EXPECT_EQ(Matrix(gradient).row<double>(3)[n], Matrix(before).row<double>(3)[n]);
      set_element(gradient, 3, n, 0);
    }
    expect_gradient(loss, logits, gradient, "logits");
  }
}

}  // namespace
}  // namespace tidar
