#pragma once
// Runs every verb on two backends from the same inputs and compares the results.

#include <array>
#include <functional>
#include <memory>
#include <string>

#include "ops/ops.h"
#include "ops/wrap/grid.h"
#include "ops/wrap/verb.h"

namespace tidar {

/// A result that lies too far from the truth.
struct Difference {
  Verb verb = Verb::embed;
  int64_t row = 0;
  int64_t col = 0;
  double tested = 0;
  double truth = 0;
  double allowed = 0;  ///< tolerance.h
  std::string what;    ///< "", or which part of an answer: "token", "logprob", "top 3"

  std::string text() const;
};

/// Verbs give the tested backend's results, so a whole network can run on it. The truth gets the
/// tested backend's inputs each time (converted to its activation type), so that differences do not
/// pile up from verb to verb. Keys and values are compared where they are read, in attend().
/// Tolerances are for a truth in float64; one in float32 has errors of its own.
///
/// At most one difference is reported a call, and of read_logits() one an answer: the worst in
/// proportion to what is allowed. Both backends must outlive it; the truth's memory is the host's.
/// Slow, and keeps the weights up to three times: for tests.
class CheckedOps final : public Ops {
 public:
  using Report = std::function<void(const Difference&)>;

  /// Without a report, the first difference stops the program with its text.
  CheckedOps(Ops& tested, Ops& truth, Report report = nullptr);

  /// The largest share of the allowed distance that a verb has used so far: 1 is the border.
  double worst(Verb verb) const { return worst_[static_cast<size_t>(verb)]; }
  /// Numbers compared so far.
  int64_t compared() const { return compared_; }

  std::string_view name() const override { return name_; }
  DType activation() const override { return tested_.activation(); }
  DType operand(WeightFormat weight) const override { return tested_.operand(weight); }
  bool supports_kv(DType dtype) const override {
    return tested_.supports_kv(dtype) && truth_.supports_kv(dtype);
  }
  std::unique_ptr<PackedWeight> pack(PackOrder order, std::span<const HostMatrix> parts,
                                     WeightFormat format) override;
  std::unique_ptr<PackedVector> pack_vector(std::span<const HostMatrix> parts) override;
  std::unique_ptr<RopeTable> make_rope(std::span<const double> frequencies, double factor,
                                       int64_t positions) override;
  std::unique_ptr<KvStore> make_kv(const KvShape& shape) override;
  std::unique_ptr<Memory> allocate(int64_t bytes) override { return tested_.allocate(bytes); }
  void read(Matrix from, Matrix host) override { tested_.read(from, host); }
  void write(Matrix host, Matrix to) override { tested_.write(host, to); }
  void copy(Matrix from, Matrix to) override { tested_.copy(from, to); }
  void clear(Matrix x) override { tested_.clear(x); }
  void prepare(const Pass& pass, const KvStore* kv,
               std::unique_ptr<PreparedPass>& prepared) override;
  void embed(const PreparedPass& pass, const PackedWeight& table, Matrix out) override;
  void gather(Matrix x, std::span<const int32_t> rows, Matrix out) override;
  void scatter_add(Matrix x, std::span<const int32_t> rows, double scale, Matrix out) override;
  void rms_norm(Matrix x, const PackedVector& weight, double eps, int heads, Matrix out) override;
  void linear(Matrix x, const PackedWeight& weight, const PackedVector* bias, Matrix out) override;
  void linear_add(Matrix x, const PackedWeight& weight, Matrix out) override;
  void linear_swiglu(Matrix x, const PackedWeight& gate_up, Matrix out) override;
  void swiglu(Matrix gate_up, Matrix out) override;
  void rope(Matrix x, int heads, const PreparedPass& pass, const RopeTable& table) override;
  void store_kv(Matrix k, Matrix v, const PreparedPass& pass, KvStore& kv, int layer) override;
  void move_kv(std::span<const SlotMove> moves, KvStore& kv) override;
  void attend(Matrix q, const PreparedPass& pass, const KvStore& kv, int layer,
              Matrix out) override;
  void read_logits(Matrix logits, const Asks& asks, std::span<Answer> answers) override;

 private:
  /// How far element (row, col) may lie from the truth's value there.
  using Allowed = std::function<double(int64_t row, int64_t col, double truth)>;

  /// The elements of a matrix of the tested backend, as they are; and as the truth has them.
  Grid seen(Matrix tested) const;
  Grid exact(Matrix tested) const;
  void compare(Verb verb, Matrix result, Matrix truth, const Allowed& allowed);
  void check_answer(Matrix truth_logits, const Ask& ask, const Asks& asks, const Answer& tested,
                    const Answer& truth);
  void consider(Difference& worst, const Difference& found);
  void finish(const Difference& worst);

  Ops& tested_;
  Ops& truth_;
  Report report_;
  std::string name_;
  double eps_;
  std::array<double, kVerbs> worst_{};
  int64_t compared_ = 0;
};

}  // namespace tidar
