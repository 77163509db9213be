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
  DType operand(WeightFormat weight) const override { return inner_.operand(weight); }
  bool supports_kv(DType dtype) const override { return inner_.supports_kv(dtype); }
  std::unique_ptr<PackedWeight> pack(PackOrder order, std::span<const HostMatrix> parts,
                                     WeightFormat format) override {
    return inner_.pack(order, parts, format);
  }
  std::unique_ptr<PackedVector> pack_vector(std::span<const HostMatrix> parts) override {
    return inner_.pack_vector(parts);
  }
  std::unique_ptr<RopeTable> make_rope(std::span<const double> frequencies, double factor,
                                       int64_t positions) override {
    return inner_.make_rope(frequencies, factor, positions);
  }
  std::unique_ptr<KvStore> make_kv(const KvShape& shape) override { return inner_.make_kv(shape); }
  std::unique_ptr<Memory> allocate(int64_t bytes) override { return inner_.allocate(bytes); }
  void read(Matrix from, Matrix host) override { inner_.read(from, host); }
  void write(Matrix host, Matrix to) override { inner_.write(host, to); }
  void copy(Matrix from, Matrix to) override { inner_.copy(from, to); }
  void clear(Matrix x) override { inner_.clear(x); }
  void prepare(const Pass& pass, const KvStore* kv,
               std::unique_ptr<PreparedPass>& prepared) override {
    inner_.prepare(pass, kv, prepared);
  }
  void embed(const PreparedPass& pass, const PackedWeight& table, Matrix out) override {
    inner_.embed(pass, table, out);
  }
  void gather(Matrix x, std::span<const int32_t> rows, Matrix out) override {
    inner_.gather(x, rows, out);
  }
  void scatter_add(Matrix x, std::span<const int32_t> rows, double scale, Matrix out) override {
    inner_.scatter_add(x, rows, scale, out);
  }
  void rms_norm(Matrix x, const PackedVector& weight, double eps, int heads, Matrix out) override {
    inner_.rms_norm(x, weight, eps, heads, out);
  }
  void linear(Matrix x, const PackedWeight& weight, const PackedVector* bias, Matrix out) override {
    inner_.linear(x, weight, bias, out);
  }
  void linear_add(Matrix x, const PackedWeight& weight, Matrix out) override {
    inner_.linear_add(x, weight, out);
  }
  void linear_swiglu(Matrix x, const PackedWeight& gate_up, Matrix out) override {
    inner_.linear_swiglu(x, gate_up, out);
  }
  void swiglu(Matrix gate_up, Matrix out) override { inner_.swiglu(gate_up, out); }
  void rope(Matrix x, int heads, const PreparedPass& pass, const RopeTable& table) override {
    inner_.rope(x, heads, pass, table);
  }
  void store_kv(Matrix k, Matrix v, const PreparedPass& pass, KvStore& kv, int layer) override {
    inner_.store_kv(k, v, pass, kv, layer);
  }
  void move_kv(std::span<const SlotMove> moves, KvStore& kv) override { inner_.move_kv(moves, kv); }
  void attend(Matrix q, const PreparedPass& pass, const KvStore& kv, int layer,
              Matrix out) override {
    inner_.attend(q, pass, kv, layer, out);
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
