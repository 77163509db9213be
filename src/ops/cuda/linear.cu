// Products with a weight, x W^T. For few rows, two kernels that read the weight once for all of
// them: a plain one, and one on tensor cores for bf16. For many rows, a plain one that tiles over
// rows and outputs. The plain ones multiply and add in f32.

#include "ops/cuda/gpu.h"
#include "ops/cuda/mma.h"
#include "ops/cuda/warp.h"

namespace tidar::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kLanes;

__device__ float silu(float t) { return t / (1.0f + expf(-t)); }

// Writes what the epilogue makes of the products of row r with outputs n and n + 1, n even: of
// those that there are.
__device__ void finish_pair(const Product& product, int64_t r, int64_t n, float first,
                            float second) {
  if (product.epilogue == Epilogue::swiglu) {
    const float value = silu(first) * second;
    if (product.out.type == Element::bf16) {
      product.out.row<Bf16>(r)[n / 2] = narrow<Bf16>(value);
    } else {
      product.out.row<float>(r)[n / 2] = value;
    }
    return;
  }
  float* const out = product.out.row<float>(r) + n;
  const bool has_second = n + 1 < product.weight.outputs;
  if (product.epilogue == Epilogue::add) {
    out[0] += first;
    if (has_second) out[1] += second;
  } else {
    const bool has_bias = product.bias != nullptr;
    out[0] = has_bias ? first + product.bias[n] : first;
    if (has_second) out[1] = has_bias ? second + product.bias[n + 1] : second;
  }
}

// ---- Few rows ----

// What a lane loads at once.
template <class T>
struct alignas(kWeightAlignment) Vector {
  static constexpr int kSize = kWeightAlignment / sizeof(T);
  Array<T, kSize> elements;
};

// Inputs that a warp takes in one step.
template <class T>
constexpr int kStep = kLanes* Vector<T>::kSize;

template <int kRows, class T>
struct SkinnyShared {
  Array<Array<Vector<T>, kLanes>, kRows> x;  // inputs of the step under way
};

// The step's inputs of this block's rows: 0 behind the last row and the last input.
template <int kRows, class T>
__device__ void stage_inputs(const View& x, int64_t first_row, int64_t first,
                             SkinnyShared<kRows, T>& shared) {
  constexpr int kSize = Vector<T>::kSize;
  for (int i = static_cast<int>(threadIdx.x); i < kRows * kStep<T>; i += kThreads) {
    const int row = i / kStep<T>, k = i % kStep<T>;
    const bool is_there = first_row + row < x.rows && first + k < x.cols;
    shared.x[row][k / kSize].elements[k % kSize] =
        is_there ? x.row<T>(first_row + row)[first + k] : T{};
  }
}

// Block (n, r): kRows rows from kRows · r on, and two outputs for each of its warps. A lane adds up
// the products of every 32nd vector of inputs, in order; lanes are then added by the tree of
// warp_sums(). So an output's chain depends on K alone, whatever kRows is.
template <int kRows, class T>
__global__ void __launch_bounds__(kThreads, 1) skinny_kernel(Product product) {
  using Shared = SkinnyShared<kRows, T>;
  TIDAR_SHARED(Shared, shared);
  const WeightView& weight = product.weight;
  const int64_t first_row = static_cast<int64_t>(blockIdx.y) * kRows;
  const int64_t n = 2 * (static_cast<int64_t>(blockIdx.x) * kWarps + warp_index());
  float sums[2][kRows] = {};
  for (int64_t first = 0; first < weight.inputs; first += kStep<T>) {
    __syncthreads();  // the step before has been used
    stage_inputs(product.x, first_row, first, shared);
    __syncthreads();
    const int64_t k = first + lane_index() * Vector<T>::kSize;
    if (k >= weight.stride) continue;
    TIDAR_UNROLL
    for (int i = 0; i < 2; ++i) {
      // Behind the last output the last is taken once more, for nothing.
      const int64_t output = n + i < weight.outputs ? n + i : weight.outputs - 1;
      const auto w = *reinterpret_cast<const Vector<T>*>(weight.row<T>(output) + k);
      TIDAR_UNROLL
      for (int row = 0; row < kRows; ++row) {
        const Vector<T>& x = shared.x[row][lane_index()];
        TIDAR_UNROLL
        for (int v = 0; v < Vector<T>::kSize; ++v)
          sums[i][row] = fmaf(widen(x.elements[v]), widen(w.elements[v]), sums[i][row]);
      }
    }
  }
  constexpr int kAtOnce = kRows < kLanes ? kRows : kLanes;
  constexpr int kOwners = kLanes / kAtOnce;  // lanes that hold the same row in the end
  TIDAR_UNROLL
  for (int group = 0; group < kRows; group += kAtOnce) {
    const float even = warp_sums<kAtOnce>(&sums[0][group]);
    const float odd = warp_sums<kAtOnce>(&sums[1][group]);
    const int64_t row = first_row + group + lane_index() / kOwners;
    if (lane_index() % kOwners == 0 && row < product.x.rows && n < weight.outputs)
      finish_pair(product, row, n, even, odd);
  }
}

template <int kRows, class T>
void launch_skinny(Stream stream, const Product& product) {
  launch(stream,
         {.x = blocks_for(product.weight.outputs, 2 * kWarps),
          .y = blocks_for(product.x.rows, kRows),
          .threads = kThreads},
         skinny_kernel<kRows, T>, product);
}

// ---- Few rows, on tensor cores ----

constexpr int kMmaOutputs = 16;  // of a block, and of an instruction
constexpr int kMmaRows = 8;      // of an instruction
constexpr int kMmaInputs = 32;   // of a warp in one step: of two instructions
constexpr int kMmaStep = kWarps * kMmaInputs;

// 8 bf16, as pairs.
struct alignas(kWeightAlignment) Words {
  uint32_t pairs[4];
};
constexpr int kWordElements = 8;

template <int kRowTiles>
union MmaShared {
  // Inputs of the step under way; one more than there are, so that rows begin in different banks.
  Array<Array<Words, kMmaStep / kWordElements + 1>, kMmaRows * kRowTiles> x;
  // Sums of each warp, once all steps are done.
  Array<Array<Array<float, kMmaRows * kRowTiles>, kMmaOutputs>, kWarps> sums;
};

// The step's inputs of all rows: 0 behind the last row and the last input.
template <int kRowTiles>
__device__ void stage_words(const View& x, int64_t first_row, int64_t first,
                            MmaShared<kRowTiles>& shared) {
  for (int i = static_cast<int>(threadIdx.x); i < kMmaRows * kRowTiles * kMmaStep / 2;
       i += kThreads) {
    const int row = i / (kMmaStep / 2), pair = i % (kMmaStep / 2);
    const int64_t k = first + 2 * pair;
    uint32_t bits = 0;
    if (first_row + row < x.rows) {
      const Bf16* const inputs = x.row<Bf16>(first_row + row);
      if (k < x.cols) bits = inputs[k].bits;
      if (k + 1 < x.cols) bits |= static_cast<uint32_t>(inputs[k + 1].bits) << 16;
    }
    shared.x[row][pair / 4].pairs[pair % 4] = bits;
  }
}

// Block (n, r): 16 outputs, A of the instruction, for up to 8 · kRowTiles rows, its columns. The
// warps take turns along K, 32 inputs each: lane (g, t) loads 8 inputs of outputs g and g + 8 from
// 8 t on, and which of them an instruction takes for its k is the same for weights and rows. The
// warps' sums are added in their order. So an output's chain depends on K alone, whatever kRowTiles
// is.
template <int kRowTiles>
__global__ void __launch_bounds__(kThreads, 1) mma_kernel(Product product) {
  using Shared = MmaShared<kRowTiles>;
  TIDAR_SHARED(Shared, shared);
  const WeightView& weight = product.weight;
  const int64_t first_row = static_cast<int64_t>(blockIdx.y) * kMmaRows * kRowTiles;
  const int64_t first_output = static_cast<int64_t>(blockIdx.x) * kMmaOutputs;
  const int g = lane_index() / 4, t = lane_index() % 4;
  MmaD d[kRowTiles] = {};
  for (int64_t first = 0; first < weight.inputs; first += kMmaStep) {
    __syncthreads();  // the step before has been used
    stage_words(product.x, first_row, first, shared);
    __syncthreads();
    const int in_step = warp_index() * kMmaInputs + t * kWordElements;
    Words w[2] = {};
    TIDAR_UNROLL
    for (int i = 0; i < 2; ++i) {
      const int64_t output = first_output + g + 8 * i;
      if (output < weight.outputs && first + in_step < weight.stride)
        w[i] = *reinterpret_cast<const Words*>(weight.row<Bf16>(output) + first + in_step);
    }
    TIDAR_UNROLL
    for (int tile = 0; tile < kRowTiles; ++tile) {
      const Words x = shared.x[tile * kMmaRows + g][in_step / kWordElements];
      TIDAR_UNROLL
      for (int i = 0; i < 4; i += 2) {
        mma({{w[0].pairs[i], w[1].pairs[i], w[0].pairs[i + 1], w[1].pairs[i + 1]}},
            {{x.pairs[i], x.pairs[i + 1]}}, d[tile]);
      }
    }
  }
  __syncthreads();  // the last step has been used
  TIDAR_UNROLL
  for (int tile = 0; tile < kRowTiles; ++tile) {
    TIDAR_UNROLL
    for (int i = 0; i < 4; ++i)
      shared.sums[warp_index()][g + i / 2 * 8][tile * kMmaRows + 2 * t + i % 2] = d[tile].sums[i];
  }
  __syncthreads();
  // A thread takes two outputs of a row, which stay together for swiglu.
  constexpr int kOutputPairs = kMmaOutputs / 2;
  for (int i = static_cast<int>(threadIdx.x); i < kOutputPairs * kMmaRows * kRowTiles;
       i += kThreads) {
    const int row = i / kOutputPairs, output = i % kOutputPairs * 2;
    if (first_row + row >= product.x.rows || first_output + output >= weight.outputs) continue;
    float even = 0, odd = 0;
    for (int warp = 0; warp < kWarps; ++warp) {
      even += shared.sums[warp][output][row];
      odd += shared.sums[warp][output + 1][row];
    }
    finish_pair(product, first_row + row, first_output + output, even, odd);
  }
}

template <int kRowTiles>
void launch_mma(Stream stream, const Product& product) {
  launch(stream,
         {.x = blocks_for(product.weight.outputs, kMmaOutputs),
          .y = blocks_for(product.x.rows, kMmaRows * kRowTiles),
          .threads = kThreads},
         mma_kernel<kRowTiles>, product);
}

// ---- Many rows ----

constexpr int kTile = 64;    // rows, and outputs, of a block
constexpr int kInputs = 32;  // of a step
constexpr int kEach = 4;     // rows, and outputs, of a thread

struct TileShared {
  // One more than a tile, so that the lanes that write a column reach different banks.
  Array<Array<float, kTile + 1>, kInputs> x, w;
};

// Inputs [first, first + kInputs) of rows of a matrix from `first_row` on, as columns.
template <class T, class Rows>
__device__ void stage_columns(const Rows& matrix, int64_t rows, int64_t first_row, int64_t first,
                              int64_t inputs, Array<Array<float, kTile + 1>, kInputs>& columns) {
  for (int i = static_cast<int>(threadIdx.x); i < kTile * kInputs; i += kThreads) {
    const int row = i / kInputs, k = i % kInputs;
    const bool is_there = first_row + row < rows && first + k < inputs;
    columns[k][row] = is_there ? widen(matrix.template row<T>(first_row + row)[first + k]) : 0.0f;
  }
}

// Block (n, r): a tile of kTile outputs and rows; thread (n, r) of 16 · 16 has kEach · kEach of
// them. An output's chain is in the order of the inputs.
template <class T>
__global__ void __launch_bounds__(kThreads, 1) tiled_kernel(Product product) {
  TIDAR_SHARED(TileShared, shared);
  constexpr int kAcross = kTile / kEach;
  const WeightView& weight = product.weight;
  const int64_t first_row = static_cast<int64_t>(blockIdx.y) * kTile;
  const int64_t first_output = static_cast<int64_t>(blockIdx.x) * kTile;
  const int row = static_cast<int>(threadIdx.x) / kAcross * kEach;
  const int output = static_cast<int>(threadIdx.x) % kAcross * kEach;
  float sums[kEach][kEach] = {};
  for (int64_t first = 0; first < weight.inputs; first += kInputs) {
    __syncthreads();  // the step before has been used
    stage_columns<T>(product.x, product.x.rows, first_row, first, weight.inputs, shared.x);
    stage_columns<T>(weight, weight.outputs, first_output, first, weight.inputs, shared.w);
    __syncthreads();
    for (int k = 0; k < kInputs; ++k) {
      TIDAR_UNROLL
      for (int i = 0; i < kEach; ++i) {
        TIDAR_UNROLL
        for (int j = 0; j < kEach; ++j)
          sums[i][j] = fmaf(shared.x[k][row + i], shared.w[k][output + j], sums[i][j]);
      }
    }
  }
  TIDAR_UNROLL
  for (int i = 0; i < kEach; ++i) {
    TIDAR_UNROLL
    for (int j = 0; j < kEach; j += 2) {
      const int64_t r = first_row + row + i, n = first_output + output + j;
      if (r < product.x.rows && n < weight.outputs)
        finish_pair(product, r, n, sums[i][j], sums[i][j + 1]);
    }
  }
}

}  // namespace

void multiply_few_mma(Stream stream, const Product& product) {
  if (product.x.rows == 0 || product.weight.outputs == 0) return;
  const int64_t rows = product.x.rows;
  if (rows <= kMmaRows) {
    launch_mma<1>(stream, product);
  } else if (rows <= 2 * kMmaRows) {
    launch_mma<2>(stream, product);
  } else if (rows <= 4 * kMmaRows) {
    launch_mma<4>(stream, product);
  } else {
    launch_mma<kFewRows / kMmaRows>(stream, product);
  }
}

void multiply_few(Stream stream, const Product& product) {
  if (product.x.rows == 0 || product.weight.outputs == 0) return;
  with_element(product.weight.type, [&]<class T>(T*) {
    const int64_t rows = product.x.rows;
    if (rows <= 1) {
      launch_skinny<1, T>(stream, product);
    } else if (rows <= 4) {
      launch_skinny<4, T>(stream, product);
    } else if (rows <= 16) {
      launch_skinny<16, T>(stream, product);
    } else {
      launch_skinny<kFewRows, T>(stream, product);
    }
  });
}

void multiply_many(Stream stream, const Product& product) {
  if (product.x.rows == 0 || product.weight.outputs == 0) return;
  with_element(product.weight.type, [&]<class T>(T*) {
    launch(stream,
           {.x = blocks_for(product.weight.outputs, kTile),
            .y = blocks_for(product.x.rows, kTile),
            .threads = kThreads},
           tiled_kernel<T>, product);
  });
}

}  // namespace tidar::cuda
