#pragma once
// What one thread does in the backward halves: a second table of plain functions, filled once per
// instruction set as that of kernels.h is. Raw pointers and counts, checked by the caller.
//
// Products are those of kernels.h. For them a matrix is laid out anew in one of four ways, all of
// type f32 or bf16 (rounded to nearest even), padded with zeros:
//   narrowed     rows as they are: an operand
//   transposed   its columns are the rows of an operand
//   by rows      16 of its rows are the columns of a weight panel
//   by columns   16 of its columns are the columns of a weight panel

#include <cstddef>
#include <cstdint>

#include "base/dtype.h"
#include "ops/cpu/isa.h"
#include "ops/cpu/kernels.h"
#include "plan/label.h"

namespace tidar::cpu {

/// Rows of queries and of keys that attention takes at once.
inline constexpr int kAttendBlock = 64;

/// 16 columns of `count` rows, as `padded` inputs of a panel. Panels that lie side by side in the
/// rows are best filled some rows at a time, while these are in the cache.
struct ColumnsCall {
  const void* const* rows = nullptr;  ///< f32 or bf16
  DType source = DType::f32;
  int64_t count = 0;
  int64_t first = 0;    ///< column
  int64_t columns = 0;  ///< of the 16, those that exist
  int64_t padded = 0;   ///< >= count; a multiple of 32 if the panel is bf16
  void* panel = nullptr;
  DType dtype = DType::f32;
};

/// out[c][r] = rows[r][first + c] for c < padded_columns (a multiple of 16), r < padded.
struct TransposeCall {
  const float* const* rows = nullptr;
  int64_t count = 0, padded = 0;  ///< padded: a multiple of 32
  int64_t first = 0, columns = 0, padded_columns = 0;
  void* out = nullptr;
  int64_t out_stride = 0;
  DType dtype = DType::f32;
};

/// One vector of Ops::rms_norm; see BackwardOps::rms_norm.
struct RmsNormVector {
  const float* x = nullptr;
  const float* weight = nullptr;
  const float* d_out = nullptr;
  float* d_x = nullptr;
  float* d_weight = nullptr;  ///< added to; nullptr: not wanted
  int64_t size = 0;
  double eps = 0;
  bool adds = false;  ///< to d_x
};

/// kAttendBlock rows of one query head against the blocks of keys that they see. R: rows of the
/// pass, rounded up to kAttendBlock. E: head size, rounded up to 32. T: f32 or bf16.
struct AttendBlock {
  int64_t padded_rows = 0, padded_size = 0;  ///< R, E
  float scale = 0;
  int rows = 0;                         ///< that exist
  const int32_t* sights = nullptr;      ///< [rows][4] prefix from, to, block from, to
  const int32_t* key_blocks = nullptr;  ///< numbers of the blocks to look at
  int key_block_count = 0;
  const void* q_rows = nullptr;     ///< [64][E] T, from the first row of the block on
  const void* q_columns = nullptr;  ///< [E][64] T
  const void* d_rows = nullptr;     ///< of d_out
  const void* d_columns = nullptr;
  // All keys and values of the head: keys as panels, [R / 16] panels of E inputs, and elements as
  // panels, [E / 16] panels of R inputs.
  const void* k_by_rows = nullptr;
  const void* k_by_columns = nullptr;
  const void* v_by_rows = nullptr;
  const void* v_by_columns = nullptr;
  float* log_sums = nullptr;     ///< [64]; backward: of the forward
  const float* means = nullptr;  ///< [64] d_out · out
  float* sums = nullptr;         ///< [64][E]: out; backward: d_q
  float* d_k = nullptr;          ///< [E][gradient_stride], added to
  float* d_v = nullptr;
  uint8_t* touched = nullptr;  ///< [R / 64] blocks of keys whose d_k and d_v hold something yet;
                               ///< those of others are written, and marked
  int64_t gradient_stride = 0;
};

struct BackwardKernels {
  void (*narrow)(const float* row, int64_t count, int64_t padded, void* out, DType dtype);
  void (*transpose)(const TransposeCall&);
  /// Of up to 16 rows, nullptr where there is none. `padded`: a multiple of 32 if bf16.
  void (*by_rows)(const float* const* rows, int64_t inputs, int64_t padded, void* panel,
                  DType dtype);
  void (*by_columns)(const ColumnsCall&);

  /// d_gate and d_up may be gate and up.
  void (*swiglu_backward)(const float* const (&gate_up)[2], const float* d_out, int64_t count,
                          float* const (&d_gate_up)[2]);
  void (*rms_norm)(const RmsNormVector&);
  void (*rope)(float* head, const float* cosines, const float* sines, int64_t half);
  /// to += from.
  void (*add)(const float* from, int64_t count, float* to);
  /// Of a float vector and another, f32 or bf16.
  float (*dot)(const float* a, const void* b, DType dtype, int64_t count);
  /// One row; see BackwardOps::cross_entropy.
  double (*cross_entropy)(float* logits, int64_t count, int32_t token, float weight);
  /// The same with a target, whose logits these are.
  double (*soft_cross_entropy)(float* logits, const float* target, int64_t count, const Label&);

  void (*attend_f32)(const AttendBlock&);
  void (*attend_bf16)(const AttendBlock&);  // nullptr: no bf16 products
  void (*attend_backward_f32)(const AttendBlock&);
  void (*attend_backward_bf16)(const AttendBlock&);
  /// rows[r][c] = sum over parts of parts[c][r]: back from [E][R] to at most 16 rows of `columns`.
  void (*gather_columns)(const float* const* parts, int count, int64_t stride, int rows,
                         float* const* out, int64_t columns);
};

/// The kernels of an instruction set that usable_isas() lists.
const BackwardKernels& backward_kernels_for(Isa isa);

}  // namespace tidar::cpu
