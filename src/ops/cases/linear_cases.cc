// Cases of the products: linear, linear_add, linear_swiglu.

#include "ops/cases/inputs.h"

namespace tidar {
namespace {

class Linear final : public PreparedCase {
 public:
  Linear(Ops& ops, const LinearShape& shape, uint64_t seed)
      : ops_(ops),
        verb_(shape.verb),
        rng_(seed),
        x_(ops, rng_, ops.operand(shape.weight), shape.rows, shape.inputs),
        before_(ops, rng_, ops.activation(), shape.rows, shape.outputs),
        products_(
            ops,
            shape.verb == Verb::linear_swiglu ? next_operand(shape.weight, seed) : ops.activation(),
            shape.rows, shape.outputs) {
    weight_ = pack(shape);
    if (shape.has_bias) bias_ = pack_floats(ops, normal_floats(rng_, shape.outputs, 0, 1));
  }

  void load(std::span<const int32_t> rows) override {
    x_.load(rows);
    before_.load(rows);
  }

  void run() override {
    if (verb_ == Verb::linear) ops_.linear(x_.view(), *weight_, bias_.get(), view());
    if (verb_ == Verb::linear_add) ops_.linear_add(x_.view(), *weight_, view());
    if (verb_ == Verb::linear_swiglu) ops_.linear_swiglu(x_.view(), *weight_, view());
  }

  Rows results() const override { return rows_of(ops_, view()); }

 private:
  // What the next product wants, whose weight may have another format.
  DType next_operand(WeightFormat weight, uint64_t seed) const {
    if (seed % 2 == 0) return ops_.operand(weight);
    return ops_.operand(weight == WeightFormat::bf16 ? WeightFormat::f32 : WeightFormat::bf16);
  }

  // Stacked weights come in up to three parts of unequal height, as q | k | v do.
  std::unique_ptr<PackedWeight> pack(const LinearShape& shape) {
    std::vector<FileWeight> parts;
    if (verb_ == Verb::linear_swiglu) {
      parts.emplace_back(rng_, shape.stored, shape.outputs, shape.inputs);
      parts.emplace_back(rng_, shape.stored, shape.outputs, shape.inputs);
    } else {
      const int first = (shape.outputs + 1) / 2, second = shape.outputs / 3;
      const int third = shape.outputs - first - second;
      for (const int part : {first, second, third}) {
        if (part > 0) parts.emplace_back(rng_, shape.stored, part, shape.inputs);
      }
    }
    std::vector<HostMatrix> matrices;
    for (const FileWeight& part : parts) matrices.push_back(part.matrix());
    const auto order = verb_ == Verb::linear_swiglu ? PackOrder::interleaved : PackOrder::stacked;
    return ops_.pack(order, matrices, shape.weight);
  }

  Matrix view() const {
    return verb_ == Verb::linear_add ? before_.view() : products_.first_rows(x_.view().rows);
  }

  Ops& ops_;
  Verb verb_;
  Rng rng_;
  Input x_;
  Input before_;
  Slice products_;
  std::unique_ptr<PackedWeight> weight_;
  std::unique_ptr<PackedVector> bias_;
};

}  // namespace

Case make_case(const LinearShape& shape, uint64_t seed) {
  return case_of<Linear>(shape.verb,
                         fmt::format("{} R {} N {} K {} {} from {}{}", name_of(shape.verb),
                                     shape.rows, shape.outputs, shape.inputs, name_of(shape.weight),
                                     name_of(shape.stored), shape.has_bias ? " with bias" : ""),
                         shape.rows, shape, seed);
}

}  // namespace tidar
