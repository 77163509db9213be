// Attention over the keys of parts, on tensor cores, for stores of bf16.
//
// As in attend.cu a row's result depends on what it sees alone. Tiles of 64 keys, 32 of which are
// taken at once, begin where the key order, or the row's block, says; those of which a row sees
// nothing leave it as it was.

#include "ops/cuda/attend_parts.h"
#include "ops/cuda/mma.h"
#include "ops/cuda/warp.h"

namespace tidar::cuda {

namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / kLanes;
constexpr int kWarpPairs = 16;               // pairs of a row and a head: A of an instruction
constexpr int kPairs = kWarps * kWarpPairs;  // of a block
constexpr int kKeys = 64;                    // of a tile
constexpr int kScored = 32;                  // of a tile at once
constexpr int kOctets = kScored / 8;         // 8 keys are what an instruction takes
constexpr int kStages = 2;
// Of a multiprocessor, for which registers are shared out: as many as shared memory has room for.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
constexpr int kBlocks = 2;
#else
constexpr int kBlocks = 3;
#endif

// Keys or values of a tile, one a line. The place of a word within its line is such that lanes
// reach different banks, both where they read four words of two lines and one word of eight.
template <int kHead>
struct Tile {
  static constexpr int kWords = kHead / kWordElements;
  Array<Array<Words, kWords>, kKeys> lines;

  __device__ static int place(int line, int word) {
    return word ^ ((line & 1) << 2 | (line >> 1 & 3));
  }
  __device__ Words& at(int line, int word) { return lines[line][place(line, word)]; }
};

template <int kHead>
struct Shared {
  Array<Tile<kHead>, kStages> keys, values;
  int32_t is_odd;  // 1: something came out that is no number
};

// One warp's pairs, of which lane (g, t) has g and g + 8: softmax so far, and the average that it
// weighs. `sums` is this lane's share.
template <int kHead>
struct Softmax {
  float largest[2] = {kNever, kNever};
  float sums[2] = {};
  MmaD average[kHead / 8] = {};
};

__device__ uint32_t pair_of(float low, float high) {
  return narrow<Bf16>(low).bits | static_cast<uint32_t>(narrow<Bf16>(high).bits) << 16;
}

__device__ bool is_odd(uint32_t bits) { return (bits & 0x7f80u) == 0x7f80u; }
__device__ bool has_odd(uint32_t pair) { return is_odd(pair) || is_odd(pair >> 16); }
// 0 in place of what is no finite number.
__device__ uint32_t without_odd(uint32_t pair) {
  return (is_odd(pair) ? 0u : pair & 0xffffu) | (is_odd(pair >> 16) ? 0u : pair & 0xffff0000u);
}

template <int kHead>
class Attention {
 public:
  __device__ Attention(const AttendCall& call, const KeyPart& part, int pairs,
                       Shared<kHead>& shared)
      : call_(call), part_(part), pairs_(pairs), shared_(shared) {
    const int size = call.kv.head_size;
    TIDAR_UNROLL
    for (int i = 0; i < 2; ++i) {
      TIDAR_UNROLL
      for (int c = 0; c < kChunks; ++c) queries_[c][i] = {};
      from_[i] = to_[i] = 0;
      if (!is_pair(i)) continue;
      const auto [row, head] = own_pair(i);
      const int32_t* const sight = sight_of(call, part, row);
      from_[i] = sight[0] > part.from ? sight[0] : part.from;
      to_[i] = sight[1] < part.to ? sight[1] : part.to;
      const float* const q = call.q.row<float>(part.first_row + row) + int64_t{head} * size;
      TIDAR_UNROLL
      for (int c = 0; c < kChunks; ++c) {
        const int first = (4 * c + t_) * kWordElements;
        if (first >= size) continue;
        TIDAR_UNROLL
        for (int e = 0; e < 4; ++e)
          queries_[c][i].pairs[e] = pair_of(q[first + 2 * e], q[first + 2 * e + 1]);
      }
    }
  }

  // Over all keys of the part. All threads of the block call it. With `minds_odd`, values that are
  // no numbers count for nobody but rows that see them, whose averages then are none either;
  // without, they may reach every row of the warp.
  __device__ __forceinline__ void run(bool minds_odd) {
    softmax_ = {};
    sees_odd_ = 0;
    const int first = part_.first_tile;
    const int tiles = static_cast<int>(blocks_for(part_.to - first, kKeys));
    AsyncCopies copies;
    load(first, 0, copies);
    for (int tile = 0; tile < tiles; ++tile) {
      if (tile + 1 < tiles)
        load(first + (tile + 1) * kKeys, (tile + 1) % kStages, copies);
      else
        copies.commit();
      copies.wait<1>();
      __syncthreads();  // the tile is there, from all threads
      if (warp_index() * kWarpPairs < pairs_)
        take_tile(first + tile * kKeys, tile % kStages, minds_odd);
      __syncthreads();  // it has been used
    }
  }

  // Whether this lane has an average that is no finite number.
  __device__ __forceinline__ bool has_odd_average() const {
    bool any = false;
    TIDAR_UNROLL
    for (int n = 0; n < kHead / 8; ++n) {
      TIDAR_UNROLL
      for (int i = 0; i < 4; ++i) {
        const float value = softmax_.average[n].sums[i];
        any = any || !(value - value == 0);
      }
    }
    return any;
  }

  __device__ __forceinline__ void store() {
    TIDAR_UNROLL
    for (int i = 0; i < 2; ++i) {
      float sum = softmax_.sums[i];
      for (int bit = 2; bit > 0; bit /= 2) sum += __shfl_xor_sync(kAllLanes, sum, bit);
      if (!is_pair(i)) continue;
      const auto [row, head] = own_pair(i);
      float* const partial = call_.partial(part_.partial + row, head);
      if (t_ == 0) partial[0] = softmax_.largest[i], partial[1] = sum;
      TIDAR_UNROLL
      for (int n = 0; n < kHead / 8; ++n) {
        TIDAR_UNROLL
        for (int j = 0; j < 2; ++j) {
          const int e = n * 8 + 2 * t_ + j;
          const float value = softmax_.average[n].sums[2 * i + j];
          if (e < call_.kv.head_size) partial[2 + e] = (sees_odd_ >> i & 1) != 0 ? NAN : value;
        }
      }
    }
  }

 private:
  static constexpr int kChunks = kHead / 32;

  __device__ __forceinline__ bool is_pair(int i) const {
    return warp_index() * kWarpPairs + g_ + 8 * i < pairs_;
  }
  __device__ __forceinline__ Pair own_pair(int i) const {
    return pair_at(call_, static_cast<int>(blockIdx.z) * kPairs,
                   warp_index() * kWarpPairs + g_ + 8 * i);
  }
  __device__ __forceinline__ bool sees(int i, int key) const {
    return key >= from_[i] && key < to_[i];
  }

  // Keys [first, first + 64) and their values; zeros for those that are not of the part.
  __device__ __forceinline__ void load(int first, int stage, AsyncCopies& copies) {
    constexpr int kWords = Tile<kHead>::kWords;
    const Bf16* const keys = static_cast<const Bf16*>(call_.kv.keys);
    const Bf16* const values = static_cast<const Bf16*>(call_.kv.values);
    for (int i = static_cast<int>(threadIdx.x); i < kKeys * kWords; i += kThreads) {
      const int line = i / kWords, word = i % kWords, key = first + line;
      const bool is_there =
          key >= part_.from && key < part_.to && word * kWordElements < call_.kv.head_size;
      int64_t at = 0;
      if (is_there) {
        at =
            call_.kv.offset(call_.layer, slot_of(call_, part_, key), static_cast<int>(blockIdx.y)) +
            word * kWordElements;
      }
      copies.add(shared_.keys[stage].at(line, word), keys + at, is_there);
      copies.add(shared_.values[stage].at(line, word), values + at, is_there);
    }
    copies.commit();
  }

  __device__ __forceinline__ void take_tile(int first, int stage, bool minds_odd) {
    for (int line = 0; line < kKeys; line += kScored) take_keys(first, line, stage, minds_odd);
  }

  // Keys of the tile from `line` on.
  __device__ __forceinline__ void take_keys(int first, int line, int stage, bool minds_odd) {
    MmaD scores[kOctets] = {};
    TIDAR_UNROLL
    for (int n = 0; n < kOctets; ++n) {
      TIDAR_UNROLL
      for (int c = 0; c < kChunks; ++c) {
        const Words key = shared_.keys[stage].at(line + n * 8 + g_, 4 * c + t_);
        const Words &low = queries_[c][0], &high = queries_[c][1];
        TIDAR_UNROLL
        for (int i = 0; i < 4; i += 2) {
          mma({{low.pairs[i], high.pairs[i], low.pairs[i + 1], high.pairs[i + 1]}},
              {{key.pairs[i], key.pairs[i + 1]}}, scores[n]);
        }
      }
    }
    const uint32_t odd_keys = minds_odd ? find_odd(line, stage) : 0;
    float rescales[2];
    TIDAR_UNROLL
    for (int i = 0; i < 2; ++i) rescales[i] = weigh(first + line, i, odd_keys, scores);
    // Seldom after the first keys, and it changes nothing where it is 1.
    if (__ballot_sync(kAllLanes, rescales[0] != 1 || rescales[1] != 1) != 0) {
      TIDAR_UNROLL
      for (int n = 0; n < kHead / 8; ++n) {
        TIDAR_UNROLL
        for (int i = 0; i < 4; ++i) softmax_.average[n].sums[i] *= rescales[i / 2];
      }
    }
    add_values(line, stage, scores, minds_odd);
  }

  // Makes weights of the scores of this lane's pair i with keys from `first` on; returns what the
  // average before is multiplied with.
  __device__ __forceinline__ float weigh(int first, int i, uint32_t odd_keys,
                                         MmaD (&scores)[kOctets]) {
    float largest = kNever;
    TIDAR_UNROLL
    for (int n = 0; n < kOctets; ++n) {
      TIDAR_UNROLL
      for (int j = 0; j < 2; ++j) {
        float& score = scores[n].sums[2 * i + j];
        score *= call_.scale;
        if (sees(i, first + n * 8 + 2 * t_ + j)) largest = score > largest ? score : largest;
      }
    }
    for (int bit = 2; bit > 0; bit /= 2) {
      const float other = __shfl_xor_sync(kAllLanes, largest, bit);
      largest = other > largest ? other : largest;
    }
    const float before = softmax_.largest[i];
    largest = before > largest ? before : largest;
    const float rescale = before == largest ? 1.0f : fast_exp(before - largest);
    softmax_.largest[i] = largest;
    float sum = 0;
    TIDAR_UNROLL
    for (int n = 0; n < kOctets; ++n) {
      TIDAR_UNROLL
      for (int j = 0; j < 2; ++j) {
        const int place = n * 8 + 2 * t_ + j;
        float& score = scores[n].sums[2 * i + j];
        const bool seen = sees(i, first + place);
        score = seen ? widen(narrow<Bf16>(fast_exp(score - largest))) : 0.0f;
        sum += score;
        if (seen && (odd_keys >> place & 1) != 0) sees_odd_ |= 1u << i;
      }
    }
    // What one lane of the pair knows, all four do.
    if (odd_keys != 0) {
      for (int bit = 2; bit > 0; bit /= 2) sees_odd_ |= __shfl_xor_sync(kAllLanes, sees_odd_, bit);
    }
    softmax_.sums[i] = fmaf(softmax_.sums[i], rescale, sum);
    return rescale;
  }

  // A bit for each of the keys from `line` on whose value is not all finite numbers.
  __device__ __forceinline__ uint32_t find_odd(int line, int stage) {
    bool odd = false;
    for (int word = 0; word < Tile<kHead>::kWords; ++word) {
      const Words& value = shared_.values[stage].at(line + lane_index(), word);
      for (int i = 0; i < 4; ++i) odd = odd || has_odd(value.pairs[i]);
    }
    return __ballot_sync(kAllLanes, odd);
  }

  __device__ __forceinline__ void add_values(int first_line, int stage,
                                             const MmaD (&weights)[kOctets], bool minds_odd) {
    TIDAR_UNROLL
    for (int k = 0; k < kScored / 16; ++k) {
      const MmaD &low = weights[2 * k], &high = weights[2 * k + 1];
      const MmaA a = {{pair_of(low.sums[0], low.sums[1]), pair_of(low.sums[2], low.sums[3]),
                       pair_of(high.sums[0], high.sums[1]), pair_of(high.sums[2], high.sums[3])}};
      TIDAR_UNROLL
      for (int n = 0; n < kHead / 8; n += 2) {
        const int block = lane_index() / 8;
        const int line = first_line + k * 16 + block % 2 * 8 + lane_index() % 8;
        Words value = load_transposed(shared_.values[stage].at(line, n + block / 2));
        if (minds_odd) {
          TIDAR_UNROLL
          for (int i = 0; i < 4; ++i) value.pairs[i] = without_odd(value.pairs[i]);
        }
        mma(a, {{value.pairs[0], value.pairs[1]}}, softmax_.average[n]);
        mma(a, {{value.pairs[2], value.pairs[3]}}, softmax_.average[n + 1]);
      }
    }
  }

  const AttendCall& call_;
  const KeyPart& part_;
  const int pairs_;
  Shared<kHead>& shared_;
  const int g_ = lane_index() / 4, t_ = lane_index() % 4;
  int from_[2], to_[2];
  Words queries_[kChunks][2];
  Softmax<kHead> softmax_;
  uint32_t sees_odd_ = 0;  // a bit for each of the lane's pairs
};

// Block (part, kv head, batch): 64 pairs of a row and one of the heads that share the kv head, 16 a
// warp.
template <int kHead>
__global__ void __launch_bounds__(kThreads, kBlocks) attend_mma_kernel(AttendCall call) {
  TIDAR_LARGE_SHARED(Shared<kHead>, shared);
  let_next_begin();
  const KeyPart part = call.parts[blockIdx.x];  // not of the kernel before
  const int left = part.rows * call.group - static_cast<int>(blockIdx.z) * kPairs;
  const int pairs = left < kPairs ? left : kPairs;
  wait_for_earlier();
  if (pairs <= 0) return;
  if (threadIdx.x == 0) shared.is_odd = 0;
  Attention<kHead> attention(call, part, pairs, shared);
  for (int turn = 0; turn < 2; ++turn) {
    attention.run(turn == 1);
    if (turn == 1) break;
    if (attention.has_odd_average()) shared.is_odd = 1;
    __syncthreads();
    if (shared.is_odd == 0) break;
  }
  attention.store();
}

template <int kHead>
void launch_attend(Stream stream, const AttendCall& call) {
  launch(stream,
         {.x = call.part_count,
          .y = call.kv.kv_heads,
          .z = blocks_for(int64_t{call.most_rows} * call.group, kPairs),
          .threads = kThreads,
          .shared = sizeof(Shared<kHead>)},
         attend_mma_kernel<kHead>, call);
}

}  // namespace

bool can_attend_mma(const AttendCall& call) {
  return call.kv.type == Element::bf16 && call.kv.head_size % kWordElements == 0;
}

void attend_parts_mma(Stream stream, const AttendCall& call) {
  if (call.kv.head_size <= kMostHead / 2) {
    launch_attend<kMostHead / 2>(stream, call);
  } else {
    launch_attend<kMostHead>(stream, call);
  }
}

}  // namespace tidar::cuda
