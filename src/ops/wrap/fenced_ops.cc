#include "ops/wrap/fenced_ops.h"

#include <sys/mman.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "base/check.h"

namespace tidar {

// One file in memory, mapped twice.
class Fence::FencedMemory final : public Memory {
 public:
  FencedMemory(Fence& fence, int64_t size) : fence_(fence) {
    bytes = size;
    const auto length = mapped_bytes();
    const int file = memfd_create("tidar-fenced", 0);
    TIDAR_CHECK(file >= 0);
    TIDAR_CHECK_EQ(ftruncate(file, static_cast<off_t>(length)), 0);
    void* const outside = mmap(nullptr, length, PROT_NONE, MAP_SHARED, file, 0);
    void* const inside = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    TIDAR_CHECK(outside != MAP_FAILED && inside != MAP_FAILED);
    close(file);
    data = static_cast<std::byte*>(outside);
    inside_ = static_cast<std::byte*>(inside);
    fence_.mappings_[data] = {inside_, static_cast<int64_t>(length)};
  }
  ~FencedMemory() override {
    fence_.catch_up();
    fence_.mappings_.erase(data);
    munmap(data, mapped_bytes());
    munmap(inside_, mapped_bytes());
  }

 private:
  size_t mapped_bytes() const { return static_cast<size_t>(bytes) + 1; }  // never none

  Fence& fence_;
  std::byte* inside_;
};

std::unique_ptr<Memory> Fence::allocate(int64_t bytes) {
  return std::make_unique<FencedMemory>(*this, bytes);
}

const Fence::Mapping* Fence::find(const std::byte* address) const {
  auto behind = mappings_.upper_bound(address);
  if (behind == mappings_.begin()) return nullptr;
  const auto& [first, mapping] = *--behind;
  return address < first + mapping.bytes ? &mapping : nullptr;
}

Matrix Fence::inside_or_host(Matrix matrix) const {
  const Mapping* const mapping = find(matrix.data);
  if (mapping == nullptr) return matrix;
  const std::byte* const first = std::prev(mappings_.upper_bound(matrix.data))->first;
  matrix.data = mapping->inside + (matrix.data - first);
  return matrix;
}

Matrix Fence::inside(Matrix fenced) const {
  if (fenced.rows == 0 || fenced.cols == 0) return fenced;
  TIDAR_CHECK(find(fenced.data) != nullptr && "memory of this backend");
  return inside_or_host(fenced);
}

Fence::Existence::Existence(Fence& fence, const void* thing) : fence_(fence), thing_(thing) {
  fence_.existing_.insert(thing_);
}

Fence::Existence::~Existence() {
  fence_.catch_up();
  fence_.existing_.erase(thing_);
}

void Fence::check_exists(const void* thing) const {
  TIDAR_CHECK(existing_.contains(thing) && "something that this backend made and still has");
}

void Fence::catch_up() {
  std::vector<std::function<void()>> calls;
  calls.swap(calls_);
  for (const auto& call : calls) call();
}

namespace {

// Plain facts of the inner backend's thing, which stays behind them.
template <class Thing>
class Fenced final : public Thing {
 public:
  Fenced(Fence& fence, const Thing& inner) : inner_(inner), existence_(fence, this) {
    static_cast<Thing&>(*this) = inner;
  }
  Fenced(Fence& fence, std::unique_ptr<Thing> inner) : Fenced(fence, *inner) {
    owned_ = std::move(inner);
  }
  const Thing& inner() const { return inner_; }
  Thing& owned() const { return *owned_; }

 private:
  const Thing& inner_;
  std::unique_ptr<Thing> owned_;
  Fence::Existence existence_;
};

template <class Thing>
std::unique_ptr<Thing> fenced(Fence& fence, std::unique_ptr<Thing> inner) {
  return std::make_unique<Fenced<Thing>>(fence, std::move(inner));
}

template <class Thing>
const Fenced<Thing>& existing(const Fence& fence, const Thing& thing) {
  fence.check_exists(&thing);
  return static_cast<const Fenced<Thing>&>(thing);
}

template <class Thing>
const Thing* inner_of(const Fence& fence, const Thing* thing) {
  return thing == nullptr ? nullptr : &existing(fence, *thing).inner();
}

// The inner backend's pass, made when its turn comes.
struct FencedPass final : PreparedPass {
  std::unique_ptr<PreparedPass> inner;
  std::optional<Fence::Existence> existence;
};

const FencedPass& existing(const Fence& fence, const PreparedPass& pass) {
  fence.check_exists(&pass);
  return static_cast<const FencedPass&>(pass);
}

// `Weight` is what the forward makes of it.
template <class Trained, class Weight>
class FencedTrained : public Trained {
 public:
  FencedTrained(Fence& fence, std::unique_ptr<Trained> inner)
      : inner_(std::move(inner)), forward_(fence, inner_->forward()), existence_(fence, this) {}
  const Weight& forward() const override { return forward_; }
  Trained& inner() const { return *inner_; }

 private:
  std::unique_ptr<Trained> inner_;
  Fenced<Weight> forward_;
  Fence::Existence existence_;
};

class FencedWeight final : public FencedTrained<TrainedWeight, PackedWeight> {
 public:
  using FencedTrained::FencedTrained;
  int64_t bytes() const override { return inner().bytes(); }
};

class FencedVector final : public FencedTrained<TrainedVector, PackedVector> {
 public:
  using FencedTrained::FencedTrained;
};

TrainedWeight& inner_of(const Fence& fence, const TrainedWeight& weight) {
  fence.check_exists(&weight);
  return static_cast<const FencedWeight&>(weight).inner();
}

TrainedVector& inner_of(const Fence& fence, const TrainedVector& vector) {
  fence.check_exists(&vector);
  return static_cast<const FencedVector&>(vector).inner();
}

std::vector<int32_t> copy_of(std::span<const int32_t> numbers) {
  return {numbers.begin(), numbers.end()};
}

}  // namespace

std::unique_ptr<PackedWeight> FencedOps::pack(PackOrder order, std::span<const HostMatrix> parts,
                                              WeightFormat format) {
  return fenced(fence_, inner().pack(order, parts, format));
}

std::unique_ptr<PackedVector> FencedOps::pack_vector(std::span<const HostMatrix> parts) {
  return fenced(fence_, inner().pack_vector(parts));
}

std::unique_ptr<RopeTable> FencedOps::make_rope(std::span<const double> frequencies, double factor,
                                                int64_t positions) {
  return fenced(fence_, inner().make_rope(frequencies, factor, positions));
}

std::unique_ptr<KvStore> FencedOps::make_kv(const KvShape& shape) {
  return fenced(fence_, inner().make_kv(shape));
}

void FencedOps::read(Matrix from, Matrix host) {
  fence_.catch_up();
  inner().read(fence_.inside(from), host);
}

// The host's memory is the caller's again at once.
void FencedOps::write(Matrix host, Matrix to) {
  fence_.catch_up();
  inner().write(host, fence_.inside(to));
}

void FencedOps::copy(Matrix from, Matrix to) {
  from = fence_.inside(from), to = fence_.inside(to);
  fence_.later([=, this] { inner().copy(from, to); });
}

void FencedOps::clear(Matrix x) {
  x = fence_.inside(x);
  fence_.later([=, this] { inner().clear(x); });
}

void FencedOps::prepare(const Pass& pass, const KvStore* kv,
                        std::unique_ptr<PreparedPass>& prepared) {
  auto* const made = &made_in<FencedPass>(prepared);
  if (!made->existence) made->existence.emplace(fence_, made);
  made->rows = pass.rows();
  fence_.later([=, this, kv = inner_of(fence_, kv)] { inner().prepare(pass, kv, made->inner); });
}

void FencedOps::embed(const PreparedPass& pass, const PackedWeight& table, Matrix out) {
  out = fence_.inside(out);
  fence_.later([=, this, &pass = existing(fence_, pass), table = inner_of(fence_, &table)] {
    inner().embed(*pass.inner, *table, out);
  });
}

void FencedOps::gather(Matrix x, std::span<const int32_t> rows, Matrix out) {
  x = fence_.inside(x), out = fence_.inside(out);
  fence_.later([=, this, rows = copy_of(rows)] { inner().gather(x, rows, out); });
}

void FencedOps::scatter_add(Matrix x, std::span<const int32_t> rows, double scale, Matrix out) {
  x = fence_.inside(x), out = fence_.inside(out);
  fence_.later([=, this, rows = copy_of(rows)] { inner().scatter_add(x, rows, scale, out); });
}

void FencedOps::rms_norm(Matrix x, const PackedVector& weight, double eps, int heads, Matrix out) {
  x = fence_.inside(x), out = fence_.inside(out);
  fence_.later([=, this, weight = inner_of(fence_, &weight)] {
    inner().rms_norm(x, *weight, eps, heads, out);
  });
}

void FencedOps::linear(Matrix x, const PackedWeight& weight, const PackedVector* bias, Matrix out) {
  x = fence_.inside(x), out = fence_.inside(out);
  fence_.later([=, this, weight = inner_of(fence_, &weight), bias = inner_of(fence_, bias)] {
    inner().linear(x, *weight, bias, out);
  });
}

void FencedOps::linear_add(Matrix x, const PackedWeight& weight, Matrix out) {
  x = fence_.inside(x), out = fence_.inside(out);
  fence_.later(
      [=, this, weight = inner_of(fence_, &weight)] { inner().linear_add(x, *weight, out); });
}

void FencedOps::linear_swiglu(Matrix x, const PackedWeight& gate_up, Matrix out) {
  x = fence_.inside(x), out = fence_.inside(out);
  fence_.later(
      [=, this, weight = inner_of(fence_, &gate_up)] { inner().linear_swiglu(x, *weight, out); });
}

void FencedOps::swiglu(Matrix gate_up, Matrix out) {
  gate_up = fence_.inside(gate_up), out = fence_.inside(out);
  fence_.later([=, this] { inner().swiglu(gate_up, out); });
}

void FencedOps::rope(Matrix x, int heads, const PreparedPass& pass, const RopeTable& table) {
  x = fence_.inside(x);
  fence_.later([=, this, &pass = existing(fence_, pass), table = inner_of(fence_, &table)] {
    inner().rope(x, heads, *pass.inner, *table);
  });
}

void FencedOps::store_kv(Matrix k, Matrix v, const PreparedPass& pass, KvStore& kv, int layer) {
  k = fence_.inside(k), v = fence_.inside(v);
  fence_.later([=, this, &pass = existing(fence_, pass), &kv = existing(fence_, kv).owned()] {
    inner().store_kv(k, v, *pass.inner, kv, layer);
  });
}

void FencedOps::move_kv(std::span<const SlotMove> moves, KvStore& kv) {
  fence_.later([this, &kv = existing(fence_, kv).owned(),
                moves = std::vector(moves.begin(), moves.end())] { inner().move_kv(moves, kv); });
}

void FencedOps::attend(Matrix q, const PreparedPass& pass, const KvStore& kv, int layer,
                       Matrix out) {
  q = fence_.inside(q), out = fence_.inside(out);
  fence_.later([=, this, &pass = existing(fence_, pass), kv = inner_of(fence_, &kv)] {
    inner().attend(q, *pass.inner, *kv, layer, out);
  });
}

void FencedOps::read_logits(Matrix logits, const Asks& asks, std::span<Answer> answers) {
  fence_.catch_up();
  inner().read_logits(fence_.inside(logits), asks, answers);
}

void FencedBackward::finish() {
  fence().catch_up();
  inner().finish();
}

std::unique_ptr<TrainedWeight> FencedBackward::make_weight(PackOrder order,
                                                           std::span<const Matrix> masters,
                                                           WeightFormat format) {
  return std::make_unique<FencedWeight>(fence(), inner().make_weight(order, masters, format));
}

std::unique_ptr<TrainedVector> FencedBackward::make_vector(std::span<const Matrix> masters) {
  return std::make_unique<FencedVector>(fence(), inner().make_vector(masters));
}

// Masters are read at once: what was called before still means the weights of before.
void FencedBackward::refresh(TrainedWeight& weight) {
  fence().catch_up();
  inner().refresh(inner_of(fence(), weight));
}

void FencedBackward::refresh(TrainedVector& vector) {
  fence().catch_up();
  inner().refresh(inner_of(fence(), vector));
}

void FencedBackward::linear(Matrix x, const TrainedWeight& weight, Matrix d_out,
                            const LinearGradients& gradients) {
  x = fence().inside(x), d_out = fence().inside(d_out);
  const Matrix d_x = fence().inside_or_host(gradients.d_x);
  const std::vector<Matrix> d_parts(gradients.d_parts.begin(), gradients.d_parts.end());
  const std::vector<Matrix> d_biases(gradients.d_biases.begin(), gradients.d_biases.end());
  fence().later([=, this, &weight = inner_of(fence(), weight)] {
    inner().linear(x, weight, d_out, {d_x, d_parts, d_biases});
  });
}

void FencedBackward::gate_up(Matrix x, const TrainedWeight& weight, Matrix gate_up) {
  x = fence().inside(x), gate_up = fence().inside(gate_up);
  fence().later(
      [=, this, &weight = inner_of(fence(), weight)] { inner().gate_up(x, weight, gate_up); });
}

void FencedBackward::swiglu_backward(Matrix gate_up, Matrix d_out, Matrix d_gate_up) {
  gate_up = fence().inside(gate_up), d_out = fence().inside(d_out);
  d_gate_up = fence().inside(d_gate_up);
  fence().later([=, this] { inner().swiglu_backward(gate_up, d_out, d_gate_up); });
}

void FencedBackward::rms_norm(const RmsNormCall& call, Matrix d_out, Into into, Matrix d_x,
                              Matrix d_weight) {
  RmsNormCall mine = call;
  mine.weight = inner_of(fence(), call.weight);
  mine.x = fence().inside(call.x), d_out = fence().inside(d_out), d_x = fence().inside(d_x);
  fence().later([=, this] { inner().rms_norm(mine, d_out, into, d_x, d_weight); });
}

void FencedBackward::rope(Matrix d_x, int heads, const PreparedPass& pass, const RopeTable& table) {
  d_x = fence().inside(d_x);
  fence().later([=, this, &pass = existing(fence(), pass), table = inner_of(fence(), &table)] {
    inner().rope(d_x, heads, *pass.inner, *table);
  });
}

namespace {

// But for the pass, which has no inside before its turn.
AttendRows inside_of(const Fence& fence, const AttendRows& rows) {
  AttendRows inside = rows;
  inside.pass = &existing(fence, *rows.pass);
  for (Matrix* matrix : {&inside.q, &inside.k, &inside.v}) *matrix = fence.inside(*matrix);
  return inside;
}

}  // namespace

void FencedBackward::attend(const AttendRows& rows, Matrix out, Matrix log_sums) {
  out = fence().inside(out), log_sums = fence().inside(log_sums);
  fence().later([=, this, mine = inside_of(fence(), rows)]() mutable {
    mine.pass = static_cast<const FencedPass*>(mine.pass)->inner.get();
    inner().attend(mine, out, log_sums);
  });
}

void FencedBackward::attend_backward(const AttendRows& rows, Matrix out, Matrix log_sums,
                                     Matrix d_out, const AttendGradients& gradients) {
  out = fence().inside(out), log_sums = fence().inside(log_sums), d_out = fence().inside(d_out);
  const AttendGradients written = {fence().inside(gradients.d_q), fence().inside(gradients.d_k),
                                   fence().inside(gradients.d_v)};
  fence().later([=, this, mine = inside_of(fence(), rows)]() mutable {
    mine.pass = static_cast<const FencedPass*>(mine.pass)->inner.get();
    inner().attend_backward(mine, out, log_sums, d_out, written);
  });
}

void FencedBackward::embed(const PreparedPass& pass, Matrix d_out, Matrix d_table) {
  d_out = fence().inside(d_out);
  fence().later(
      [=, this, &pass = existing(fence(), pass)] { inner().embed(*pass.inner, d_out, d_table); });
}

void FencedBackward::cross_entropy(Matrix logits, std::span<const Label> labels,
                                   std::span<double> losses) {
  fence().catch_up();
  inner().cross_entropy(fence().inside(logits), labels, losses);
}

}  // namespace tidar
