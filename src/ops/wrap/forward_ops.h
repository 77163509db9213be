#pragma once
// A backend that passes every call on to another: the base of wrappers that change a few.

#include "ops/ops.h"

namespace tidar {

/// `inner` must outlive it. Weights and stores are the inner backend's.
class ForwardOps : public Ops {
 public:
  explicit ForwardOps(Ops& inner) : inner_(inner) {}

  std::string_view name() const override { return inner_.name(); }
  DType activation() const override { return inner_.activation(); }
  DType operand(DType weight) const override { return inner_.operand(weight); }
  bool supports_kv(DType dtype) const override { return inner_.supports_kv(dtype); }
  std::unique_ptr<PackedWeight> pack(PackOrder order, std::span<const HostMatrix> parts,
                                     DType dtype) override {
    return inner_.pack(order, parts, dtype);
  }
  std::unique_ptr<KvStore> make_kv(const KvShape& shape) override { return inner_.make_kv(shape); }
  void embed(std::span<const int32_t> tokens, const PackedWeight& table, Matrix out) override {
    inner_.embed(tokens, table, out);
  }
  void gather(Matrix x, std::span<const int32_t> rows, Matrix out) override {
    inner_.gather(x, rows, out);
  }
  void rms_norm(Matrix x, std::span<const float> weight, double eps, int heads,
                Matrix out) override {
    inner_.rms_norm(x, weight, eps, heads, out);
  }
  void linear(Matrix x, const PackedWeight& weight, std::span<const float> bias,
              Matrix out) override {
    inner_.linear(x, weight, bias, out);
  }
  void linear_add(Matrix x, const PackedWeight& weight, Matrix out) override {
    inner_.linear_add(x, weight, out);
  }
  void linear_swiglu(Matrix x, const PackedWeight& gate_up, Matrix out) override {
    inner_.linear_swiglu(x, gate_up, out);
  }
  void rope(Matrix x, int heads, std::span<const int32_t> positions,
            const RopeTable& table) override {
    inner_.rope(x, heads, positions, table);
  }
  void store_kv(Matrix k, Matrix v, std::span<const int32_t> slots, KvStore& kv,
                int layer) override {
    inner_.store_kv(k, v, slots, kv, layer);
  }
  void attend(Matrix q, const KvStore& kv, int layer, const AttendPlan& plan, Matrix out) override {
    inner_.attend(q, kv, layer, plan, out);
  }
  void read_logits(Matrix logits, const Asks& asks, std::span<Answer> answers) override {
    inner_.read_logits(logits, asks, answers);
  }

 protected:
  Ops& inner() const { return inner_; }

 private:
  Ops& inner_;
};

}  // namespace tidar
