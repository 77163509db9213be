#pragma once
// Attention of training: which blocks of rows look at which blocks of keys, and the kernels carried
// out over them. Scores are not kept: the backward makes them again of queries, keys and log_sums
// (as Dao, "FlashAttention-2", arXiv 2307.08691, does).
//
// Keys and values are laid out once for all. The forward then has an item of work a query head and
// block of rows; the backward has one a query head, so that nobody else adds to its gradients of
// keys and values, which are summed over the heads of a group at the end, in their order.

#include <vector>

#include "base/threads.h"
#include "ops/backward.h"
#include "ops/cpu/backward_kernels.h"
#include "ops/cpu/scratch.h"

namespace tidar::cpu {

/// Blocks of kAttendBlock keys of which some row of a block of rows sees at least one.
struct KeyBlocks {
  KeyBlocks(std::span<const Sight> sights);
  std::span<const int32_t> of(int64_t row_block) const {
    const auto from = static_cast<size_t>(first[static_cast<size_t>(row_block)]);
    const auto to = static_cast<size_t>(first[static_cast<size_t>(row_block) + 1]);
    return std::span(keys).subspan(from, to - from);
  }
  int64_t row_blocks() const { return static_cast<int64_t>(first.size()) - 1; }

  std::vector<int32_t> first;  // into keys, one a block of rows and one more
  std::vector<int32_t> keys;
};

/// BackwardOps::attend and attend_backward on the vector kernels. Owns its scratch, which grows
/// with the largest call. Not thread-safe; uses all threads.
class AttendBackward {
 public:
  /// `operand`: f32 or bf16, what queries, keys, values and weights are rounded to.
  AttendBackward(Threads& threads, const BackwardKernels& kernels, DType operand);

  /// Arguments are checked.
  void forward(const AttendRows& rows, Matrix out, Matrix log_sums);
  void backward(const AttendRows& rows, Matrix out, Matrix log_sums, Matrix d_out,
                const AttendGradients& gradients);
  int64_t scratch_bytes() const;

 private:
  struct Sizes;
  struct Call;
  struct Workspace;  // of one thread
  void lay_out_keys(const AttendRows& rows, const Sizes& sizes);
  AttendBlock begin_block(const Call& call, int64_t head, int64_t row_block,
                          const Workspace& work) const;
  void lay_out(Matrix matrix, const Sizes& sizes, int64_t head, int64_t first, std::byte* as_rows,
               std::byte* as_columns) const;
  void forward_block(const Call& call, int64_t head, int64_t row_block, int thread);
  void backward_head(const Call& call, int64_t head, int thread);
  // Adds up what the heads of a group have for their common keys and values.
  void gather(const Sizes& sizes, const AttendGradients& gradients);

  Threads& threads_;
  const BackwardKernels& kernels_;
  DType operand_;
  Scratch keys_;              // [G][k by rows, k by columns, v by rows, v by columns]
  Scratch gradients_;         // [H][d_k, d_v][E][gradient stride]
  std::vector<Scratch> own_;  // one a thread
};

}  // namespace tidar::cpu
