#pragma once
// A backend as a device would be one: its memory lies where the host cannot look, and its verbs
// come late. For tests of what stands above ops: whoever looks into memory, relies on a result
// before it is read, or uses what was destroyed does not get through them.

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "ops/wrap/forward_backward.h"
#include "ops/wrap/forward_ops.h"

namespace tidar {

/// Memory that exists twice: where matrices point, any access is a fault; the verbs of a host
/// backend see the same bytes elsewhere. What the backend has made and is not destroyed yet. And
/// the calls that were made and not carried out yet.
class Fence {
 public:
  /// While it lives, `thing` exists: a weight, a store, a prepared pass. Calls that may use it are
  /// carried out before that ends.
  class Existence {
   public:
    Existence(Fence& fence, const void* thing);
    ~Existence();
    Existence(const Existence&) = delete;
    Existence& operator=(const Existence&) = delete;

   private:
    Fence& fence_;
    const void* thing_;
  };

  /// Stops the program where this backend did not make the thing, or it was destroyed.
  void check_exists(const void* thing) const;

  std::unique_ptr<Memory> allocate(int64_t bytes);
  /// The same matrix where it can be read. It must be of memory that allocate() gave.
  Matrix inside(Matrix fenced) const;
  /// As inside(), but a matrix of the host's memory is left as it is, and so is one without data.
  Matrix inside_or_host(Matrix matrix) const;

  void later(std::function<void()> call) { calls_.push_back(std::move(call)); }
  /// Carries out what was called, in order.
  void catch_up();

 private:
  struct Mapping {
    std::byte* inside = nullptr;
    int64_t bytes = 0;
  };
  class FencedMemory;
  const Mapping* find(const std::byte* address) const;

  std::map<const std::byte*, Mapping> mappings_;  // by the first byte of the fenced side
  std::set<const void*> existing_;
  std::vector<std::function<void()>> calls_;
};

/// `inner`'s memory must be the host's; it must outlive the result. Gives `inner`'s results, to the
/// bit.
class FencedOps : public ForwardOps {
 public:
  explicit FencedOps(Ops& inner) : ForwardOps(inner) {}
  ~FencedOps() override { fence_.catch_up(); }

  Fence& fence() { return fence_; }

  std::unique_ptr<PackedWeight> pack(PackOrder order, std::span<const HostMatrix> parts,
                                     WeightFormat format) override;
  std::unique_ptr<PackedVector> pack_vector(std::span<const HostMatrix> parts) override;
  std::unique_ptr<RopeTable> make_rope(std::span<const double> frequencies, double factor,
                                       int64_t positions) override;
  std::unique_ptr<KvStore> make_kv(const KvShape& shape) override;
  std::unique_ptr<Memory> allocate(int64_t bytes) override { return fence_.allocate(bytes); }
  void read(Matrix from, Matrix host) override;
  void write(Matrix host, Matrix to) override;
  void copy(Matrix from, Matrix to) override;
  void clear(Matrix x) override;
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
  Fence fence_;
};

/// The backward halves behind the same fence. `inner`'s forward is that which `forward` wraps.
class FencedBackward final : public ForwardBackward {
 public:
  FencedBackward(BackwardOps& inner, FencedOps& forward)
      : ForwardBackward(inner), forward_(forward) {}
  ~FencedBackward() override { fence().catch_up(); }

  Ops& forward() override { return forward_; }
  void finish() override;
  std::unique_ptr<TrainedWeight> make_weight(PackOrder order, std::span<const Matrix> masters,
                                             WeightFormat format) override;
  std::unique_ptr<TrainedVector> make_vector(std::span<const Matrix> masters) override;
  void refresh(TrainedWeight& weight) override;
  void refresh(TrainedVector& vector) override;
  void linear(Matrix x, const TrainedWeight& weight, Matrix d_out,
              const LinearGradients& gradients) override;
  void gate_up(Matrix x, const TrainedWeight& weight, Matrix gate_up) override;
  void swiglu_backward(Matrix gate_up, Matrix d_out, Matrix d_gate_up) override;
  void rms_norm(const RmsNormCall& call, Matrix d_out, Into into, Matrix d_x,
                Matrix d_weight) override;
  void rope(Matrix d_x, int heads, const PreparedPass& pass, const RopeTable& table) override;
  void attend(const AttendRows& rows, Matrix out, Matrix log_sums) override;
  void attend_backward(const AttendRows& rows, Matrix out, Matrix log_sums, Matrix d_out,
                       const AttendGradients& gradients) override;
  void embed(const PreparedPass& pass, Matrix d_out, Matrix d_table) override;
  void cross_entropy(Matrix logits, std::span<const Label> labels,
                     std::span<double> losses) override;

 private:
  Fence& fence() const { return forward_.fence(); }

  FencedOps& forward_;
};

}  // namespace tidar
