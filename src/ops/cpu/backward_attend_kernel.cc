// Attention of training: one block of rows of one head against the blocks of keys that they see.
//
// The forward takes the softmax as keys come by, as attend.h does. The backward makes the
// probabilities anew from the rows' log sums (Dao et al., "FlashAttention", 2022), and then, with
// p = softmax(s) and D = d_out · out: d_v = p^T d_out, d_p = d_out v^T, d_s = p (d_p - D) scale,
// d_q = d_s k, d_k = d_s^T q. The gradients of keys and values are summed up transposed, [E][R]:
// then p and d_s are weights of these products, for which rows need to be paired but not
// transposed.

#include <cmath>

#include "ops/cpu/backward_kernels.h"
#include "ops/cpu/block_product.h"
#include "ops/cpu/transpose.h"

namespace tidar::cpu::TIDAR_ISA {

namespace {

constexpr int kBlock = kAttendBlock;
constexpr int64_t kSquare = int64_t{kBlock} * kBlock;
// Below every score, but such that differences of two stay finite.
constexpr float kLowest = -1e30f;

// What a row sees of a block of keys, relative to its first key.
class Seen {
 public:
  Seen() = default;
  Seen(const AttendBlock& block, int row, int32_t key_block) {
    if (row >= block.rows) return;
    const int32_t* const sight = block.sights + int64_t{row} * 4;
    for (int i = 0; i < 4; ++i) bounds_[i] = sight[i] - key_block * kBlock;
    all_ = bounds_[0] <= 0 && bounds_[1] >= kBlock;
    none_ = !any_between(bounds_[0], bounds_[1]) && !any_between(bounds_[2], bounds_[3]);
  }
  bool none() const { return none_; }
  /// `value` where keys from `key` on are seen, `otherwise` elsewhere.
  Floats of(Floats value, int key, Floats otherwise) const {
    if (all_) return value;
    const Floats in_block = select(lanes(bounds_[2] - key, bounds_[3] - key), value, otherwise);
    return select(lanes(bounds_[0] - key, bounds_[1] - key), value, in_block);
  }

 private:
  static bool any_between(int from, int to) { return from < to && from < kBlock && to > 0; }
  int bounds_[4] = {};
  bool all_ = false;
  bool none_ = true;
};

// Two vectors side by side, as operands.
template <class T>
void put_run(T* to, Floats first_half, Floats second_half) {
  if constexpr (sizeof(T) == 2) {
    store_lanes(to, adjacent_pairs(first_half, second_half));
  } else {
    store(to, first_half);
    store(to + kLanes, second_half);
  }
}

// The same keys of an even row and of the next one, into panels of 16 keys and 64 rows.
template <class T>
void put_rows(T* panels, int row, int key, Floats even, Floats odd) {
  T* const to =
      panels + int64_t{key / kPanel} * kBlock * kPanel + row * kPanel + key % kPanel * kPerLane<T>;
  if constexpr (sizeof(T) == 2) {
    store_lanes(to, interleaved_pairs(even, odd));
  } else {
    store(to, even);
    store(to + kPanel, odd);
  }
}

// out [64][stride], 64 columns = q k^T of a block of keys, or d_out v^T.
template <class Blocks>
void against_keys(const AttendBlock& block, const void* rows, const void* panels, int32_t key_block,
                  float* out, int64_t stride) {
  using T = typename Blocks::Type;
  const int64_t size = block.padded_size;
  Blocks::template multiply<Sums::fresh>({static_cast<const T*>(rows), size,
                                          static_cast<const T*>(panels) + key_block * kBlock * size,
                                          kPanel * size, out, stride, kBlock, size, kBlock});
}

// sums [64][E] += weights [64][stride], 64 columns, times elements of a block of keys.
template <class Blocks>
void weigh_keys(const AttendBlock& block, const typename Blocks::Type* weights, int64_t stride,
                const void* panels, int32_t key_block) {
  using T = typename Blocks::Type;
  const T* const elements = static_cast<const T*>(panels) + int64_t{key_block} * kBlock * kPanel;
  Blocks::template multiply<Sums::added>({weights, stride, elements, kPanel * block.padded_rows,
                                          block.sums, block.padded_size, kBlock, kBlock,
                                          block.padded_size});
}

// gradient [E][64 keys] = or += columns [E][64 rows] times weights of these rows and keys.
template <class Blocks, Sums kSums>
void weigh_rows(const AttendBlock& block, const void* columns, const typename Blocks::Type* weights,
                int32_t key_block, float* gradient) {
  using T = typename Blocks::Type;
  Blocks::template multiply<kSums>({static_cast<const T*>(columns), kBlock, weights,
                                    kBlock * kPanel, gradient + int64_t{key_block} * kBlock,
                                    block.gradient_stride, block.padded_size, kBlock, kBlock});
}

// Blocks of keys whose scores are held at once. Over one block, a row's largest score and sum cost
// as much as its exponentials do; over eight, little.
constexpr int kChunkBlocks = 8;
// Floats from row to row of a chunk's scores: not a power of two, at which the rows of a tile would
// share two sets of the cache.
constexpr int64_t kChunkStride = kChunkBlocks * kBlock + 2 * kPanel;

struct Chunk {
  const int32_t* key_blocks;
  int count;
};

// Statistics of a row: the largest score so far, and the sum of exp(score - largest).
struct Softmax {
  float largest = kLowest;
  float total = 0;
};

float largest_score(const Seen* seen, int count, const float* scores) {
  Floats best = all(-INFINITY);
  for (int b = 0; b < count; ++b) {
    if (seen[b].none()) continue;
    for (int k = 0; k < kBlock; k += kLanes) {
      best = max(best, seen[b].of(load(scores + b * kBlock + k), k, all(-INFINITY)));
    }
  }
  return largest(best);
}

// Turns a row's scores of a chunk into weights; returns the factor that what was summed up before
// has to be multiplied with.
template <class T>
float soften(const AttendBlock& block, int row, const Chunk& chunk, const float* scores,
             Softmax& softmax, T* weights) {
  Seen seen[kChunkBlocks];
  for (int b = 0; b < chunk.count; ++b) seen[b] = Seen(block, row, chunk.key_blocks[b]);
  const float now = largest_score(seen, chunk.count, scores) * block.scale;
  const float before = softmax.largest;
  softmax.largest = now > before ? now : before;
  const Floats scale = all(block.scale), shift = all(-softmax.largest);
  Floats total = zero();
  for (int b = 0; b < chunk.count; ++b) {
    for (int k = 0; k < kBlock; k += 2 * kLanes) {
      Floats halves[2] = {zero(), zero()};
      for (int i = 0; i < 2 && !seen[b].none(); ++i) {
        const Floats score = load(scores + b * kBlock + k + i * kLanes);
        halves[i] = seen[b].of(exp(fma(score, scale, shift)), k + i * kLanes, zero());
        total = add(total, halves[i]);
      }
      put_run(weights + b * kBlock + k, halves[0], halves[1]);
    }
  }
  if (softmax.largest == before) {
    softmax.total += sum(total);
    return 1;
  }
  float factors[kLanes];
  store(factors, exp(all(before - softmax.largest)));
  softmax.total = softmax.total * factors[0] + sum(total);
  return factors[0];
}

void multiply_row(float* row, int64_t count, float factor) {
  for (int64_t i = 0; i < count; i += kLanes) store(row + i, mul(load(row + i), all(factor)));
}

template <class Blocks>
void forward(const AttendBlock& block) {
  using T = typename Blocks::Type;
  alignas(64) float scores[kBlock * kChunkStride];
  alignas(64) T weights[kBlock * kChunkStride];
  Softmax softmax[kBlock];
  for (int64_t i = 0; i < kBlock * block.padded_size; i += kLanes) store(block.sums + i, zero());
  Blocks::begin();
  for (int first = 0; first < block.key_block_count; first += kChunkBlocks) {
    const int left = block.key_block_count - first;
    const Chunk chunk = {block.key_blocks + first, left < kChunkBlocks ? left : kChunkBlocks};
    for (int b = 0; b < chunk.count; ++b) {
      against_keys<Blocks>(block, block.q_rows, block.k_by_rows, chunk.key_blocks[b],
                           scores + b * kBlock, kChunkStride);
    }
    for (int row = 0; row < kBlock; ++row) {
      const float factor = soften(block, row, chunk, scores + row * kChunkStride, softmax[row],
                                  weights + row * kChunkStride);
      if (first > 0 && factor != 1) {
        multiply_row(block.sums + row * block.padded_size, block.padded_size, factor);
      }
    }
    for (int b = 0; b < chunk.count; ++b) {
      weigh_keys<Blocks>(block, weights + b * kBlock, kChunkStride, block.v_by_columns,
                         chunk.key_blocks[b]);
    }
  }
  Blocks::end();
  for (int row = 0; row < block.rows; ++row) {
    const float total = softmax[row].total;
    multiply_row(block.sums + row * block.padded_size, block.padded_size,
                 total > 0 ? 1 / total : 0);
    block.log_sums[row] = total > 0 ? softmax[row].largest + std::log(total) : -INFINITY;
  }
}

// Probabilities and gradients of scores of a block, as operands of the products to come.
template <class T>
struct BlockGradients {
  alignas(64) T weights[kSquare];  // panels of keys
  alignas(64) T d_score_panels[kSquare];
  alignas(64) T d_scores[kSquare];  // [64][64]
};

template <class T>
void differentiate(const AttendBlock& block, int32_t key_block, const float* scores,
                   const float* d_weights, BlockGradients<T>& out) {
  const Floats scale = all(block.scale);
  for (int row = 0; row < kBlock; row += 2) {
    const Seen seen[2] = {Seen(block, row, key_block), Seen(block, row + 1, key_block)};
    for (int k = 0; k < kBlock; k += 2 * kLanes) {
      Floats weights[2][2], d_scores[2][2];
      for (int r = 0; r < 2; ++r) {
        const Floats log_sum = all(-block.log_sums[row + r]), mean = all(block.means[row + r]);
        for (int i = 0; i < 2; ++i) {
          const int key = k + i * kLanes, at = (row + r) * kBlock + key;
          if (seen[r].none()) {
            weights[r][i] = d_scores[r][i] = zero();
            continue;
          }
          const Floats exponent = fma(load(scores + at), scale, log_sum);
          const Floats weight = seen[r].of(exp(exponent), key, zero());
          weights[r][i] = weight;
          d_scores[r][i] = mul(mul(weight, sub(load(d_weights + at), mean)), scale);
        }
        put_run(out.d_scores + (row + r) * kBlock + k, d_scores[r][0], d_scores[r][1]);
      }
      for (int i = 0; i < 2; ++i) {
        put_rows(out.weights, row, k + i * kLanes, weights[0][i], weights[1][i]);
        put_rows(out.d_score_panels, row, k + i * kLanes, d_scores[0][i], d_scores[1][i]);
      }
    }
  }
}

template <class Blocks>
void backward(const AttendBlock& block) {
  using T = typename Blocks::Type;
  alignas(64) float scores[kSquare], d_weights[kSquare];
  BlockGradients<T> gradients;
  for (int64_t i = 0; i < kBlock * block.padded_size; i += kLanes) store(block.sums + i, zero());
  Blocks::begin();
  for (int b = 0; b < block.key_block_count; ++b) {
    const int32_t key_block = block.key_blocks[b];
    against_keys<Blocks>(block, block.q_rows, block.k_by_rows, key_block, scores, kBlock);
    against_keys<Blocks>(block, block.d_rows, block.v_by_rows, key_block, d_weights, kBlock);
    differentiate(block, key_block, scores, d_weights, gradients);
    if (block.touched[key_block] == 0) {
      block.touched[key_block] = 1;
      weigh_rows<Blocks, Sums::fresh>(block, block.d_columns, gradients.weights, key_block,
                                      block.d_v);
      weigh_rows<Blocks, Sums::fresh>(block, block.q_columns, gradients.d_score_panels, key_block,
                                      block.d_k);
    } else {
      weigh_rows<Blocks, Sums::added>(block, block.d_columns, gradients.weights, key_block,
                                      block.d_v);
      weigh_rows<Blocks, Sums::added>(block, block.q_columns, gradients.d_score_panels, key_block,
                                      block.d_k);
    }
    weigh_keys<Blocks>(block, gradients.d_scores, kBlock, block.k_by_columns, key_block);
  }
  Blocks::end();
}

}  // namespace

void attend_rows_f32(const AttendBlock& block) { forward<VectorBlocks<WeightsF32>>(block); }
void attend_rows_backward_f32(const AttendBlock& block) {
  backward<VectorBlocks<WeightsF32>>(block);
}

#if defined(__AMX_BF16__)
void attend_rows_bf16(const AttendBlock& block) { forward<TileBlocks>(block); }
void attend_rows_backward_bf16(const AttendBlock& block) { backward<TileBlocks>(block); }
#elif defined(__AVX512BF16__)
void attend_rows_bf16(const AttendBlock& block) { forward<VectorBlocks<WeightsBf16Pairs>>(block); }
void attend_rows_backward_bf16(const AttendBlock& block) {
  backward<VectorBlocks<WeightsBf16Pairs>>(block);
}
#endif

}  // namespace tidar::cpu::TIDAR_ISA
