#pragma once
// The verbs of arithmetic that a forward pass is made of: one contract, several backends.
//
//   ref/   plain and readable, float or double: the truth that the others are tested against
//   cpu/   vector kernels, one source compiled once per instruction set, chosen at start
//   wrap/  verbs around verbs: check one backend against another, time each call
//   cases/ one case a verb, used to test, to time and to list what a backend supports
//
// Common to all verbs: matrices are row-major views (base/matrix.h). R is the number of rows of the
// call, and may be 0. Outputs may not overlap inputs except where a verb says so. Activations (x,
// out, q, …) have the backend's activation() type, or, where a verb says "operand", operand(). A
// verb returns when its result is complete. Shapes that do not fit stop the program.
//
// Row-invariance: in every backend here, a row's result is bitwise the same whatever other rows are
// in the call and however many threads run it. Each output element is one fixed chain of
// operations; kernels tile over rows, never into them.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/matrix.h"
#include "plan/ask.h"

namespace tidar {

/// A matrix [N, K] in host memory, row-major and without padding, f32, f64, bf16 or f16. `data` may
/// be unaligned (a mapped file): elements are read with memcpy.
struct HostMatrix {
  const std::byte* data = nullptr;
  DType dtype = DType::f32;
  int64_t rows = 0;  // N
  int64_t cols = 0;  // K
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
  DType dtype = DType::f32;
  int64_t bytes = 0;  // resident, padding included
};

/// The shape of the memory for keys and values.
struct KvShape {
  int layers = 0;
  int kv_heads = 0;           // G
  int head_size = 0;          // E
  int64_t slots = 0;          // of each layer; a multiple of kKeyPanel
  int64_t scratch_slots = 0;  // behind them, slots that all layers share: each writes over what the
                              // one before it kept there; a multiple of kKeyPanel
  DType dtype = DType::f32;
};

/// Keys and values of all layers, slot by slot, as the backend wants them. Zero at first. Slots
/// [0, slots) are a layer's own, [slots, slots + scratch_slots) are shared by the layers.
class KvStore {
 public:
  virtual ~KvStore() = default;
  KvShape shape;
  int64_t bytes = 0;
};

/// Kernels read keys in panels of this many consecutive slots.
inline constexpr int kKeyPanel = 16;

/// One tile of attention: rows that share a list of key panels. Planned on the host once a pass,
/// used in every layer (net/attention_plan.h).
struct AttendTile {
  int32_t first_row = 0;
  int32_t rows = 0;           // at most kTileRows
  int32_t first_panel = 0;    // into AttendPlan::panels
  int32_t prefix_panels = 0;  // panels that hold the prefix, then
  int32_t block_panels = 0;   // panels that hold the block
};

/// What one row sees, in keys of its tile's panels: key 16 p + o is slot 16 panels[first_panel + p]
/// + o. Both ranges half-open; either may be empty, not both.
struct TileSight {
  int32_t prefix_from = 0, prefix_to = 0;
  int32_t block_from = 0, block_to = 0;
};

inline constexpr int kTileRows = 16;

struct AttendPlan {
  std::vector<AttendTile> tiles;
  std::vector<int32_t> panels;    // slot / kKeyPanel of every panel of every tile
  std::vector<TileSight> sights;  // one a row of the pass
  /// Keys seen, summed over rows: the work of the plan, for speed accounts.
  int64_t keys_seen() const;
};

/// cos and sin of every position, [max_position, E/2] each, made by make_rope_table.
struct RopeTable {
  std::vector<float> cosines, sines;
  int half = 0;  // E/2
  int64_t positions() const { return half == 0 ? 0 : static_cast<int64_t>(cosines.size()) / half; }
};

/// Angle of pair i at position p is p * frequencies[i]; cos and sin of it, times `factor`, are
/// computed in float64 and rounded once.
RopeTable make_rope_table(std::span<const double> frequencies, int64_t positions,
                          double factor = 1);

class Ops {
 public:
  virtual ~Ops() = default;

  virtual std::string_view name() const = 0;
  /// Type of the residual stream and of logits: f32, or f64 in the float64 reference.
  virtual DType activation() const = 0;
  /// Type in which linear() wants its input for a weight of this type. Where it is bf16, the verbs
  /// that make such inputs (rms_norm, attend, linear_swiglu) round to nearest even.
  virtual DType operand(DType weight) const = 0;
  /// Type that keys and values may have: f32 (f64 in the float64 reference) always; bf16 where
  /// true.
  virtual bool supports_kv(DType dtype) const = 0;

  /// Packs the parts into one weight of type `dtype` (f32 or bf16; f64 in the float64 reference
  /// whatever is asked). All parts have the same cols. Reads the parts once, in order.
  virtual std::unique_ptr<PackedWeight> pack(PackOrder order, std::span<const HostMatrix> parts,
                                             DType dtype) = 0;
  virtual std::unique_ptr<KvStore> make_kv(const KvShape& shape) = 0;

  /// out[r] = table row of tokens[r]; out [R, K] activation. `table` is packed, [V, K].
  virtual void embed(std::span<const int32_t> tokens, const PackedWeight& table, Matrix out) = 0;

  /// out[i] = x[rows[i]]; both activation, same cols.
  virtual void gather(Matrix x, std::span<const int32_t> rows, Matrix out) = 0;

  /// out = x / sqrt(mean(x²) + eps) * weight, row by row. x [R, C] activation; weight [C] f32; out
  /// [R, C] activation or operand. With `heads` > 1 each row holds `heads` vectors of C / heads
  /// elements that are normalised apart, and weight is [C / heads]. out may be x.
  virtual void rms_norm(Matrix x, std::span<const float> weight, double eps, int heads,
                        Matrix out) = 0;

  /// out = x W^T + bias. x [R, K] operand; out [R, N] activation; bias [N] f32 or empty. W stacked.
  virtual void linear(Matrix x, const PackedWeight& weight, std::span<const float> bias,
                      Matrix out) = 0;

  /// out += x W^T. As linear().
  virtual void linear_add(Matrix x, const PackedWeight& weight, Matrix out) = 0;

  /// out = silu(x Wg^T) * (x Wu^T), silu(t) = t / (1 + exp(-t)). x [R, K] operand; W interleaved
  /// (gate, up), 2 N outputs; out [R, N] operand.
  virtual void linear_swiglu(Matrix x, const PackedWeight& gate_up, Matrix out) = 0;

  /// Rotates `heads` vectors of E in each row by the row's position, in place. x [R, heads*E]
  /// activation. Elements i and i + E/2 are a pair.
  virtual void rope(Matrix x, int heads, std::span<const int32_t> positions,
                    const RopeTable& table) = 0;

  /// Writes k[r] and v[r], [R, G*E] activation, into slot slots[r] of a layer, rounded to the
  /// store's type.
  virtual void store_kv(Matrix k, Matrix v, std::span<const int32_t> slots, KvStore& kv,
                        int layer) = 0;

  /// For every row and head h: softmax over the keys that the row sees of q·k / sqrt(E), times
  /// their values of KV head h / (H / G). q [R, H*E] activation; out [R, H*E] operand or
  /// activation. Where the store is bf16, q and the probabilities are rounded to it as well.
  virtual void attend(Matrix q, const KvStore& kv, int layer, const AttendPlan& plan,
                      Matrix out) = 0;

  /// Answers each ask (plan/ask.h) from its rows of `logits` [R, V] activation, which are left as
  /// they are; Ask::row and other_row count rows of `logits`. answers.size() == asks.size().
  virtual void read_logits(Matrix logits, const Asks& asks, std::span<Answer> answers) = 0;
};

}  // namespace tidar
