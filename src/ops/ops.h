#pragma once
// The verbs of arithmetic that a forward pass is made of: one contract, several backends.
//
//   ref/   plain and readable, float or double: the truth that the others are tested against
//   cpu/   vector kernels, one source compiled once per instruction set, chosen at start
//   cuda/  kernels for GPUs; no_cuda/ stands for them where a program is built without
//   wrap/  verbs around verbs: check one backend against another, time each call, put memory behind
//          a fence as a device would
//   cases/ one case a verb, used to test, to time and to list what a backend supports
//
// ref/ and cpu/ share what stands in host_ops.h, since their memory is the host's.
//
// Memory. Matrices (base/matrix.h) are row-major views of memory that the backend gave
// (allocate()), which may lie where the host cannot look: the address in them is for the backend's
// verbs alone, and for views of parts. What the host wants to see it reads with read(). Spans,
// HostMatrix, passes and what is called `host` are host memory, and the caller's again when the
// verb returns.
//
// Order. Verbs take effect in the order in which they are called. A verb may return before its
// result is there, but for those that give the host something (read(), read_logits()): these return
// when it is complete, and so is all that was called before. Memory, weights, stores and prepared
// passes may be destroyed between any two calls.
//
// Common to all verbs: R is the number of rows of the call, and may be 0. Outputs may not overlap
// inputs except where a verb says so. Activations (x, out, q, …) have the backend's activation()
// type, or, where a verb says "operand", operand(). Shapes that do not fit stop the program.
//
// Row-invariance: in every backend here (in ops/cuda, where it is asked for), a row's result is
// bitwise the same whatever other rows are in the call and however many threads run it. Each output
// element is one fixed chain of operations; kernels tile over rows, never into them.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/matrix.h"
#include "ops/weight_format.h"
#include "plan/ask.h"
#include "plan/pass.h"

namespace tidar {

/// The rows of a matrix whose numbers stand nowhere: they are made when they are read. Any number
/// of threads may read at once.
class MadeRows {
 public:
  virtual ~MadeRows() = default;
  /// Row `row`: out [K].
  virtual void read(int64_t row, std::span<float> out) const = 0;
};

/// A matrix [N, K] in host memory, row-major and without padding, f32, f64, bf16 or f16. `data` may
/// be unaligned (a mapped file): elements are read with memcpy.
struct HostMatrix {
  const std::byte* data = nullptr;
  DType dtype = DType::f32;
  int64_t rows = 0;  // N
  int64_t cols = 0;  // K
  /// Instead of `data`, whose place is then empty; f32.
  const MadeRows* made = nullptr;
  /// Where the matrix is stored in the very format that it is packed in, and this has scales:
  /// those, [N, scales(K)] as weight_format.h counts them. `data` is then its elements and `dtype`
  /// says nothing. Empty: plain numbers.
  std::span<const std::byte> scales{};
};

/// How the parts of a packed weight are laid out.
enum class PackOrder : uint8_t {
  stacked,      ///< output columns of part 0, then of part 1, …: q | k | v
  interleaved,  ///< two parts of equal shape whose columns are used in pairs: gate and up
};

/// A weight as its backend wants it. Owned by whoever packed it; immutable.
class PackedWeight {
 public:
  virtual ~PackedWeight() = default;
  int64_t outputs = 0;  // N, all parts together
  int64_t inputs = 0;   // K
  WeightFormat format = WeightFormat::f32;
  int64_t bytes = 0;  // resident: elements and scales, padding included
};

/// A vector of a model, f32: a norm's weights, a product's bias. Owned by whoever packed it;
/// immutable.
class PackedVector {
 public:
  virtual ~PackedVector() = default;
  int64_t size = 0;
  int64_t bytes = 0;
};

/// cos and sin of the angles of every position, as the backend wants them. Immutable.
class RopeTable {
 public:
  virtual ~RopeTable() = default;
  int half = 0;  // E/2
  int64_t positions = 0;
  int64_t bytes = 0;
};

/// Zeroed memory of a backend, aligned to 64 bytes. `data` is where it begins, for matrices; the
/// host may not look there.
class Memory {
 public:
  virtual ~Memory() = default;
  std::byte* data = nullptr;
  int64_t bytes = 0;
};

/// What a store of keys and values has room for.
struct KvShape {
  int layers = 0;
  int kv_heads = 0;   // G
  int head_size = 0;  // E
  int pages = 0;      // of kPageSlots keys, in every layer
  int rows = 0;  // of one pass, at most: those kept nowhere share room that each pass, and each
                 // of its layers, writes over
  DType dtype = DType::f32;  // or bf16; or i8: codes, and a scale for the numbers of each head

  /// Of the key and the value of all heads of one row in one layer, without what a backend pads
  /// heads with. Scales are f32. The references keep all numbers as activations instead.
  int64_t slot_bytes() const {
    const size_t scale = dtype == DType::i8 ? sizeof(float) : 0;
    return int64_t{2} * kv_heads *
           (head_size * static_cast<int64_t>(size_of(dtype)) + static_cast<int64_t>(scale));
  }
};

/// Keys and values of all layers, page by page, as the backend wants them. Zero at first.
class KvStore {
 public:
  virtual ~KvStore() = default;
  KvShape shape;
  int64_t bytes = 0;
};

/// A pass as its backend wants it: its tokens and positions, where the keys of its rows go, and who
/// sees them. Prepared once, read in every layer.
class PreparedPass {
 public:
  virtual ~PreparedPass() = default;
  int64_t rows = 0;
  // The work that attend() has with it, for accounts of speed: keys seen, summed over rows; and
  // keys that are read for it, once for all rows that share the reading.
  int64_t keys_seen = 0;
  int64_t keys_read = 0;
};

/// The pass in `prepared`, as the backend's own kind of pass; made there if need be.
template <class Own>
Own& made_in(std::unique_ptr<PreparedPass>& prepared) {
  if (prepared == nullptr) prepared = std::make_unique<Own>();
  return static_cast<Own&>(*prepared);
}

class Ops {
 public:
  virtual ~Ops() = default;

  virtual std::string_view name() const = 0;
  /// Type of the residual stream and of logits: f32, or f64 in the float64 reference.
  virtual DType activation() const = 0;
  /// Type in which linear() wants its input for a weight of this format. Where it is bf16, the
  /// verbs that make such inputs (rms_norm, attend, linear_swiglu) round to nearest even.
  virtual DType operand(WeightFormat weight) const = 0;
  /// Type that keys and values may have: f32 (f64 in the float64 reference) always; bf16 and i8
  /// where true.
  virtual bool supports_kv(DType dtype) const = 0;

  virtual std::unique_ptr<Memory> allocate(int64_t bytes) = 0;
  /// Copies to and from host memory, where host.stride is what it is in any matrix. Shapes and
  /// types are equal.
  virtual void read(Matrix from, Matrix host) = 0;
  virtual void write(Matrix host, Matrix to) = 0;
  /// to = from; shapes and types are equal.
  virtual void copy(Matrix from, Matrix to) = 0;
  /// x = 0
  virtual void clear(Matrix x) = 0;

  /// Packs the parts into one weight of this format. All parts have the same cols. Reads each of
  /// their rows once, in any order and maybe on several threads. ops/cuda has plain formats only:
  /// others stop the program there.
  virtual std::unique_ptr<PackedWeight> pack(PackOrder order, std::span<const HostMatrix> parts,
                                             WeightFormat format) = 0;
  /// The parts, one row each, one after another.
  virtual std::unique_ptr<PackedVector> pack_vector(std::span<const HostMatrix> parts) = 0;
  /// The angle of pair i at position p is p * frequencies[i]; cos and sin of it, times `factor`,
  /// are computed in float64 and rounded once. E/2 frequencies.
  virtual std::unique_ptr<RopeTable> make_rope(std::span<const double> frequencies, double factor,
                                               int64_t positions) = 0;
  virtual std::unique_ptr<KvStore> make_kv(const KvShape& shape) = 0;

  /// Makes `prepared` from a pass that has been checked (Pass::check()), in the memory that it has
  /// from a pass before; an empty one is created, and serves this store from then on. The pass's
  /// pages are pages of `kv`, none sees where another sequence writes, and its rows are at most the
  /// store's. Rows that lie in many blocks at once may find no room in a store, which stops the
  /// program; those in one always do. Without a store, all rows are kept nowhere and see only each
  /// other: training.
  virtual void prepare(const Pass& pass, const KvStore* kv,
                       std::unique_ptr<PreparedPass>& prepared) = 0;

  /// out[r] = table row of the token of row r; out [R, K] activation. `table` is packed, [V, K].
  virtual void embed(const PreparedPass& pass, const PackedWeight& table, Matrix out) = 0;

  /// out[i] = x[rows[i]]; both activation, same cols.
  virtual void gather(Matrix x, std::span<const int32_t> rows, Matrix out) = 0;

  /// out[rows[i]] += scale * x[i]; both activation, same cols. No row is named twice.
  virtual void scatter_add(Matrix x, std::span<const int32_t> rows, double scale, Matrix out) = 0;

  /// out = x / sqrt(mean(x²) + eps) * weight, row by row. x [R, C] activation; weight [C]; out
  /// [R, C] activation or operand. With `heads` > 1 each row holds `heads` vectors of C / heads
  /// elements that are normalised apart, and weight is [C / heads]. out may be x.
  virtual void rms_norm(Matrix x, const PackedVector& weight, double eps, int heads,
                        Matrix out) = 0;

  /// out = x W^T + bias. x [R, K] operand; out [R, N] activation; bias [N] or nullptr. W stacked.
  virtual void linear(Matrix x, const PackedWeight& weight, const PackedVector* bias,
                      Matrix out) = 0;

  /// out += x W^T. As linear().
  virtual void linear_add(Matrix x, const PackedWeight& weight, Matrix out) = 0;

  /// out = silu(x Wg^T) * (x Wu^T), silu(t) = t / (1 + exp(-t)). x [R, K] operand; W interleaved
  /// (gate, up), 2 N outputs; out [R, N] operand, of a weight that may have another format.
  virtual void linear_swiglu(Matrix x, const PackedWeight& gate_up, Matrix out) = 0;

  /// The second half of linear_swiglu(), for who does something to the products in between: out =
  /// silu(gate) * up. gate_up [R, 2 N] activation = gate columns, then up columns, as linear()
  /// gives them for a stacked weight; out [R, N] activation or operand. Where rows are invariant,
  /// the two in a row give the bits of linear_swiglu().
  virtual void swiglu(Matrix gate_up, Matrix out) = 0;

  /// Rotates `heads` vectors of E in each row by the row's position, in place. x [R, heads*E]
  /// activation. Elements i and i + E/2 are a pair.
  virtual void rope(Matrix x, int heads, const PreparedPass& pass, const RopeTable& table) = 0;

  /// Keeps the keys and values of the pass's rows, k and v [R, G*E] activation, rounded to the
  /// store's type, where the pass says. `pass` was prepared for `kv`. Where the store is i8, each
  /// head's key becomes codes, and so does its value, by nearest_codes() (ops/group_codes.h).
  virtual void store_kv(Matrix k, Matrix v, const PreparedPass& pass, KvStore& kv, int layer) = 0;

  /// For each move, what slot `from` holds is copied to slot `to` in every layer, bit for bit:
  /// slots of pages, of which none is moved to twice, or from and to.
  virtual void move_kv(std::span<const SlotMove> moves, KvStore& kv) = 0;

  /// For every row and head h: softmax over the keys that the row sees of q·k / sqrt(E), times
  /// their values of KV head h / (H / G). q [R, H*E] activation; out [R, H*E] operand or
  /// activation. Where the store is bf16, q and the probabilities are rounded to it as well. Keys
  /// that a row does not see never count, whatever they hold.
  virtual void attend(Matrix q, const PreparedPass& pass, const KvStore& kv, int layer,
                      Matrix out) = 0;

  /// Answers each ask (plan/ask.h) from its rows of `logits` [R, V] activation, which are left as
  /// they are; Ask::row and other_row count rows of `logits`. answers.size() == asks.size().
  virtual void read_logits(Matrix logits, const Asks& asks, std::span<Answer> answers) = 0;
};

}  // namespace tidar
