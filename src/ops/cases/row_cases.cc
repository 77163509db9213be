// Cases of the verbs that copy or change rows one by one: embed, gather, scatter_add, rms_norm,
// swiglu, rope.

#include <numeric>

#include "ops/cases/inputs.h"

namespace tidar {
namespace {

class Embed final : public PreparedCase {
 public:
  Embed(Ops& ops, const EmbedShape& shape, uint64_t seed)
      : ops_(ops), rng_(seed), out_(ops, ops.activation(), shape.rows, shape.cols) {
    const FileWeight table(rng_, DType::f32, shape.vocabulary, shape.cols);
    table_ = ops.pack(PackOrder::stacked, {&table.matrix(), 1}, shape.weight);
    for (int r = 0; r < shape.rows; ++r) all_tokens_.push_back(rng_.below(shape.vocabulary));
  }
  void load(std::span<const int32_t> rows) override {
    pass_ = prepare_rows(ops_, rows.size(), {.tokens = pick(all_tokens_, rows)});
  }
  void run() override { ops_.embed(*pass_, *table_, view()); }
  Rows results() const override { return rows_of(ops_, view()); }

 private:
  Matrix view() const { return out_.first_rows(pass_->rows); }
  Ops& ops_;
  Rng rng_;
  Slice out_;
  std::unique_ptr<PackedWeight> table_;
  std::vector<int32_t> all_tokens_;
  std::unique_ptr<PreparedPass> pass_;
};

class Gather final : public PreparedCase {
 public:
  Gather(Ops& ops, const GatherShape& shape, uint64_t seed)
      : ops_(ops),
        rng_(seed),
        x_(ops, rng_, ops.activation(), shape.source_rows, shape.cols),
        out_(ops, ops.activation(), shape.rows, shape.cols) {
    std::vector<int32_t> all(static_cast<size_t>(shape.source_rows));
    std::iota(all.begin(), all.end(), 0);
    x_.load(all);
    for (int r = 0; r < shape.rows; ++r) all_rows_.push_back(rng_.below(shape.source_rows));
  }
  void load(std::span<const int32_t> rows) override { rows_ = pick(all_rows_, rows); }
  void run() override { ops_.gather(x_.view(), rows_, view()); }
  Rows results() const override { return rows_of(ops_, view()); }

 private:
  Matrix view() const { return out_.first_rows(count_of(rows_)); }
  Ops& ops_;
  Rng rng_;
  Input x_;
  Slice out_;
  std::vector<int32_t> all_rows_, rows_;
};

// Results are the rows that are added to; none else may change, which CheckedOps sees.
class ScatterAdd final : public PreparedCase {
 public:
  ScatterAdd(Ops& ops, const ScatterAddShape& shape, uint64_t seed)
      : ops_(ops),
        rng_(seed),
        x_(ops, rng_, ops.activation(), shape.rows, shape.cols),
        out_(ops, rng_, ops.activation(), shape.target_rows, shape.cols),
        scale_(rng_.normal()) {
    all_targets_.resize(static_cast<size_t>(shape.target_rows));
    std::iota(all_targets_.begin(), all_targets_.end(), 0);
    targets_ = all_targets_;
    for (size_t i = 0; i < static_cast<size_t>(shape.rows); ++i) {
      std::swap(
          targets_[i],
          targets_[i + static_cast<size_t>(rng_.below(shape.target_rows - static_cast<int>(i)))]);
    }
  }
  void load(std::span<const int32_t> rows) override {
    x_.load(rows);
    out_.load(all_targets_);
    rows_ = pick(targets_, rows);
  }
  void run() override { ops_.scatter_add(x_.view(), rows_, scale_, out_.view()); }
  Rows results() const override {
    const Rows all = rows_of(ops_, out_.view());
    Rows mine;
    for (const int32_t row : rows_) mine.push_back(all[static_cast<size_t>(row)]);
    return mine;
  }

 private:
  Ops& ops_;
  Rng rng_;
  Input x_, out_;
  double scale_;
  std::vector<int32_t> all_targets_, targets_, rows_;
};

class Swiglu final : public PreparedCase {
 public:
  Swiglu(Ops& ops, const SwigluShape& shape, uint64_t seed)
      : ops_(ops),
        rng_(seed),
        gate_up_(ops, rng_, ops.activation(), shape.rows, 2 * int64_t{shape.outputs}),
        out_(ops, ops.operand(shape.weight), shape.rows, shape.outputs) {
    for (int r = 0; r < shape.rows; r += 2) gate_up_.scale_row(r, 4);
  }
  void load(std::span<const int32_t> rows) override { gate_up_.load(rows); }
  void run() override { ops_.swiglu(gate_up_.view(), view()); }
  Rows results() const override { return rows_of(ops_, view()); }

 private:
  Matrix view() const { return out_.first_rows(gate_up_.view().rows); }
  Ops& ops_;
  Rng rng_;
  Input gate_up_;
  Slice out_;
};

class RmsNorm final : public PreparedCase {
 public:
  RmsNorm(Ops& ops, const RmsNormShape& shape, uint64_t seed)
      : ops_(ops),
        heads_(shape.heads),
        rng_(seed),
        x_(ops, rng_, ops.activation(), shape.rows, shape.cols),
        out_(ops, ops.operand(shape.weight), shape.rows, shape.cols),
        weight_(pack_floats(ops, normal_floats(rng_, shape.cols / shape.heads, 1, 0.2f))),
        in_place_(ops.operand(shape.weight) == ops.activation() && seed % 2 == 0) {
    // Small enough that the epsilon decides.
    for (int r = 0; r < shape.rows; r += 3) x_.scale_row(r, 1e-3);
  }
  void load(std::span<const int32_t> rows) override { x_.load(rows); }
  void run() override { ops_.rms_norm(x_.view(), *weight_, 1e-6, heads_, view()); }
  Rows results() const override { return rows_of(ops_, view()); }

 private:
  Matrix view() const { return in_place_ ? x_.view() : out_.first_rows(x_.view().rows); }
  Ops& ops_;
  int heads_;
  Rng rng_;
  Input x_;
  Slice out_;
  std::unique_ptr<PackedVector> weight_;
  bool in_place_;
};

class Rope final : public PreparedCase {
 public:
  Rope(Ops& ops, const RopeShape& shape, uint64_t seed)
      : ops_(ops),
        heads_(shape.heads),
        rng_(seed),
        x_(ops, rng_, ops.activation(), shape.rows, int64_t{shape.heads} * shape.head_size),
        table_(ops.make_rope(rope_frequencies(shape.head_size), 1, shape.positions)) {
    for (int r = 0; r < shape.rows; ++r) all_positions_.push_back(rng_.below(shape.positions));
  }
  void load(std::span<const int32_t> rows) override {
    x_.load(rows);
    pass_ = prepare_rows(ops_, rows.size(), {.positions = pick(all_positions_, rows)});
  }
  void run() override { ops_.rope(x_.view(), heads_, *pass_, *table_); }
  Rows results() const override { return rows_of(ops_, x_.view()); }

 private:
  Ops& ops_;
  int heads_;
  Rng rng_;
  Input x_;
  std::unique_ptr<RopeTable> table_;
  std::vector<int32_t> all_positions_;
  std::unique_ptr<PreparedPass> pass_;
};

}  // namespace

Case make_case(const EmbedShape& shape, uint64_t seed) {
  return case_of<Embed>(Verb::embed,
                        fmt::format("embed R {} V {} K {} {}", shape.rows, shape.vocabulary,
                                    shape.cols, name_of(shape.weight)),
                        shape.rows, shape, seed);
}

Case make_case(const GatherShape& shape, uint64_t seed) {
  return case_of<Gather>(
      Verb::gather,
      fmt::format("gather R {} of {} cols {}", shape.rows, shape.source_rows, shape.cols),
      shape.rows, shape, seed);
}

Case make_case(const ScatterAddShape& shape, uint64_t seed) {
  return case_of<ScatterAdd>(
      Verb::scatter_add,
      fmt::format("scatter_add R {} to {} cols {}", shape.rows, shape.target_rows, shape.cols),
      shape.rows, shape, seed);
}

Case make_case(const SwigluShape& shape, uint64_t seed) {
  return case_of<Swiglu>(
      Verb::swiglu,
      fmt::format("swiglu R {} N {} for {}", shape.rows, shape.outputs, name_of(shape.weight)),
      shape.rows, shape, seed);
}

Case make_case(const RmsNormShape& shape, uint64_t seed) {
  return case_of<RmsNorm>(Verb::rms_norm,
                          fmt::format("rms_norm R {} C {} heads {} for {}", shape.rows, shape.cols,
                                      shape.heads, name_of(shape.weight)),
                          shape.rows, shape, seed);
}

Case make_case(const RopeShape& shape, uint64_t seed) {
  return case_of<Rope>(Verb::rope,
                       fmt::format("rope R {} H {} E {}", shape.rows, shape.heads, shape.head_size),
                       shape.rows, shape, seed);
}

}  // namespace tidar
