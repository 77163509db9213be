#include "ops/wrap/checked_ops.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "ops/candidates.h"
#include "ops/checks.h"
#include "ops/group_codes.h"
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

struct CheckedVector final : PackedVector {
  std::unique_ptr<PackedVector> tested, truth;
};

struct CheckedRope final : RopeTable {
  std::unique_ptr<RopeTable> tested, truth;
};

struct CheckedPass final : PreparedPass {
  std::unique_ptr<PreparedPass> tested, truth;
  std::vector<int64_t> keys;  // seen by each row
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

const CheckedPass& own(const PreparedPass& pass) { return dynamic_cast<const CheckedPass&>(pass); }

const CheckedKv& own(const KvStore& kv) { return dynamic_cast<const CheckedKv&>(kv); }

// Of the numbers that are kept; bf16 may be a little longer than what it was rounded from, codes
// may be longer by far.
std::vector<double> row_norms(std::span<const HostMatrix> parts, WeightFormat format) {
  std::vector<double> norms;
  std::vector<double> row;
  for (const HostMatrix& part : parts) {
    row.resize(static_cast<size_t>(part.cols));
    for (int64_t r = 0; r < part.rows; ++r) {
      if (facts_of(format).group > 0) {
        std::vector<float> kept(row.size());
        read_kept(part, r, format, kept);
        std::copy(kept.begin(), kept.end(), row.begin());
      } else {
        read_row(part, r, row.data());
      }
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
  const bool both_nan = std::isnan(found.tested) && std::isnan(found.truth);
  if (found.tested == found.truth || both_nan) return 0;
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

Grid CheckedOps::seen(Matrix tested) const {
  Grid host(tested.dtype, tested.rows, tested.cols);
  tested_.read(tested, host);
  return host;
}

Grid CheckedOps::exact(Matrix tested) const {
  return Grid::copy(seen(tested), truth_.activation());
}

void CheckedOps::compare(Verb verb, Matrix result, Matrix truth, const Allowed& allowed) {
  const Grid tested = seen(result);
  Difference worst;
  worst.verb = verb;
  for (int64_t r = 0; r < result.rows; ++r) {
    for (int64_t c = 0; c < result.cols; ++c) {
      const double value = element(truth, r, c);
      consider(worst, {verb, r, c, element(tested, r, c), value, allowed(r, c, value), ""});
    }
  }
  finish(worst);
}

std::unique_ptr<PackedWeight> CheckedOps::pack(PackOrder order, std::span<const HostMatrix> parts,
                                               WeightFormat format) {
  auto weight = std::make_unique<CheckedWeight>();
  weight->tested = tested_.pack(order, parts, format);
  weight->truth = truth_.pack(order, parts, format);
  if (order == PackOrder::interleaved) {
    weight->stacked = truth_.pack(PackOrder::stacked, parts, format);
  }
  weight->norms = row_norms(parts, format);
  static_cast<PackedWeight&>(*weight) = *weight->tested;
  return weight;
}

std::unique_ptr<PackedVector> CheckedOps::pack_vector(std::span<const HostMatrix> parts) {
  auto vector = std::make_unique<CheckedVector>();
  vector->tested = tested_.pack_vector(parts);
  vector->truth = truth_.pack_vector(parts);
  static_cast<PackedVector&>(*vector) = *vector->tested;
  return vector;
}

std::unique_ptr<RopeTable> CheckedOps::make_rope(std::span<const double> frequencies, double factor,
                                                 int64_t positions) {
  auto table = std::make_unique<CheckedRope>();
  table->tested = tested_.make_rope(frequencies, factor, positions);
  table->truth = truth_.make_rope(frequencies, factor, positions);
  static_cast<RopeTable&>(*table) = *table->tested;
  return table;
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

void CheckedOps::prepare(const Pass& pass, const KvStore* kv,
                         std::unique_ptr<PreparedPass>& prepared) {
  auto& both = made_in<CheckedPass>(prepared);
  tested_.prepare(pass, kv == nullptr ? nullptr : own(*kv).tested.get(), both.tested);
  truth_.prepare(pass, kv == nullptr ? nullptr : own(*kv).truth.get(), both.truth);
  static_cast<PreparedPass&>(both) = *both.tested;
  both.keys.clear();
  for (const Sight& sight : pass.sights) {
    both.keys.push_back(sight.prefix.size() + sight.block.size());
  }
}

void CheckedOps::embed(const PreparedPass& pass, const PackedWeight& table, Matrix out) {
  Grid truth(truth_.activation(), out.rows, out.cols);
  truth_.embed(*own(pass).truth, *own(table).truth, truth);
  tested_.embed(*own(pass).tested, *own(table).tested, out);
  compare(Verb::embed, out, truth, [](int64_t, int64_t, double) { return 0; });
}

void CheckedOps::gather(Matrix x, std::span<const int32_t> rows, Matrix out) {
  Grid truth(truth_.activation(), out.rows, out.cols);
  truth_.gather(exact(x), rows, truth);
  tested_.gather(x, rows, out);
  compare(Verb::gather, out, truth, [](int64_t, int64_t, double) { return 0; });
}

void CheckedOps::scatter_add(Matrix x, std::span<const int32_t> rows, double scale, Matrix out) {
  const Grid before = Grid::copy(seen(out), DType::f64);
  const Grid truth = exact(out);
  truth_.scatter_add(exact(x), rows, scale, truth);
  tested_.scatter_add(x, rows, scale, out);
  compare(Verb::scatter_add, out, truth, [&](int64_t r, int64_t c, double value) {
    return scatter_add_tolerance(eps_, element(before, r, c), value);
  });
}

void CheckedOps::rms_norm(Matrix x, const PackedVector& weight, double eps, int heads, Matrix out) {
  const auto& both = dynamic_cast<const CheckedVector&>(weight);
  Grid truth(truth_.activation(), out.rows, out.cols);
  truth_.rms_norm(exact(x), *both.truth, eps, heads, truth);
  tested_.rms_norm(x, *both.tested, eps, heads, out);
  compare(Verb::rms_norm, out, truth, [&](int64_t, int64_t, double value) {
    return rounded(rms_norm_tolerance(eps_, x.cols / heads, value), value, out.dtype);
  });
}

void CheckedOps::linear(Matrix x, const PackedWeight& weight, const PackedVector* bias,
                        Matrix out) {
  const CheckedWeight& both = own(weight);
  const auto* const both_bias = dynamic_cast<const CheckedVector*>(bias);
  const auto x_norms = norms_of_rows(seen(x));
  Grid truth(truth_.activation(), out.rows, out.cols);
  truth_.linear(exact(x), *both.truth, both_bias == nullptr ? nullptr : both_bias->truth.get(),
                truth);
  tested_.linear(x, *both.tested, both_bias == nullptr ? nullptr : both_bias->tested.get(), out);
  compare(Verb::linear, out, truth, [&](int64_t r, int64_t c, double value) {
    const double error = product_tolerance(eps_, x.cols, x_norms[static_cast<size_t>(r)],
                                           both.norms[static_cast<size_t>(c)]);
    return rounded(error, value, out.dtype);
  });
}

void CheckedOps::linear_add(Matrix x, const PackedWeight& weight, Matrix out) {
  const CheckedWeight& both = own(weight);
  const auto x_norms = norms_of_rows(seen(x));
  const Grid truth = exact(out);
  truth_.linear_add(exact(x), *both.truth, truth);
  tested_.linear_add(x, *both.tested, out);
  compare(Verb::linear_add, out, truth, [&](int64_t r, int64_t c, double value) {
    const double error = product_tolerance(eps_, x.cols, x_norms[static_cast<size_t>(r)],
                                           both.norms[static_cast<size_t>(c)]);
    return rounded(error, value, out.dtype);
  });
}

void CheckedOps::linear_swiglu(Matrix x, const PackedWeight& gate_up, Matrix out) {
  const CheckedWeight& both = own(gate_up);
  const auto x_norms = norms_of_rows(seen(x));
  const Grid exact_x = exact(x);
  Grid truth(truth_.activation(), out.rows, out.cols);
  Grid parts(truth_.activation(), out.rows, 2 * out.cols);
  truth_.linear_swiglu(exact_x, *both.truth, truth);
  truth_.linear(exact_x, *both.stacked, nullptr, parts);
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

void CheckedOps::swiglu(Matrix gate_up, Matrix out) {
  const Grid exact_sums = exact(gate_up);
  Grid truth(truth_.activation(), out.rows, out.cols);
  truth_.swiglu(exact_sums, truth);
  tested_.swiglu(gate_up, out);
  compare(Verb::swiglu, out, truth, [&](int64_t r, int64_t c, double value) {
    const double gate = element(exact_sums, r, c), up = element(exact_sums, r, c + out.cols);
    return rounded(swiglu_tolerance(eps_, gate, 0, up, 0), value, out.dtype);
  });
}

void CheckedOps::rope(Matrix x, int heads, const PreparedPass& pass, const RopeTable& table) {
  const auto& both = dynamic_cast<const CheckedRope&>(table);
  const Grid before = Grid::copy(seen(x), DType::f64);
  const Grid truth = exact(x);
  truth_.rope(truth, heads, *own(pass).truth, *both.truth);
  tested_.rope(x, heads, *own(pass).tested, *both.tested);
  compare(Verb::rope, x, truth, [&](int64_t r, int64_t c, double) {
    const int64_t in_head = c % (2 * table.half);
    const int64_t pair = in_head < table.half ? c + table.half : c - table.half;
    return rope_tolerance(eps_, element(before, r, c), element(before, r, pair));
  });
}

void CheckedOps::store_kv(Matrix k, Matrix v, const PreparedPass& pass, KvStore& kv, int layer) {
  auto& both = dynamic_cast<CheckedKv&>(kv);
  const Grid keys = exact(k), values = exact(v);
  truth_.store_kv(keys, values, *own(pass).truth, *both.truth, layer);
  tested_.store_kv(k, v, *own(pass).tested, *both.tested, layer);
  const int size = kv.shape.head_size;
  const double growth = kept_growth(kv.shape.dtype, size);
  for (int64_t r = 0; r < k.rows; ++r) {
    for (int head = 0; head < kv.shape.kv_heads; ++head) {
      double& key_norm = both.key_norms[both.at(layer, head)];
      double& value_size = both.value_sizes[both.at(layer, head)];
      key_norm = std::max(key_norm, growth * norm_of(keys, r, head * size, (head + 1) * size));
      for (int64_t c = head * size; c < (head + 1) * size; ++c) {
        value_size = std::max(value_size, growth * std::abs(element(values, r, c)));
      }
    }
  }
}

void CheckedOps::move_kv(std::span<const SlotMove> moves, KvStore& kv) {
  const CheckedKv& both = own(kv);
  truth_.move_kv(moves, *both.truth);
  tested_.move_kv(moves, *both.tested);
}

void CheckedOps::attend(Matrix q, const PreparedPass& pass, const KvStore& kv, int layer,
                        Matrix out) {
  const CheckedKv& both = own(kv);
  Grid truth(truth_.activation(), out.rows, out.cols);
  const Grid queries = exact(q);
  truth_.attend(queries, *own(pass).truth, *both.truth, layer, truth);
  tested_.attend(q, *own(pass).tested, *both.tested, layer, out);

  const int size = kv.shape.head_size;
  const int64_t heads = q.cols / size;
  std::vector<double> allowed(static_cast<size_t>(q.rows * heads));
  for (int64_t r = 0; r < q.rows; ++r) {
    for (int64_t h = 0; h < heads; ++h) {
      const size_t at = both.at(layer, static_cast<int>(h / (heads / kv.shape.kv_heads)));
      AttendBounds bounds;
      bounds.q_norm = norm_of(queries, r, h * size, (h + 1) * size);
      bounds.key_norm = both.key_norms[at];
      bounds.value_size = both.value_sizes[at];
      bounds.keys = own(pass).keys[static_cast<size_t>(r)];
      bounds.head_size = size;
      bounds.rounds_to_bf16 = kv.shape.dtype == DType::bf16;
      bounds.has_scales = kv.shape.dtype == DType::i8;
      allowed[static_cast<size_t>(r * heads + h)] = attend_tolerance(eps_, bounds);
    }
  }
  compare(Verb::attend, out, truth, [&](int64_t r, int64_t c, double value) {
    return rounded(allowed[static_cast<size_t>(r * heads + c / size)], value, out.dtype);
  });
}

}  // namespace tidar
