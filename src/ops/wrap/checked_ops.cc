#include "ops/wrap/checked_ops.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "ops/candidates.h"
#include "ops/checks.h"
#include "ops/host_matrix.h"
#include "ops/wrap/grid.h"
#include "ops/wrap/tolerance.h"

namespace tidar {

namespace {

// One weight on both backends.
struct CheckedWeight final : PackedWeight {
  std::unique_ptr<PackedWeight> tested, truth;
  std::unique_ptr<PackedWeight> stacked;  // interleaved parts, for their products on the truth
  std::vector<double> norms;              // of every row, parts one after another
};

struct CheckedKv final : KvStore {
  std::unique_ptr<KvStore> tested, truth;
  // Largest norm of a key and largest |value| ever stored, [layers][kv_heads].
  std::vector<double> key_norms, value_sizes;
  size_t at(int layer, int kv_head) const {
    return static_cast<size_t>(layer * shape.kv_heads + kv_head);
  }
};

const CheckedWeight& own(const PackedWeight& weight) {
  return dynamic_cast<const CheckedWeight&>(weight);
}

const CheckedKv& own(const KvStore& kv) { return dynamic_cast<const CheckedKv&>(kv); }

std::vector<double> row_norms(std::span<const HostMatrix> parts) {
  std::vector<double> norms;
  std::vector<double> row;
  for (const HostMatrix& part : parts) {
    row.resize(static_cast<size_t>(part.cols));
    for (int64_t r = 0; r < part.rows; ++r) {
      read_row(part, r, row.data());
      norms.push_back(norm_of(Matrix(row.data(), DType::f64, 1, part.cols), 0, 0, part.cols));
    }
  }
  return norms;
}

std::vector<double> norms_of_rows(Matrix x) {
  std::vector<double> norms;
  for (int64_t r = 0; r < x.rows; ++r) norms.push_back(norm_of(x, r, 0, x.cols));
  return norms;
}

void stop(const Difference& difference) { fail_check(__FILE__, __LINE__, difference.text()); }

// Distance from the truth in units of what is allowed.
double share_used(const Difference& found) {
  if (found.tested == found.truth) return 0;
  const double share = std::abs(found.tested - found.truth) / found.allowed;
  return share >= 0 ? share : std::numeric_limits<double>::infinity();
}

}  // namespace

std::string Difference::text() const {
  return fmt::format("{}{}{} differs at row {}, column {}: {} where the truth is {} ± {}",
                     name_of(verb), what.empty() ? "" : ": ", what, row, col, tested, truth,
                     allowed);
}

CheckedOps::CheckedOps(Ops& tested, Ops& truth, Report report)
    : tested_(tested),
      truth_(truth),
      report_(report ? std::move(report) : stop),
      name_(fmt::format("{} checked by {}", tested.name(), truth.name())),
      eps_(epsilon_of(tested.activation())) {}

void CheckedOps::consider(Difference& worst, const Difference& found) {
  ++compared_;
  if (share_used(found) > share_used(worst)) worst = found;
}

void CheckedOps::finish(const Difference& worst) {
  const double share = share_used(worst);
  double& most = worst_[static_cast<size_t>(worst.verb)];
  most = std::max(most, share);
  if (share > 1) report_(worst);
}

void CheckedOps::compare(Verb verb, Matrix tested, Matrix truth, const Allowed& allowed) {
  Difference worst;
  worst.verb = verb;
  for (int64_t r = 0; r < tested.rows; ++r) {
    for (int64_t c = 0; c < tested.cols; ++c) {
      const double value = element(truth, r, c);
      consider(worst, {verb, r, c, element(tested, r, c), value, allowed(r, c, value), ""});
    }
  }
  finish(worst);
}

std::unique_ptr<PackedWeight> CheckedOps::pack(PackOrder order, std::span<const HostMatrix> parts,
                                               DType dtype) {
  auto weight = std::make_unique<CheckedWeight>();
  weight->tested = tested_.pack(order, parts, dtype);
  weight->truth = truth_.pack(order, parts, dtype);
  if (order == PackOrder::interleaved) {
    weight->stacked = truth_.pack(PackOrder::stacked, parts, dtype);
  }
  weight->norms = row_norms(parts);
  static_cast<PackedWeight&>(*weight) = *weight->tested;
  return weight;
}

std::unique_ptr<KvStore> CheckedOps::make_kv(const KvShape& shape) {
  auto kv = std::make_unique<CheckedKv>();
  kv->tested = tested_.make_kv(shape);
  kv->truth = truth_.make_kv(shape);
  kv->shape = shape;
  kv->bytes = kv->tested->bytes;
  kv->key_norms.resize(static_cast<size_t>(shape.layers * shape.kv_heads));
  kv->value_sizes.resize(kv->key_norms.size());
  return kv;
}

void CheckedOps::embed(std::span<const int32_t> tokens, const PackedWeight& table, Matrix out) {
  Grid truth(truth_.activation(), out.rows, out.cols);
  truth_.embed(tokens, *own(table).truth, truth);
  tested_.embed(tokens, *own(table).tested, out);
  compare(Verb::embed, out, truth, [](int64_t, int64_t, double) { return 0; });
}

void CheckedOps::gather(Matrix x, std::span<const int32_t> rows, Matrix out) {
  Grid truth(truth_.activation(), out.rows, out.cols);
  truth_.gather(Grid::copy(x, truth_.activation()), rows, truth);
  tested_.gather(x, rows, out);
  compare(Verb::gather, out, truth, [](int64_t, int64_t, double) { return 0; });
}

void CheckedOps::rms_norm(Matrix x, std::span<const float> weight, double eps, int heads,
                          Matrix out) {
  Grid truth(truth_.activation(), out.rows, out.cols);
  truth_.rms_norm(Grid::copy(x, truth_.activation()), weight, eps, heads, truth);
  tested_.rms_norm(x, weight, eps, heads, out);
  compare(Verb::rms_norm, out, truth, [&](int64_t, int64_t, double value) {
    return rounded(rms_norm_tolerance(eps_, x.cols / heads, value), value, out.dtype);
  });
}

void CheckedOps::linear(Matrix x, const PackedWeight& weight, std::span<const float> bias,
                        Matrix out) {
  const CheckedWeight& both = own(weight);
  const auto x_norms = norms_of_rows(x);
  Grid truth(truth_.activation(), out.rows, out.cols);
  truth_.linear(Grid::copy(x, truth_.activation()), *both.truth, bias, truth);
  tested_.linear(x, *both.tested, bias, out);
  compare(Verb::linear, out, truth, [&](int64_t r, int64_t c, double value) {
    const double error = product_tolerance(eps_, x.cols, x_norms[static_cast<size_t>(r)],
                                           both.norms[static_cast<size_t>(c)]);
    return rounded(error, value, out.dtype);
  });
}

void CheckedOps::linear_add(Matrix x, const PackedWeight& weight, Matrix out) {
  const CheckedWeight& both = own(weight);
  const auto x_norms = norms_of_rows(x);
  const Grid truth = Grid::copy(out, truth_.activation());
  truth_.linear_add(Grid::copy(x, truth_.activation()), *both.truth, truth);
  tested_.linear_add(x, *both.tested, out);
  compare(Verb::linear_add, out, truth, [&](int64_t r, int64_t c, double value) {
    const double error = product_tolerance(eps_, x.cols, x_norms[static_cast<size_t>(r)],
                                           both.norms[static_cast<size_t>(c)]);
    return rounded(error, value, out.dtype);
  });
}

void CheckedOps::linear_swiglu(Matrix x, const PackedWeight& gate_up, Matrix out) {
  const CheckedWeight& both = own(gate_up);
  const auto x_norms = norms_of_rows(x);
  const Grid exact_x = Grid::copy(x, truth_.activation());
  Grid truth(truth_.activation(), out.rows, out.cols);
  Grid parts(truth_.activation(), out.rows, 2 * out.cols);
  truth_.linear_swiglu(exact_x, *both.truth, truth);
  truth_.linear(exact_x, *both.stacked, {}, parts);
  tested_.linear_swiglu(x, *both.tested, out);
  compare(Verb::linear_swiglu, out, truth, [&](int64_t r, int64_t c, double value) {
    const auto error = [&](int64_t column) {
      return product_tolerance(eps_, x.cols, x_norms[static_cast<size_t>(r)],
                               both.norms[static_cast<size_t>(column)]);
    };
    const int64_t up = c + out.cols;
    return rounded(
        swiglu_tolerance(eps_, element(parts, r, c), error(c), element(parts, r, up), error(up)),
        value, out.dtype);
  });
}

void CheckedOps::rope(Matrix x, int heads, std::span<const int32_t> positions,
                      const RopeTable& table) {
  const Grid before = Grid::copy(x, DType::f64);
  const Grid truth = Grid::copy(x, truth_.activation());
  truth_.rope(truth, heads, positions, table);
  tested_.rope(x, heads, positions, table);
  compare(Verb::rope, x, truth, [&](int64_t r, int64_t c, double) {
    const int64_t in_head = c % (2 * table.half);
    const int64_t pair = in_head < table.half ? c + table.half : c - table.half;
    return rope_tolerance(eps_, element(before, r, c), element(before, r, pair));
  });
}

void CheckedOps::store_kv(Matrix k, Matrix v, std::span<const int32_t> slots, KvStore& kv,
                          int layer) {
  auto& both = dynamic_cast<CheckedKv&>(kv);
  truth_.store_kv(Grid::copy(k, truth_.activation()), Grid::copy(v, truth_.activation()), slots,
                  *both.truth, layer);
  tested_.store_kv(k, v, slots, *both.tested, layer);
  const int size = kv.shape.head_size;
  // What the store rounds can grow by half an epsilon of its type.
  const double growth = 1 + epsilon_of(kv.shape.dtype);
  for (int64_t r = 0; r < k.rows; ++r) {
    for (int head = 0; head < kv.shape.kv_heads; ++head) {
      double& key_norm = both.key_norms[both.at(layer, head)];
      double& value_size = both.value_sizes[both.at(layer, head)];
      key_norm = std::max(key_norm, growth * norm_of(k, r, head * size, (head + 1) * size));
      for (int64_t c = head * size; c < (head + 1) * size; ++c) {
        value_size = std::max(value_size, growth * std::abs(element(v, r, c)));
      }
    }
  }
}

void CheckedOps::attend(Matrix q, const KvStore& kv, int layer, const AttendPlan& plan,
                        Matrix out) {
  const CheckedKv& both = own(kv);
  Grid truth(truth_.activation(), out.rows, out.cols);
  truth_.attend(Grid::copy(q, truth_.activation()), *both.truth, layer, plan, truth);
  tested_.attend(q, *both.tested, layer, plan, out);

  const int size = kv.shape.head_size;
  const int64_t heads = q.cols / size;
  std::vector<double> allowed(static_cast<size_t>(q.rows * heads));
  for (int64_t r = 0; r < q.rows; ++r) {
    const TileSight& sight = plan.sights[static_cast<size_t>(r)];
    for (int64_t h = 0; h < heads; ++h) {
      const size_t at = both.at(layer, static_cast<int>(h / (heads / kv.shape.kv_heads)));
      AttendBounds bounds;
      bounds.q_norm = norm_of(q, r, h * size, (h + 1) * size);
      bounds.key_norm = both.key_norms[at];
      bounds.value_size = both.value_sizes[at];
      bounds.keys = sight.prefix_to - sight.prefix_from + sight.block_to - sight.block_from;
      bounds.head_size = size;
      bounds.rounds_to_bf16 = kv.shape.dtype == DType::bf16;
      allowed[static_cast<size_t>(r * heads + h)] = attend_tolerance(eps_, bounds);
    }
  }
  compare(Verb::attend, out, truth, [&](int64_t r, int64_t c, double value) {
    return rounded(allowed[static_cast<size_t>(r * heads + c / size)], value, out.dtype);
  });
}

}  // namespace tidar
