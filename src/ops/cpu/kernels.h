#pragma once
// What one thread does: the kernels of one instruction set, as a table of plain functions. Each
// *_kernel.cc is compiled once per instruction set (CMakeLists.txt) and fills its part of the
// table.
//
// Everything here is raw pointers and counts, checked by the caller (cpu_ops.cc), so that kernel
// sources instantiate no library templates: a std::vector compiled for AVX-512 could otherwise be
// linked into code that runs on every processor.
//
// Packed layouts (one for all instruction sets, and the one that AMX tiles load directly):
//   weight panel  16 output columns. f32 [K][16];  bf16 [K2/2][16][2], K2 = K rounded up to 32;
//                 w8 [K2/32][8][16][4] codes;  w4 [K2/32][4][16][4] pairs of codes of inputs i and
//                 i + 16 of a group, the former in the lower half;  scales of both [K2/32][16] f16
//   key panel     16 keys of one head. f32 [E2][16];  bf16 [E2/2][16][2], E2 = E rounded up to 16;
//                 i8 [E2][16] codes, then [16] f32 scales
//   value panel   16 keys of one head. f32 [16][E2];  bf16 [8][E2][2]: pairs of keys side by side;
//                 i8 [16][E2] codes, then [16] f32 scales
// What is behind K or E is zero.

#include <cstddef>
#include <cstdint>

#include "base/dtype.h"
#include "base/sampling.h"
#include "ops/cpu/isa.h"
#include "ops/weight_format.h"

namespace tidar::cpu {

inline constexpr int kPanel = 16;      // columns of a weight panel, keys of a key panel
inline constexpr int kTileDepth = 32;  // inputs (bf16) that an AMX tile multiplies at once

constexpr int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

/// Elements of a head where keys and values are kept: whole registers, whatever the head's size.
constexpr int padded_head(int head_size) { return static_cast<int>(round_up(head_size, kPanel)); }

/// What the inputs of a weight panel of plain numbers are a multiple of.
constexpr int64_t weight_panel_depth(DType dtype) { return dtype == DType::bf16 ? kTileDepth : 1; }

/// Elements of one such panel.
constexpr int64_t weight_panel_elements(DType dtype, int64_t inputs) {
  return kPanel * round_up(inputs, weight_panel_depth(dtype));
}

/// Inputs whose weights for two panels (64 bytes an input) fit the level-1 cache beside the
/// operands of 32 rows.
inline constexpr int64_t kAmxStepInputs = 256;

/// Inputs that an AMX product handles for all rows before it goes on to the next ones, so that the
/// operands take at most half of a 2 MiB level-2 cache.
constexpr int64_t amx_block_inputs(int64_t rows, int64_t inputs) {
  constexpr int64_t kOperandBytes = int64_t{1} << 20;
  const int64_t fitting =
      kOperandBytes / (2 * (rows > 0 ? rows : 1)) / kAmxStepInputs * kAmxStepInputs;
  const int64_t block = fitting > kAmxStepInputs ? fitting : kAmxStepInputs;
  return inputs <= block ? inputs : block;
}

/// Floats of LinearCall::partial for so many rows, inputs and panels.
constexpr int64_t amx_partial_floats(int64_t rows, int64_t inputs, int64_t panels) {
  const int64_t pairs = amx_block_inputs(rows, inputs) < inputs ? (panels + 1) / 2 : 1;
  return pairs * rows * 2 * kPanel;
}

enum class Epilogue : uint8_t {
  store,   // out = sum + bias
  add,     // out += sum
  swiglu,  // panels 2i, 2i+1 are gate and up: out = silu(gate) * up
  halves,  // the same panels: out = gate columns, then up columns
};

/// Rows of operands in codes (group_codes.h), group by group. What is behind K is zero.
struct OperandCodes {
  int64_t groups = 0;             // of a row
  const int8_t* codes = nullptr;  // [rows][groups][kGroup]
  const float* scales = nullptr;  // [rows][groups]
  // [rows][groups]: what a sum of products begins with. Weight codes are unsigned; minus the zero
  // code times the sum of a group's operand codes makes up for that.
  const int32_t* starts = nullptr;
};

/// One thread's share of a product: all rows, weight panels [panel_begin, panel_end).
struct LinearCall {
  const void* x = nullptr;  // [rows, inputs] operand
  int64_t x_stride = 0;
  OperandCodes codes{};  // in the place of x, where weights are codes
  int64_t rows = 0;
  const void* panels = nullptr;
  const void* scales = nullptr;  // of all panels, one panel's behind another's; nullptr: no scales
  int64_t inputs = 0;
  int64_t outputs = 0;  // columns of the weight, for the last panel's border
  int64_t panel_begin = 0, panel_end = 0;
  Epilogue epilogue = Epilogue::store;
  const float* bias = nullptr;  // [outputs] or nullptr
  void* out = nullptr;          // f32, or bf16 (swiglu only)
  DType out_dtype = DType::f32;
  int64_t out_stride = 0;
  float* partial = nullptr;  // AMX: amx_partial_floats() of scratch, this thread's own
};

using LinearKernel = void(const LinearCall&);

/// One tile of attention for one KV head.
struct AttendCall {
  const float* q = nullptr;  // row r, head h of this KV head: q + r * q_stride + h * head_size
  int64_t q_stride = 0;
  int rows = 0;
  int heads = 0;        // query heads of this KV head
  int head_size = 0;    // of q and out
  int padded_size = 0;  // of keys and values: padded_head(head_size), zeros behind the head's
  float scale = 0;
  // Panels [0, own_panels) are the layer's, from `keys` and `values` on; the others are scratch.
  const std::byte* keys = nullptr;
  const std::byte* values = nullptr;
  const std::byte* scratch_keys = nullptr;
  const std::byte* scratch_values = nullptr;
  int64_t own_panels = 0;
  int64_t panel_bytes = 0;          // from panel to panel, the same for keys and values
  const int32_t* panels = nullptr;  // prefix panels, then block panels
  int prefix_panels = 0, block_panels = 0;
  const int32_t* sights =
      nullptr;          // [rows][4]: prefix from, to, block from, to, in the tile's keys
  void* out = nullptr;  // as q, f32 or bf16
  DType out_dtype = DType::f32;
  int64_t out_stride = 0;
  float* scratch = nullptr;  // attend_scratch_floats(rows * heads, padded_size)

  const std::byte* key_panel(int32_t panel) const {
    return panel < own_panels ? keys + panel * panel_bytes
                              : scratch_keys + (panel - own_panels) * panel_bytes;
  }
  const std::byte* value_panel(int32_t panel) const {
    return panel < own_panels ? values + panel * panel_bytes
                              : scratch_values + (panel - own_panels) * panel_bytes;
  }
};

/// Where one head's key and value of a row go: a column of a key panel and of a value panel.
struct KvColumn {
  const float* key = nullptr;    // [head_size]
  const float* value = nullptr;  // [head_size]
  int64_t head_size = 0;
  int64_t padded_size = 0;  // padded_head(head_size)
  int64_t column = 0;
  void* key_panel = nullptr;
  void* value_panel = nullptr;
};

/// Where the scales of a panel of keys or values in codes begin.
inline float* scales_of(void* panel, int64_t padded_size) {
  return reinterpret_cast<float*>(static_cast<std::byte*>(panel) + kPanel * padded_size);
}
inline const float* scales_of(const std::byte* panel, int64_t padded_size) {
  return reinterpret_cast<const float*>(panel + kPanel * padded_size);
}

/// Floats of scratch that one attend call needs.
int64_t attend_scratch_floats(int64_t queries, int64_t padded_size);

/// One row of logits, reduced.
struct LogitSummary {
  int32_t best = 0;  // largest logit, lowest id on ties
  float best_logit = 0;
  float log_sum = 0;  // log of the sum of exp(logit)
  float entropy = 0;  // of softmax(logits), in nats
};

/// What is done with keys and values of one type.
struct KvKernels {
  void (*attend)(const AttendCall&);
  /// Puts a key and a value into their column; what is behind the head stays as it is. A value that
  /// is not finite is kept as a key that is NaN, and zeros: kernels multiply the values of keys
  /// that a row does not see by 0, and whoever does see the key gets NaN from its score.
  void (*put)(const KvColumn&);
  /// Copies what a column holds, bit for bit.
  void (*copy)(const KvColumn& from, const KvColumn& to);
};

struct Kernels {
  LinearKernel* linear_f32;        // f32 weights, f32 operand
  LinearKernel* linear_bf16;       // bf16 weights, f32 operand
  LinearKernel* linear_bf16_bf16;  // bf16 weights, bf16 operand; may be nullptr
  LinearKernel* linear_w8;         // codes of weights and of operands
  LinearKernel* linear_w4;
  /// One row in codes: codes [count rounded up to kGroup], scales and starts [groups of count].
  void (*round_operands)(const float* x, int64_t count, int zero_code, int8_t* codes, float* scales,
                         int32_t* starts);

  KvKernels kv_f32, kv_bf16, kv_i8;

  /// out[i] = x[i] / sqrt(mean x² + eps) * weight[i], i < count.
  void (*rms_norm)(const float* x, const float* weight, double eps, int64_t count, void* out,
                   DType out_dtype);
  /// out[i] = silu(gate[i]) * up[i], f32 or bf16.
  void (*swiglu)(const float* gate, const float* up, int64_t count, void* out, DType out_dtype);
  /// out[i] += scale * x[i], rounded once.
  void (*add_scaled)(const float* x, float scale, int64_t count, float* out);
  /// Rotates one head of 2 * half elements in place.
  void (*rope)(float* head, const float* cosines, const float* sines, int64_t half);
  /// out[i] = trust * a[i] + (1 - trust) * b[i].
  void (*mix)(const float* a, const float* b, float trust, int64_t count, float* out);
  LogitSummary (*summarize)(const float* logits, int64_t count);
  /// log of the sum of exp((logits[i] - largest) * inverse_temperature).
  float (*log_weight)(const float* logits, float largest, float inverse_temperature, int64_t count);
  /// The winner of the race of plan/ask.h over p_i ~ exp(logits[i] * inverse_temperature).
  int32_t (*race)(const float* logits, float inverse_temperature, uint64_t seed, uint64_t draw,
                  int64_t count);

  // Roofs (roofs.h): floating-point operations done by so many rounds; and a read of memory.
  double (*spin_f32)(int64_t rounds);
  double (*spin_bf16)(int64_t rounds);
  double (*spin_i8)(int64_t rounds);
  void (*read_memory)(const std::byte* from, int64_t bytes);
};

/// Those of keys and values of this type: f32, bf16 or i8.
const KvKernels& kv_kernels(const Kernels& kernels, DType dtype);

/// The kernels of an instruction set that usable_isas() lists.
const Kernels& kernels_for(Isa isa);

}  // namespace tidar::cpu
