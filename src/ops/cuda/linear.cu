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
  let_next_begin();
  wait_for_earlier();
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

constexpr int kMmaOutputs = 16;        // of a block, and of an instruction
constexpr int kMmaRows = kFewestRows;  // of an instruction
constexpr int kMmaWarps = 16;          // of a block
constexpr int kMmaInputs = 64;         // of a warp in one step: a line of memory for each output
constexpr int kMmaStages = 3;          // of a warp's ring of weights
constexpr int kMmaThreads = kMmaWarps * kLanes;
constexpr int kMmaStep = kMmaWarps * kMmaInputs;
constexpr int kLineWords = kMmaInputs / kWordElements;

// A warp's weights of one step, an output a line.
struct MmaStage {
  Array<Array<Words, kLineWords>, kMmaOutputs> lines;

  // Where a word of a line stands: lanes that read words of even and odd lines at once then reach
  // different banks.
  __device__ static int place(int line, int word) { return word ^ (line % 2 * (kLineWords / 2)); }
};

template <int kRowTiles>
union MmaShared {
  Array<Array<MmaStage, kMmaStages>, kMmaWarps> ring;
  // Sums of each warp, once all steps are done; one more than there are rows, so that outputs begin
  // in different banks.
  Array<Array<Array<float, kMmaRows * kRowTiles + 1>, kMmaOutputs>, kMmaWarps> sums;
};

// 8 inputs of a row from `first` on: 0 behind the last row and the last input.
__device__ Words load_inputs(const View& x, int64_t row, int64_t first, bool is_aligned) {
  Words words = {};
  if (row >= x.rows || first >= x.cols) return words;
  const Bf16* const inputs = x.row<Bf16>(row) + first;
  if (is_aligned) return *reinterpret_cast<const Words*>(inputs);
  TIDAR_UNROLL
  for (int i = 0; i < kWordElements; ++i) {
    const uint32_t bits = first + i < x.cols ? inputs[i].bits : 0;
    words.pairs[i / 2] |= bits << (16 * (i % 2));
  }
  return words;
}

// A warp's part of 16 outputs along K: steps of 64 inputs, in turn with the other warps.
struct MmaPart {
  const WeightView& weight;
  int64_t first_output;
  int64_t steps;  // of this warp

  __device__ MmaPart(const WeightView& weight_, int64_t first_output_)
      : weight(weight_), first_output(first_output_) {
    const int64_t all = blocks_for(weight.inputs, kMmaInputs);
    steps = (all - warp_index() + kMmaWarps - 1) / kMmaWarps;
  }
  __device__ int64_t first_input(int64_t step) const {
    return step * kMmaStep + warp_index() * kMmaInputs;
  }
  // Lanes take words one behind another, so that a line of memory is read at once.
  __device__ void load(int64_t step, MmaStage& stage, AsyncCopies& copies) const {
    const int word = lane_index() % kLineWords;
    const int64_t k = first_input(step) + word * kWordElements;
    TIDAR_UNROLL
    for (int i = 0; i < kMmaOutputs; i += kLanes / kLineWords) {
      const int line = i + lane_index() / kLineWords;
      const bool is_there = first_output + line < weight.outputs && k < weight.stride;
      copies.add(stage.lines[line][MmaStage::place(line, word)],
                 weight.row<Bf16>(is_there ? first_output + line : 0) + (is_there ? k : 0),
                 is_there);
    }
  }
};

// Block (n, r): 16 outputs, A of the instruction, for up to 8 · kRowTiles rows, its columns. Lane
// (g, t) has words t and t + 4 of outputs g and g + 8, and of rows g, g + 8, …: which inputs an
// instruction takes for its k is the same for both. The warps' sums are added in their order. So
// an output's chain depends on K alone, whatever kRowTiles is.
template <int kRowTiles>
__global__ void __launch_bounds__(kMmaThreads, kRowTiles == 1 ? 2 : 1)
    mma_kernel(Product product, bool is_aligned) {
  using Shared = MmaShared<kRowTiles>;
  TIDAR_LARGE_SHARED(Shared, shared);
  let_next_begin();
  const WeightView& weight = product.weight;
  const int64_t first_row = static_cast<int64_t>(blockIdx.y) * kMmaRows * kRowTiles;
  const int64_t first_output = static_cast<int64_t>(blockIdx.x) * kMmaOutputs;
  const int g = lane_index() / 4, t = lane_index() % 4;
  const MmaPart part(weight, first_output);
  Array<MmaStage, kMmaStages>& ring = shared.ring[warp_index()];
  AsyncCopies copies;
  TIDAR_UNROLL
  for (int step = 0; step < kMmaStages - 1; ++step) {
    if (step < part.steps) part.load(step, ring[step], copies);
    copies.commit();
  }
  wait_for_earlier();

  // Rows of a step are loaded while the step before is multiplied, as far as registers go.
  constexpr bool kAhead = kRowTiles <= 4;
  MmaD d[kRowTiles] = {};
  Words x[kAhead ? kRowTiles : 1][2];
  const auto load_row = [&](int64_t step, int tile, int half) {
    const int word = t + half * (kLineWords / 2);
    return load_inputs(product.x, first_row + tile * kMmaRows + g,
                       part.first_input(step) + word * kWordElements, is_aligned);
  };
  const auto load_rows = [&](int64_t step) {
    if constexpr (kAhead) {
      TIDAR_UNROLL
      for (int tile = 0; tile < kRowTiles; ++tile) {
        TIDAR_UNROLL
        for (int half = 0; half < 2; ++half) x[tile][half] = load_row(step, tile, half);
      }
    }
  };
  if (part.steps > 0) load_rows(0);
  int stage = 0;
  for (int64_t step = 0; step < part.steps; ++step) {
    copies.wait<kMmaStages - 2>();
    __syncwarp();  // the step's weights are there, from all lanes
    Words w[2][2];
    TIDAR_UNROLL
    for (int i = 0; i < 2; ++i) {
      TIDAR_UNROLL
      for (int half = 0; half < 2; ++half) {
        const int line = g + 8 * i;
        w[i][half] = ring[stage].lines[line][MmaStage::place(line, t + half * (kLineWords / 2))];
      }
    }
    __syncwarp();  // the stage before, which is filled next, has been used
    const int next = stage == 0 ? kMmaStages - 1 : stage - 1;
    if (step + kMmaStages - 1 < part.steps) part.load(step + kMmaStages - 1, ring[next], copies);
    copies.commit();
    stage = stage == kMmaStages - 1 ? 0 : stage + 1;
    TIDAR_UNROLL
    for (int half = 0; half < 2; ++half) {
      TIDAR_UNROLL
      for (int tile = 0; tile < kRowTiles; ++tile) {
        Words row;
        if constexpr (kAhead) {
          row = x[tile][half];
        } else {
          row = load_row(step, tile, half);
        }
        TIDAR_UNROLL
        for (int i = 0; i < 4; i += 2) {
          mma({{w[0][half].pairs[i], w[1][half].pairs[i], w[0][half].pairs[i + 1],
                w[1][half].pairs[i + 1]}},
              {{row.pairs[i], row.pairs[i + 1]}}, d[tile]);
        }
      }
    }
    if (step + 1 < part.steps) load_rows(step + 1);
  }
  __syncthreads();  // all stages have been used
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
       i += kMmaThreads) {
    const int row = i / kOutputPairs, output = i % kOutputPairs * 2;
    if (first_row + row >= product.x.rows || first_output + output >= weight.outputs) continue;
    float even = 0, odd = 0;
    for (int warp = 0; warp < kMmaWarps; ++warp) {
      even += shared.sums[warp][output][row];
      odd += shared.sums[warp][output + 1][row];
    }
    finish_pair(product, first_row + row, first_output + output, even, odd);
  }
}

template <int kRowTiles>
void launch_mma(Stream stream, const Product& product) {
  const View& x = product.x;
  const bool is_aligned = x.cols % kWordElements == 0 && x.stride % kWordElements == 0 &&
                          reinterpret_cast<uintptr_t>(x.data) % alignof(Words) == 0;
  launch(stream,
         {.x = blocks_for(product.weight.outputs, kMmaOutputs),
          .y = blocks_for(x.rows, kMmaRows * kRowTiles),
          .threads = kMmaThreads,
          .shared = sizeof(MmaShared<kRowTiles>)},
         mma_kernel<kRowTiles>, product, is_aligned);
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
  let_next_begin();
  wait_for_earlier();
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

// ---- What stands around a library's products ----

// Block (r, part): kThreads outputs of row r, a thread each.
__global__ void swiglu_kernel(View sums, GateUp order, View out) {
  let_next_begin();
  wait_for_earlier();
  const int64_t n = static_cast<int64_t>(blockIdx.y) * kThreads + threadIdx.x;
  if (n >= out.cols) return;
  const bool by_turns = order == GateUp::alternating;
  const float* const gate = sums.row<float>(blockIdx.x) + (by_turns ? 2 * n : n);
  const float value = silu(gate[0]) * gate[by_turns ? 1 : out.cols];
  if (out.type == Element::bf16) {
    out.row<Bf16>(blockIdx.x)[n] = narrow<Bf16>(value);
  } else {
    out.row<float>(blockIdx.x)[n] = value;
  }
}

// The same.
__global__ void spread_kernel(const float* bias, View out) {
  let_next_begin();
  wait_for_earlier();
  const int64_t n = static_cast<int64_t>(blockIdx.y) * kThreads + threadIdx.x;
  if (n < out.cols) out.row<float>(blockIdx.x)[n] = bias[n];
}

}  // namespace

void swiglu(Stream stream, const View& sums, GateUp order, const View& out) {
  if (out.rows == 0) return;
  launch(stream, {.x = out.rows, .y = blocks_for(out.cols, kThreads), .threads = kThreads},
         swiglu_kernel, sums, order, out);
}

void spread(Stream stream, const float* bias, const View& out) {
  if (out.rows == 0) return;
  launch(stream, {.x = out.rows, .y = blocks_for(out.cols, kThreads), .threads = kThreads},
         spread_kernel, bias, out);
}

void multiply_few_mma(Stream stream, const Product& product) {
  if (product.x.rows == 0 || product.weight.outputs == 0) return;
  const int64_t rows = product.x.rows;
  if (rows <= kFewestRows) {
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
