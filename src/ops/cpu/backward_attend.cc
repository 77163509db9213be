#include "ops/cpu/backward_attend.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

namespace tidar::cpu {

namespace {

bool meets(int32_t from, int32_t to, int64_t first, int64_t end) {
  return from < to && from < end && to > first;
}

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

KeyBlocks::KeyBlocks(std::span<const TileSight> sights) : first{0} {
  const auto rows = static_cast<int64_t>(sights.size());
  for (int64_t row = 0; row < rows; row += kAttendBlock) {
    const auto block = sights.subspan(
        static_cast<size_t>(row), static_cast<size_t>(std::min<int64_t>(kAttendBlock, rows - row)));
    for (int64_t key = 0; key < rows; key += kAttendBlock) {
      const bool seen = std::any_of(block.begin(), block.end(), [&](const TileSight& sight) {
        return meets(sight.prefix_from, sight.prefix_to, key, key + kAttendBlock) ||
               meets(sight.block_from, sight.block_to, key, key + kAttendBlock);
      });
      if (seen) keys.push_back(static_cast<int32_t>(key / kAttendBlock));
    }
    first.push_back(static_cast<int32_t>(keys.size()));
  }
}

struct AttendBackward::Sizes {
  Sizes(const AttendRows& rows_, DType operand)
      : rows(rows_.q.rows),
        padded_rows(round_up(rows, kAttendBlock)),
        size(rows_.k.cols / rows_.kv_heads),
        padded_size(round_up(size, kTileDepth)),
        kv_heads(rows_.kv_heads),
        group(rows_.q.cols / rows_.k.cols),
        element(static_cast<int64_t>(size_of(operand))),
        // Not a multiple of 4096 bytes, at which rows would share the same lines of the cache.
        columns_stride(padded_rows + kTileDepth),
        gradient_stride(padded_rows + kPanel) {}

  int64_t heads() const { return kv_heads * group; }
  /// Bytes of one layout of all rows of a head.
  int64_t head_bytes() const { return padded_rows * padded_size * element; }
  int64_t columns_bytes() const { return padded_size * columns_stride * element; }
  int64_t gradient_floats() const { return padded_size * gradient_stride; }

  int64_t rows, padded_rows, size, padded_size, kv_heads, group, element;
  int64_t columns_stride, gradient_stride;
};

AttendBackward::AttendBackward(Threads& threads, const BackwardKernels& kernels, DType operand)
    : threads_(threads),
      kernels_(kernels),
      operand_(operand),
      own_(static_cast<size_t>(threads.size())) {}

void AttendBackward::lay_out_keys(const AttendRows& rows, const Sizes& sizes) {
  std::byte* const all = keys_.at_least(sizes.kv_heads * 4 * sizes.head_bytes());
  const int64_t row_panels = sizes.padded_rows / kPanel, column_panels = sizes.padded_size / kPanel;
  for (int64_t i = 0; i < 2; ++i) {
    const Matrix matrix = i == 0 ? rows.k : rows.v;
    std::byte* const layouts = all + i * 2 * sizes.head_bytes();
    std::vector<const void*> every_row;
    for (int64_t r = 0; r < sizes.rows; ++r) every_row.push_back(matrix.row<float>(r));
    threads_.split(sizes.kv_heads * (row_panels + column_panels), 1, [&](Range range, int) {
      for (int64_t item = range.begin; item < range.end; ++item) {
        const int64_t head = item / (row_panels + column_panels);
        const int64_t panel = item % (row_panels + column_panels);
        std::byte* const by_rows = layouts + head * 4 * sizes.head_bytes();
        if (panel < row_panels) {
          const float* sixteen[kPanel];
          for (int64_t c = 0; c < kPanel; ++c) {
            const int64_t r = panel * kPanel + c;
            sixteen[c] = r < sizes.rows ? matrix.row<float>(r) + head * sizes.size : nullptr;
          }
          kernels_.by_rows(sixteen, sizes.size, sizes.padded_size,
                           by_rows + panel * kPanel * sizes.padded_size * sizes.element, operand_);
          continue;
        }
        ColumnsCall call;
        const int64_t element = (panel - row_panels) * kPanel;
        call.rows = every_row.data();
        call.count = sizes.rows;
        call.first = head * sizes.size + element;
        call.columns = std::clamp<int64_t>(sizes.size - element, 0, kPanel);
        call.padded = sizes.padded_rows;
        call.panel = by_rows + sizes.head_bytes() + element * sizes.padded_rows * sizes.element;
        call.dtype = operand_;
        kernels_.by_columns(call);
      }
    });
  }
}

AttendBlock AttendBackward::block_of(const AttendRows& rows, const Sizes& sizes,
                                     const KeyBlocks& keys, int64_t head, int64_t row_block) const {
  AttendBlock block;
  const int64_t first = row_block * kAttendBlock;
  block.padded_rows = sizes.padded_rows;
  block.padded_size = sizes.padded_size;
  block.columns_stride = sizes.columns_stride;
  block.gradient_stride = sizes.gradient_stride;
  block.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(sizes.size)));
  block.rows = static_cast<int>(std::min<int64_t>(kAttendBlock, sizes.rows - first));
  static_assert(sizeof(TileSight) == 4 * sizeof(int32_t));
  block.sights = &rows.sights[static_cast<size_t>(first)].prefix_from;
  block.key_blocks = keys.of(row_block).data();
  block.key_block_count = static_cast<int>(keys.of(row_block).size());
  const std::byte* const layouts = keys_.data() + head / sizes.group * 4 * sizes.head_bytes();
  block.k_by_rows = layouts;
  block.k_by_columns = layouts + sizes.head_bytes();
  block.v_by_rows = layouts + 2 * sizes.head_bytes();
  block.v_by_columns = layouts + 3 * sizes.head_bytes();
  return block;
}

void AttendBackward::forward(const AttendRows& rows, Matrix out, Matrix log_sums) {
  const Sizes sizes(rows, operand_);
  if (sizes.rows == 0) return;
  const KeyBlocks keys(rows.sights);
  lay_out_keys(rows, sizes);
  take_items(threads_, sizes.heads() * keys.row_blocks(), [&](int64_t item, int thread) {
    const int64_t head = item / keys.row_blocks(), row_block = item % keys.row_blocks();
    forward_block(block_of(rows, sizes, keys, head, row_block), sizes, head, row_block, rows, out,
                  log_sums, thread);
  });
}

void AttendBackward::forward_block(AttendBlock block, const Sizes& sizes, int64_t head,
                                   int64_t row_block, const AttendRows& rows, Matrix out,
                                   Matrix log_sums, int thread) {
  const int64_t floats = kAttendBlock * (sizes.padded_size + 1);
  const int64_t q_bytes = kAttendBlock * sizes.padded_size * sizes.element;
  std::byte* const own = own_[static_cast<size_t>(thread)].at_least(floats * 4 + q_bytes);
  block.sums = reinterpret_cast<float*>(own);
  block.log_sums = block.sums + kAttendBlock * sizes.padded_size;
  std::byte* const q = own + floats * 4;
  block.q_rows = q;
  const int64_t first = row_block * kAttendBlock, column = head * sizes.size;
  const int64_t row_bytes = sizes.padded_size * sizes.element;
  for (int64_t r = 0; r < block.rows; ++r) {
    kernels_.narrow(rows.q.row<float>(first + r) + column, sizes.size, sizes.padded_size,
                    q + r * row_bytes, operand_);
  }
  std::memset(q + block.rows * row_bytes, 0,
              static_cast<size_t>((kAttendBlock - block.rows) * row_bytes));
  (operand_ == DType::bf16 ? kernels_.attend_bf16 : kernels_.attend_f32)(block);
  for (int64_t r = 0; r < block.rows; ++r) {
    kernels_.narrow(
        block.sums + r * sizes.padded_size, sizes.size, sizes.size,
        out.data + ((first + r) * out.stride + column) * static_cast<int64_t>(size_of(out.dtype)),
        out.dtype);
    log_sums.row<float>(first + r)[head] = block.log_sums[r];
  }
}

struct AttendBackward::BackwardCall {
  const AttendRows& rows;
  Matrix out, log_sums, d_out, d_q;
};

void AttendBackward::backward(const AttendRows& rows, Matrix out, Matrix log_sums, Matrix d_out,
                              const AttendGradients& gradients) {
  const Sizes sizes(rows, operand_);
  if (sizes.rows == 0) return;
  const KeyBlocks keys(rows.sights);
  lay_out_keys(rows, sizes);
  gradients_.at_least(sizes.heads() * 2 * sizes.gradient_floats() * 4);
  const BackwardCall call = {rows, out, log_sums, d_out, gradients.d_q};
  take_items(threads_, sizes.heads(),
             [&](int64_t head, int thread) { backward_head(call, sizes, keys, head, thread); });
  gather(sizes, gradients);
}

void AttendBackward::backward_head(const BackwardCall& call, const Sizes& sizes,
                                   const KeyBlocks& keys, int64_t head, int thread) {
  const int64_t column = head * sizes.size, row_bytes = sizes.padded_size * sizes.element;
  // q and d_out as rows, then as columns; means and log sums; d_q of one block.
  const int64_t floats = 2 * sizes.padded_rows + kAttendBlock * sizes.padded_size;
  std::byte* const own = own_[static_cast<size_t>(thread)].at_least(
      2 * (sizes.head_bytes() + sizes.columns_bytes()) + floats * 4);
  std::byte* const as_rows[2] = {own, own + sizes.head_bytes()};
  std::byte* const as_columns[2] = {own + 2 * sizes.head_bytes(),
                                    own + 2 * sizes.head_bytes() + sizes.columns_bytes()};
  auto* const means = reinterpret_cast<float*>(as_columns[1] + sizes.columns_bytes());
  float* const log_sums = means + sizes.padded_rows;
  float* const d_q = log_sums + sizes.padded_rows;
  const auto out_element = static_cast<int64_t>(size_of(call.out.dtype));

  for (int i = 0; i < 2; ++i) {
    const Matrix matrix = i == 0 ? call.rows.q : call.d_out;
    std::vector<const float*> pointers;
    for (int64_t r = 0; r < sizes.rows; ++r) {
      pointers.push_back(matrix.row<float>(r) + column);
      kernels_.narrow(pointers.back(), sizes.size, sizes.padded_size, as_rows[i] + r * row_bytes,
                      operand_);
    }
    std::memset(as_rows[i] + sizes.rows * row_bytes, 0,
                static_cast<size_t>((sizes.padded_rows - sizes.rows) * row_bytes));
    TransposeCall transpose;
    transpose.rows = pointers.data();
    transpose.count = sizes.rows;
    transpose.padded = sizes.padded_rows;
    transpose.columns = sizes.size;
    transpose.padded_columns = sizes.padded_size;
    transpose.out = as_columns[i];
    transpose.out_stride = sizes.columns_stride;
    transpose.dtype = operand_;
    kernels_.transpose(transpose);
  }
  for (int64_t r = 0; r < sizes.rows; ++r) {
    means[r] = kernels_.dot(call.d_out.row<float>(r) + column,
                            call.out.data + (r * call.out.stride + column) * out_element,
                            call.out.dtype, sizes.size);
    log_sums[r] = call.log_sums.row<float>(r)[head];
  }

  float* const d_keys =
      reinterpret_cast<float*>(gradients_.data()) + head * 2 * sizes.gradient_floats();
  std::memset(d_keys, 0, static_cast<size_t>(2 * sizes.gradient_floats()) * sizeof(float));
  for (int64_t b = 0; b < keys.row_blocks(); ++b) {
    AttendBlock block = block_of(call.rows, sizes, keys, head, b);
    const int64_t first = b * kAttendBlock;
    block.q_rows = as_rows[0] + first * row_bytes;
    block.d_rows = as_rows[1] + first * row_bytes;
    block.q_columns = as_columns[0] + first * sizes.element;
    block.d_columns = as_columns[1] + first * sizes.element;
    block.log_sums = log_sums + first;
    block.means = means + first;
    block.sums = d_q;
    block.d_k = d_keys;
    block.d_v = d_keys + sizes.gradient_floats();
    (operand_ == DType::bf16 ? kernels_.attend_backward_bf16 : kernels_.attend_backward_f32)(block);
    for (int64_t r = 0; r < block.rows; ++r) {
      std::copy_n(d_q + r * sizes.padded_size, sizes.size, call.d_q.row<float>(first + r) + column);
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
