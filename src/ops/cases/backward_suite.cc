#include "ops/cases/backward_suite.h"

#include <bit>
#include <limits>
#include <map>

#include "base/rng.h"
#include "ops/ref/ref_backward.h"
#include "ops/ref/ref_ops.h"

namespace tidar {

namespace {

// Distance from the truth in units of what is allowed.
double share_used(double tested, double truth, double allowed) {
  if (tested == truth) return 0;
  const double share = std::abs(tested - truth) / allowed;
  return share >= 0 ? share : std::numeric_limits<double>::infinity();
}

// The element that uses the largest share of its bound.
struct Worst {
  double share = 0;
  int64_t row = 0, col = 0;
};

Worst worst_of(Matrix tested, Matrix truth, Matrix bounds) {
  Worst worst;
  for (int64_t r = 0; r < truth.rows; ++r) {
    for (int64_t c = 0; c < truth.cols; ++c) {
      const double share =
          share_used(element(tested, r, c), element(truth, r, c), element(bounds, r, c));
      if (share > worst.share) worst = {share, r, c};
    }
  }
  return worst;
}

// First word of a case's name: its verb.
std::string verb_of(const std::string& name) { return name.substr(0, name.find(' ')); }

}  // namespace

Roundings roundings_of(const Ops& ops, WeightFormat weight) {
  Roundings roundings;
  roundings.sums = epsilon_of(ops.activation());
  if (ops.operand(weight) == DType::bf16) roundings.operands = epsilon_of(DType::bf16);
  return roundings;
}

BackwardCases all_backward_cases(uint64_t seed) {
  BackwardCases cases;
  Rng rng(seed);
  // None, one, odd, and both sides of the borders of tiles of 16, 32 and 64 rows.
  for (const int rows : {0, 1, 2, 5, 16, 17, 33, 64, 67}) {
    const auto next = [&] { return (uint64_t{rng.bits()} << 32) | rng.bits(); };
    add_product_cases(cases, rows, next());
    add_row_cases(cases, rows, next());
    add_attend_cases(cases, rows, next());
  }
  return cases;
}

Failures match_truth(BackwardOps& backend, uint64_t seed, std::string* shares) {
  Failures failures;
  std::map<std::string, double> largest;
  const auto truth_ops = make_ref_ops(DType::f64);
  const auto truth_backward = make_ref_backward(*truth_ops);
  for (const auto& one : all_backward_cases(seed)) {
    const auto truth = one->run(*truth_backward);
    const auto tested = one->run(backend);
    const auto bounds = one->bounds(backend.forward(), truth);
    for (size_t i = 0; i < truth.size(); ++i) {
      const Worst worst = worst_of(tested[i].values, truth[i].values, bounds[i]);
      double& so_far = largest[verb_of(one->name()) + " " + truth[i].name];
      so_far = std::max(so_far, worst.share);
      if (worst.share <= 1) continue;
      failures.push_back(
          fmt::format("seed {}, {}: {} differs at row {}, column {}: {} where the truth is {} ± {}",
                      seed, one->name(), truth[i].name, worst.row, worst.col,
                      element(tested[i].values, worst.row, worst.col),
                      element(truth[i].values, worst.row, worst.col),
                      element(bounds[i], worst.row, worst.col)));
    }
  }
  if (shares != nullptr) {
    for (const auto& [name, share] : largest) {
      *shares += fmt::format("{:<24} {:.3f} of the bound\n", name, share);
    }
  }
  return failures;
}

Failures match_bits(BackwardOps& a, BackwardOps& b, uint64_t seed) {
  Failures failures;
  for (const auto& one : all_backward_cases(seed)) {
    const auto expected = one->run(a), found = one->run(b);
    for (size_t i = 0; i < expected.size(); ++i) {
      const Matrix x = expected[i].values, y = found[i].values;
      for (int64_t r = 0; r < x.rows; ++r) {
        for (int64_t c = 0; c < x.cols; ++c) {
          const auto bits = [&](Matrix m) { return std::bit_cast<uint64_t>(element(m, r, c)); };
          if (bits(x) == bits(y)) continue;
          failures.push_back(fmt::format("seed {}, {}: {} has other bits at row {}, column {}",
                                         seed, one->name(), expected[i].name, r, c));
          r = x.rows;
          break;
        }
      }
    }
  }
  return failures;
}

}  // namespace tidar
