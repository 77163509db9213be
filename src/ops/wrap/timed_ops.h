#pragma once
// Measures every verb of a backend: calls, seconds, bytes, operations, share of the roof.

#include <array>
#include <memory>
#include <string>

#include "ops/wrap/forward_ops.h"
#include "ops/wrap/verb.h"
#include "ops/wrap/work.h"

namespace tidar {

/// What a machine can do at best, as measured on it.
struct Roofs {
  double bytes_per_s = 0;
  double flops_per_s = 0;
};

/// The account of one verb.
struct VerbTimes {
  int64_t calls = 0;
  double seconds = 0;
  Work work;

  /// Time that the roofs would allow (the slower of memory and arithmetic) ÷ time taken; 0 when
  /// nothing was measured.
  double share_of_roof(const Roofs& roofs) const;
};

/// When a verb is taken to be done: when it returns, or, where the backend queues its work, when
/// that is done, for which a number of its memory is read.
enum class VerbEnds : uint8_t { returned, done };

/// Calls go through to `inner`, which must outlive it; two readings of the clock are added to each,
/// about 50 ns, and where verbs end when they are done a wait, so that none overlaps the next.
class TimedOps final : public ForwardOps {
 public:
  explicit TimedOps(Ops& inner, VerbEnds ends = VerbEnds::returned);

  const VerbTimes& times(Verb verb) const { return times_[static_cast<size_t>(verb)]; }
  VerbTimes total() const;
  void reset() { times_ = {}; }

  /// A line a verb that was called, the slowest first, and their total: calls, ms, share of the
  /// time, GB/s, GFLOP/s, share of the roof.
  std::string table(const Roofs& roofs) const;

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
  template <class Call>
  void measure(Verb verb, const Work& work, Call&& call);

  std::array<VerbTimes, kVerbs> times_{};
  std::unique_ptr<Memory> awaited_;  // what is read to wait; none: verbs end when they return
};

}  // namespace tidar
