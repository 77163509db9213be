#include "ops/wrap/fenced_ops.h"

#include <sys/mman.h>
#include <unistd.h>

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

void Fence::catch_up() {
  std::vector<std::function<void()>> calls;
  calls.swap(calls_);
  for (const auto& call : calls) call();
}

namespace {

// The inner backend's pass, made when its turn comes.
struct FencedPass final : PreparedPass {
  ~FencedPass() override {
    if (fence != nullptr) fence->catch_up();
  }
  Fence* fence = nullptr;
  std::unique_ptr<PreparedPass> inner;
};

const FencedPass& own(const PreparedPass& pass) { return static_cast<const FencedPass&>(pass); }

std::vector<int32_t> copy_of(std::span<const int32_t> numbers) {
  return {numbers.begin(), numbers.end()};
}

}  // namespace

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
  made->fence = &fence_;
  made->rows = pass.rows();
  fence_.later([=, this] { inner().prepare(pass, kv, made->inner); });
}

void FencedOps::embed(const PreparedPass& pass, const PackedWeight& table, Matrix out) {
  out = fence_.inside(out);
  fence_.later([=, this, &pass, &table] { inner().embed(*own(pass).inner, table, out); });
}

void FencedOps::gather(Matrix x, std::span<const int32_t> rows, Matrix out) {
  x = fence_.inside(x), out = fence_.inside(out);
  fence_.later([=, this, rows = copy_of(rows)] { inner().gather(x, rows, out); });
}

void FencedOps::rms_norm(Matrix x, const PackedVector& weight, double eps, int heads, Matrix out) {
  x = fence_.inside(x), out = fence_.inside(out);
  fence_.later([=, this, &weight] { inner().rms_norm(x, weight, eps, heads, out); });
}

void FencedOps::linear(Matrix x, const PackedWeight& weight, const PackedVector* bias, Matrix out) {
  x = fence_.inside(x), out = fence_.inside(out);
  fence_.later([=, this, &weight] { inner().linear(x, weight, bias, out); });
}

void FencedOps::linear_add(Matrix x, const PackedWeight& weight, Matrix out) {
  x = fence_.inside(x), out = fence_.inside(out);
  fence_.later([=, this, &weight] { inner().linear_add(x, weight, out); });
}

void FencedOps::linear_swiglu(Matrix x, const PackedWeight& gate_up, Matrix out) {
  x = fence_.inside(x), out = fence_.inside(out);
  fence_.later([=, this, &gate_up] { inner().linear_swiglu(x, gate_up, out); });
}

void FencedOps::rope(Matrix x, int heads, const PreparedPass& pass, const RopeTable& table) {
  x = fence_.inside(x);
  fence_.later([=, this, &pass, &table] { inner().rope(x, heads, *own(pass).inner, table); });
}

void FencedOps::store_kv(Matrix k, Matrix v, const PreparedPass& pass, KvStore& kv, int layer) {
  k = fence_.inside(k), v = fence_.inside(v);
  fence_.later([=, this, &pass, &kv] { inner().store_kv(k, v, *own(pass).inner, kv, layer); });
}

void FencedOps::move_kv(std::span<const SlotMove> moves, KvStore& kv) {
  fence_.later(
      [this, &kv, moves = std::vector(moves.begin(), moves.end())] { inner().move_kv(moves, kv); });
}

void FencedOps::attend(Matrix q, const PreparedPass& pass, const KvStore& kv, int layer,
                       Matrix out) {
  q = fence_.inside(q), out = fence_.inside(out);
  fence_.later([=, this, &pass, &kv] { inner().attend(q, *own(pass).inner, kv, layer, out); });
}

void FencedOps::read_logits(Matrix logits, const Asks& asks, std::span<Answer> answers) {
  fence_.catch_up();
  inner().read_logits(fence_.inside(logits), asks, answers);
}

void FencedBackward::finish() {
  fence().catch_up();
  inner().finish();
}

// Masters are read at once: what was called before still means the weights of before.
void FencedBackward::refresh(TrainedWeight& weight) {
  fence().catch_up();
  inner().refresh(weight);
}

void FencedBackward::refresh(TrainedVector& vector) {
  fence().catch_up();
  inner().refresh(vector);
}

void FencedBackward::linear(Matrix x, const TrainedWeight& weight, Matrix d_out,
                            const LinearGradients& gradients) {
  x = fence().inside(x), d_out = fence().inside(d_out);
  const Matrix d_x = fence().inside_or_host(gradients.d_x);
  const std::vector<Matrix> d_parts(gradients.d_parts.begin(), gradients.d_parts.end());
  const std::vector<Matrix> d_biases(gradients.d_biases.begin(), gradients.d_biases.end());
  fence().later([=, this, &weight] { inner().linear(x, weight, d_out, {d_x, d_parts, d_biases}); });
}

void FencedBackward::gate_up(Matrix x, const TrainedWeight& weight, Matrix gate_up) {
  x = fence().inside(x), gate_up = fence().inside(gate_up);
  fence().later([=, this, &weight] { inner().gate_up(x, weight, gate_up); });
}

void FencedBackward::swiglu(Matrix gate_up, Matrix out) {
  gate_up = fence().inside(gate_up), out = fence().inside(out);
  fence().later([=, this] { inner().swiglu(gate_up, out); });
}

void FencedBackward::swiglu_backward(Matrix gate_up, Matrix d_out, Matrix d_gate_up) {
  gate_up = fence().inside(gate_up), d_out = fence().inside(d_out);
  d_gate_up = fence().inside(d_gate_up);
  fence().later([=, this] { inner().swiglu_backward(gate_up, d_out, d_gate_up); });
}

void FencedBackward::rms_norm(const RmsNormCall& call, Matrix d_out, Into into, Matrix d_x,
                              Matrix d_weight) {
  RmsNormCall mine = call;
  mine.x = fence().inside(call.x), d_out = fence().inside(d_out), d_x = fence().inside(d_x);
  fence().later([=, this] { inner().rms_norm(mine, d_out, into, d_x, d_weight); });
}

void FencedBackward::rope(Matrix d_x, int heads, const PreparedPass& pass, const RopeTable& table) {
  d_x = fence().inside(d_x);
  fence().later([=, this, &pass, &table] { inner().rope(d_x, heads, *own(pass).inner, table); });
}

namespace {

AttendRows inside_of(const Fence& fence, const AttendRows& rows) {
  AttendRows inside = rows;
  for (Matrix* matrix : {&inside.q, &inside.k, &inside.v}) *matrix = fence.inside(*matrix);
  return inside;
}

}  // namespace

void FencedBackward::attend(const AttendRows& rows, Matrix out, Matrix log_sums) {
  out = fence().inside(out), log_sums = fence().inside(log_sums);
  fence().later([=, this, mine = inside_of(fence(), rows)]() mutable {
    mine.pass = own(*mine.pass).inner.get();
    inner().attend(mine, out, log_sums);
  });
}

void FencedBackward::attend_backward(const AttendRows& rows, Matrix out, Matrix log_sums,
                                     Matrix d_out, const AttendGradients& gradients) {
  out = fence().inside(out), log_sums = fence().inside(log_sums), d_out = fence().inside(d_out);
  const AttendGradients written = {fence().inside(gradients.d_q), fence().inside(gradients.d_k),
                                   fence().inside(gradients.d_v)};
  fence().later([=, this, mine = inside_of(fence(), rows)]() mutable {
    mine.pass = own(*mine.pass).inner.get();
    inner().attend_backward(mine, out, log_sums, d_out, written);
  });
}

void FencedBackward::embed(const PreparedPass& pass, Matrix d_out, Matrix d_table) {
  d_out = fence().inside(d_out);
  fence().later([=, this, &pass] { inner().embed(*own(pass).inner, d_out, d_table); });
}

void FencedBackward::gather(Matrix d_out, std::span<const int32_t> rows, Matrix d_x) {
  d_out = fence().inside(d_out), d_x = fence().inside(d_x);
  fence().later([=, this, rows = copy_of(rows)] { inner().gather(d_out, rows, d_x); });
}

void FencedBackward::cross_entropy(Matrix logits, std::span<const Label> labels,
                                   std::span<double> losses) {
  fence().catch_up();
  inner().cross_entropy(fence().inside(logits), labels, losses);
}

}  // namespace tidar
