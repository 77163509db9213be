#include "ops/cpu/backward_attend.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "ops/host_ops.h"

namespace tidar::cpu {

namespace {

bool meets(const KeyRange& range, int64_t first, int64_t end) {
  return range.size() > 0 && range.from < end && range.to > first;
}

const std::vector<Sight>& sights_of(const AttendRows& rows) { return host(*rows.pass).row_sights; }

// Calls work(item, thread) for all items, which threads take as they become free.
template <class Work>
void take_items(Threads& threads, int64_t items, Work&& work) {
  std::atomic<int64_t> next{0};
  threads.split(std::min<int64_t>(items, threads.size()), 1, [&](Range, int thread) {
    for (int64_t item = next.fetch_add(1); item < items; item = next.fetch_add(1)) {
      work(item, thread);
    }
  });
}

}  // namespace

KeyBlocks::KeyBlocks(std::span<const Sight> sights) : first{0} {
  const auto rows = static_cast<int64_t>(sights.size());
  for (int64_t row = 0; row < rows; row += kAttendBlock) {
    const auto block = sights.subspan(
        static_cast<size_t>(row), static_cast<size_t>(std::min<int64_t>(kAttendBlock, rows - row)));
    for (int64_t key = 0; key < rows; key += kAttendBlock) {
      const bool seen = std::any_of(block.begin(), block.end(), [&](const Sight& sight) {
        return meets(sight.prefix, key, key + kAttendBlock) ||
               meets(sight.block, key, key + kAttendBlock);
      });
      if (seen) keys.push_back(static_cast<int32_t>(key / kAttendBlock));
    }
    first.push_back(static_cast<int32_t>(keys.size()));
  }
}

struct AttendBackward::Sizes {
  Sizes(const AttendRows& of, DType operand)
      : rows(of.q.rows),
        padded_rows(round_up(rows, kAttendBlock)),
        size(of.k.cols / of.kv_heads),
        padded_size(round_up(size, kTileDepth)),
        kv_heads(of.kv_heads),
        group(of.q.cols / of.k.cols),
        element(static_cast<int64_t>(size_of(operand))),
        // Not a multiple of 4096 bytes, at which rows would share the same lines of the cache.
        gradient_stride(padded_rows + kPanel) {}

  int64_t heads() const { return kv_heads * group; }
  /// Bytes of one layout of all rows of a head, and of a block of them.
  int64_t head_bytes() const { return padded_rows * padded_size * element; }
  int64_t block_bytes() const { return kAttendBlock * padded_size * element; }
  int64_t gradient_floats() const { return padded_size * gradient_stride; }

  int64_t rows, padded_rows, size, padded_size, kv_heads, group, element, gradient_stride;
};

/// What all items of work share. Of the matrices, the forward has the first two only.
struct AttendBackward::Call {
  const AttendRows& rows;
  const Sizes& sizes;
  const KeyBlocks& keys;
  Matrix out, log_sums, d_out, d_q;
};

/// A thread's own memory for one block of rows.
struct AttendBackward::Workspace {
  Workspace(const Sizes& sizes, Scratch& scratch) {
    const int64_t sums_bytes = kAttendBlock * sizes.padded_size * 4;
    std::byte* next = scratch.at_least(4 * sizes.block_bytes() + sums_bytes + 2 * kAttendBlock * 4);
    for (std::byte** layout : {&q_rows, &q_columns, &d_rows, &d_columns}) {
      *layout = next;
      next += sizes.block_bytes();
    }
    sums = reinterpret_cast<float*>(next);
    log_sums = sums + kAttendBlock * sizes.padded_size;
    means = log_sums + kAttendBlock;
  }
  std::byte *q_rows, *q_columns, *d_rows, *d_columns;
  float *sums, *log_sums, *means;
};

AttendBackward::AttendBackward(Threads& threads, const BackwardKernels& kernels, DType operand)
    : threads_(threads),
      kernels_(kernels),
      operand_(operand),
      own_(static_cast<size_t>(threads.size())) {}

// One item of work is a block of rows of one head, of keys or of values.
void AttendBackward::lay_out_keys(const AttendRows& rows, const Sizes& sizes) {
  std::byte* const all = keys_.at_least(sizes.kv_heads * 4 * sizes.head_bytes());
  const int64_t blocks = sizes.padded_rows / kAttendBlock;
  threads_.split(2 * sizes.kv_heads * blocks, 1, [&](Range range, int) {
    for (int64_t item = range.begin; item < range.end; ++item) {
      const int64_t head = item / blocks / 2, first = item % blocks * kAttendBlock;
      const bool is_value = item / blocks % 2 == 1;
      const Matrix matrix = is_value ? rows.v : rows.k;
      std::byte* const by_rows = all + (head * 4 + (is_value ? 2 : 0)) * sizes.head_bytes();
      const float* pointers[kAttendBlock] = {};
      const int64_t count = std::min<int64_t>(kAttendBlock, sizes.rows - first);
      for (int64_t r = 0; r < count; ++r) {
        pointers[r] = matrix.row<float>(first + r) + head * sizes.size;
      }
      for (int64_t r = 0; r < kAttendBlock; r += kPanel) {
        kernels_.by_rows(pointers + r, sizes.size, sizes.padded_size,
                         by_rows + (first + r) * sizes.padded_size * sizes.element, operand_);
      }
      ColumnsCall call;
      const void* columns[kAttendBlock];
      std::copy_n(pointers, kAttendBlock, columns);
      call.rows = columns;
      call.count = count;
      call.padded = kAttendBlock;
      call.dtype = operand_;
      for (int64_t e = 0; e < sizes.padded_size; e += kPanel) {
        call.first = e;
        call.columns = std::clamp<int64_t>(sizes.size - e, 0, kPanel);
        call.panel =
            by_rows + sizes.head_bytes() + (e * sizes.padded_rows + first * kPanel) * sizes.element;
        kernels_.by_columns(call);
      }
    }
  });
}

AttendBlock AttendBackward::begin_block(const Call& call, int64_t head, int64_t row_block,
                                        const Workspace& work) const {
  const Sizes& sizes = call.sizes;
  const int64_t first = row_block * kAttendBlock;
  AttendBlock block;
  block.padded_rows = sizes.padded_rows;
  block.padded_size = sizes.padded_size;
  block.gradient_stride = sizes.gradient_stride;
  block.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(sizes.size)));
  block.rows = static_cast<int>(std::min<int64_t>(kAttendBlock, sizes.rows - first));
  static_assert(sizeof(Sight) == 4 * sizeof(int32_t));
  block.sights = &sights_of(call.rows)[static_cast<size_t>(first)].prefix.from;
  block.key_blocks = call.keys.of(row_block).data();
  block.key_block_count = static_cast<int>(call.keys.of(row_block).size());
  const std::byte* const layouts = keys_.data() + head / sizes.group * 4 * sizes.head_bytes();
  block.k_by_rows = layouts;
  block.k_by_columns = layouts + sizes.head_bytes();
  block.v_by_rows = layouts + 2 * sizes.head_bytes();
  block.v_by_columns = layouts + 3 * sizes.head_bytes();
  block.q_rows = work.q_rows;
  block.q_columns = work.q_columns;
  block.d_rows = work.d_rows;
  block.d_columns = work.d_columns;
  block.log_sums = work.log_sums;
  block.means = work.means;
  block.sums = work.sums;
  return block;
}

// A block of rows of q or d_out; `as_columns` nullptr: not wanted.
void AttendBackward::lay_out(Matrix matrix, const Sizes& sizes, int64_t head, int64_t first,
                             std::byte* as_rows, std::byte* as_columns) const {
  const int64_t row_bytes = sizes.padded_size * sizes.element;
  const int64_t count = std::min<int64_t>(kAttendBlock, sizes.rows - first);
  const float* rows[kAttendBlock];
  for (int64_t r = 0; r < count; ++r) {
    rows[r] = matrix.row<float>(first + r) + head * sizes.size;
    kernels_.narrow(rows[r], sizes.size, sizes.padded_size, as_rows + r * row_bytes, operand_);
  }
  std::memset(as_rows + count * row_bytes, 0,
              static_cast<size_t>((kAttendBlock - count) * row_bytes));
  if (as_columns == nullptr) return;
  TransposeCall call;
  call.rows = rows;
  call.count = count;
  call.padded = kAttendBlock;
  call.columns = sizes.size;
  call.padded_columns = sizes.padded_size;
  call.out = as_columns;
  call.out_stride = kAttendBlock;
  call.dtype = operand_;
  kernels_.transpose(call);
}

void AttendBackward::forward(const AttendRows& rows, Matrix out, Matrix log_sums) {
  if (rows.q.rows == 0) return;
  const Sizes sizes(rows, operand_);
  const KeyBlocks keys(sights_of(rows));
  lay_out_keys(rows, sizes);
  const Call call = {rows, sizes, keys, out, log_sums, {}, {}};
  take_items(threads_, sizes.heads() * keys.row_blocks(), [&](int64_t item, int thread) {
    forward_block(call, item / keys.row_blocks(), item % keys.row_blocks(), thread);
  });
}

void AttendBackward::forward_block(const Call& call, int64_t head, int64_t row_block, int thread) {
  const Sizes& sizes = call.sizes;
  const int64_t first = row_block * kAttendBlock, column = head * sizes.size;
  const Workspace work(sizes, own_[static_cast<size_t>(thread)]);
  lay_out(call.rows.q, sizes, head, first, work.q_rows, nullptr);
  const AttendBlock block = begin_block(call, head, row_block, work);
  (operand_ == DType::bf16 ? kernels_.attend_bf16 : kernels_.attend_f32)(block);
  for (int64_t r = 0; r < block.rows; ++r) {
    const int64_t at = (first + r) * call.out.stride + column;
    kernels_.narrow(work.sums + r * sizes.padded_size, sizes.size, sizes.size,
                    call.out.data + at * static_cast<int64_t>(size_of(call.out.dtype)),
                    call.out.dtype);
    call.log_sums.row<float>(first + r)[head] = work.log_sums[r];
  }
}

void AttendBackward::backward(const AttendRows& rows, Matrix out, Matrix log_sums, Matrix d_out,
                              const AttendGradients& gradients) {
  if (rows.q.rows == 0) return;
  const Sizes sizes(rows, operand_);
  const KeyBlocks keys(sights_of(rows));
  lay_out_keys(rows, sizes);
  gradients_.at_least(sizes.heads() * 2 * sizes.gradient_floats() * 4);
  const Call call = {rows, sizes, keys, out, log_sums, d_out, gradients.d_q};
  take_items(threads_, sizes.heads(),
             [&](int64_t head, int thread) { backward_head(call, head, thread); });
  gather(sizes, gradients);
}

void AttendBackward::backward_head(const Call& call, int64_t head, int thread) {
  const Sizes& sizes = call.sizes;
  const int64_t column = head * sizes.size;
  const auto out_element = static_cast<int64_t>(size_of(call.out.dtype));
  const Workspace work(sizes, own_[static_cast<size_t>(thread)]);
  float* const d_k =
      reinterpret_cast<float*>(gradients_.data()) + head * 2 * sizes.gradient_floats();
  std::vector<uint8_t> touched(static_cast<size_t>(call.keys.row_blocks()));
  for (int64_t b = 0; b < call.keys.row_blocks(); ++b) {
    const int64_t first = b * kAttendBlock;
    lay_out(call.rows.q, sizes, head, first, work.q_rows, work.q_columns);
    lay_out(call.d_out, sizes, head, first, work.d_rows, work.d_columns);
    AttendBlock block = begin_block(call, head, b, work);
    block.d_k = d_k;
    block.d_v = d_k + sizes.gradient_floats();
    block.touched = touched.data();
    for (int64_t r = 0; r < block.rows; ++r) {
      const int64_t at = (first + r) * call.out.stride + column;
      work.means[r] = kernels_.dot(call.d_out.row<float>(first + r) + column,
                                   call.out.data + at * out_element, call.out.dtype, sizes.size);
      work.log_sums[r] = call.log_sums.row<float>(first + r)[head];
    }
    (operand_ == DType::bf16 ? kernels_.attend_backward_bf16 : kernels_.attend_backward_f32)(block);
    for (int64_t r = 0; r < block.rows; ++r) {
      std::copy_n(work.sums + r * sizes.padded_size, sizes.size,
                  call.d_q.row<float>(first + r) + column);
    }
  }
  for (size_t b = 0; b < touched.size(); ++b) {
    if (touched[b] != 0) continue;  // else nobody sees these keys
    for (int64_t e = 0; e < 2 * sizes.padded_size; ++e) {
      std::fill_n(d_k + e * sizes.gradient_stride + static_cast<int64_t>(b) * kAttendBlock,
                  kAttendBlock, 0.0f);
    }
  }
}

void AttendBackward::gather(const Sizes& sizes, const AttendGradients& gradients) {
  const int64_t sixteens = (sizes.rows + kPanel - 1) / kPanel;
  const auto* const all = reinterpret_cast<const float*>(gradients_.data());
  threads_.split(sizes.kv_heads * sixteens, 4, [&](Range range, int) {
    std::vector<const float*> parts(static_cast<size_t>(sizes.group));
    for (int64_t item = range.begin; item < range.end; ++item) {
      const int64_t kv_head = item / sixteens, first = item % sixteens * kPanel;
      const int64_t rows = std::min<int64_t>(kPanel, sizes.rows - first);
      for (int i = 0; i < 2; ++i) {
        const Matrix& gradient = i == 0 ? gradients.d_k : gradients.d_v;
        float* out[kPanel];
        for (int64_t r = 0; r < rows; ++r) {
          out[r] = gradient.row<float>(first + r) + kv_head * sizes.size;
        }
        for (int64_t h = 0; h < sizes.group; ++h) {
          parts[static_cast<size_t>(h)] =
              all + ((kv_head * sizes.group + h) * 2 + i) * sizes.gradient_floats() + first;
        }
        kernels_.gather_columns(parts.data(), static_cast<int>(sizes.group), sizes.gradient_stride,
                                static_cast<int>(rows), out, sizes.size);
      }
    }
  });
}

int64_t AttendBackward::scratch_bytes() const {
  int64_t bytes = keys_.bytes() + gradients_.bytes();
  for (const Scratch& own : own_) bytes += own.bytes();
  return bytes;
}

}  // namespace tidar::cpu
