#include "ops/ref/ref_ops.h"

#include "base/check.h"
#include "ops/checks.h"
#include "ops/ref/verbs.h"

namespace tidar {

namespace {

template <class T>
class RefOps final : public HostOps {
  static constexpr DType kType = DTypeOf<T>::value;

 public:
  std::string_view name() const override { return kType == DType::f64 ? "ref f64" : "ref f32"; }
  DType activation() const override { return kType; }
  DType operand(WeightFormat) const override { return kType; }
  bool supports_kv(DType dtype) const override {
    return dtype == kType || dtype == DType::f32 || dtype == DType::bf16 || dtype == DType::i8;
  }

  std::unique_ptr<PackedWeight> pack(PackOrder order, std::span<const HostMatrix> parts,
                                     WeightFormat format) override {
    check_pack(order, parts, format);
    return ref::pack<T>(order, parts, format);
  }

  std::unique_ptr<KvStore> make_kv(const KvShape& shape) override {
    check_kv_shape(*this, shape);
    return ref::make_kv<T>(shape);
  }

  void prepare(const Pass& pass, const KvStore* kv,
               std::unique_ptr<PreparedPass>& prepared) override {
    auto& made = made_in<ref::SlotPass>(prepared);
    if (kv == nullptr) {
      made.take_rows(pass);
    } else {
      made.plan(pass, kv->shape);
    }
  }

  void embed(const PreparedPass& pass, const PackedWeight& table, Matrix out) override {
    check_embed(*this, host(pass).tokens, table, out);
    ref::embed<T>(host(pass).tokens, own(table), out);
  }

  void gather(Matrix x, std::span<const int32_t> rows, Matrix out) override {
    check_gather(*this, x, rows, out);
    ref::gather<T>(x, rows, out);
  }

  void scatter_add(Matrix x, std::span<const int32_t> rows, double scale, Matrix out) override {
    check_scatter_add(*this, x, rows, out);
    ref::scatter_add<T>(x, rows, static_cast<T>(scale), out);
  }

  void rms_norm(Matrix x, const PackedVector& weight, double eps, int heads, Matrix out) override {
    check_rms_norm(*this, x, weight, heads, out);
    ref::rms_norm<T>(x, values_of(weight), eps, heads, out);
  }

  void linear(Matrix x, const PackedWeight& weight, const PackedVector* bias, Matrix out) override {
    check_linear(*this, x, weight, bias, out);
    ref::linear<T>(x, own(weight), bias == nullptr ? std::span<const float>() : values_of(*bias),
                   out);
  }

  void linear_add(Matrix x, const PackedWeight& weight, Matrix out) override {
    check_linear(*this, x, weight, nullptr, out);
    ref::linear_add<T>(x, own(weight), out);
  }

  void linear_swiglu(Matrix x, const PackedWeight& gate_up, Matrix out) override {
    check_linear_swiglu(*this, x, gate_up, out);
    ref::linear_swiglu<T>(x, own(gate_up), out);
  }

  void swiglu(Matrix gate_up, Matrix out) override {
    check_swiglu(*this, gate_up, out);
    ref::swiglu<T>(gate_up, out);
  }

  void rope(Matrix x, int heads, const PreparedPass& pass, const RopeTable& table) override {
    check_rope(*this, x, heads, host(pass).positions, table);
    ref::rotate<T>(x, heads, host(pass).positions, host(table), 1);
  }

  void store_kv(Matrix k, Matrix v, const PreparedPass& pass, KvStore& kv, int layer) override {
    check_store_kv(*this, k, v, pass, kv, layer);
    ref::store_kv<T>(k, v, own(pass).slots, own(kv), layer);
  }

  void move_kv(std::span<const SlotMove> moves, KvStore& kv) override {
    check_move_kv(moves, kv);
    ref::move_kv<T>(moves, own(kv));
  }

  void attend(Matrix q, const PreparedPass& pass, const KvStore& kv, int layer,
              Matrix out) override {
    check_attend(*this, q, pass, kv, layer, out);
    ref::attend<T>(q, own(pass), own(kv), layer, out);
  }

  void read_logits(Matrix logits, const Asks& asks, std::span<Answer> answers) override {
    check_read_logits(*this, logits, asks, answers);
    for (size_t i = 0; i < asks.size(); ++i)
      answers[i] = ref::read_logits<T>(logits, asks[i], asks);
  }

 private:
  static const ref::Weight<T>& own(const PackedWeight& weight) {
    const auto* result = dynamic_cast<const ref::Weight<T>*>(&weight);
    TIDAR_CHECK(result != nullptr && "packed by another backend");
    return *result;
  }
  static const ref::SlotPass& own(const PreparedPass& pass) {
    return static_cast<const ref::SlotPass&>(pass);
  }
  static const ref::Store<T>& own(const KvStore& kv) {
    const auto* result = dynamic_cast<const ref::Store<T>*>(&kv);
    TIDAR_CHECK(result != nullptr && "made by another backend");
    return *result;
  }
};

}  // namespace

std::unique_ptr<Ops> make_ref_ops(DType activation) {
  TIDAR_CHECK(activation == DType::f32 || activation == DType::f64);
  if (activation == DType::f64) return std::make_unique<RefOps<double>>();
  return std::make_unique<RefOps<float>>();
}

}  // namespace tidar
