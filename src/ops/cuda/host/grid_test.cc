// What carries out kernels on the CPU finds the mistakes that kernels make: they are planted here.

#include "ops/cuda/host/grid.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "ops/cuda/gpu.h"

namespace tidar::cuda::host {
namespace {

constexpr int kSeeds = 20;
constexpr uint32_t kAllLanes = 0xffffffffu;

void run(uint64_t seed, unsigned blocks, unsigned threads, const std::function<void()>& kernel) {
  Grids(seed).run({{blocks, 1, 1}, threads, std::source_location::current()}, kernel);
}

// ---- What kernels may rely on ----

TEST(Grids, RunEveryThreadOfEveryBlockOnce) {
  for (const unsigned threads : {1u, 31u, 32u, 100u, 1024u}) {
    std::vector<int> runs(2 * 3 * 2 * threads);
    Grids(threads).run({{2, 3, 2}, threads, {}}, [&] {
      EXPECT_EQ(blockDim.x, threads);
      EXPECT_EQ(gridDim.y, 3u);
      const unsigned block = (blockIdx.z * 3 + blockIdx.y) * 2 + blockIdx.x;
      ++runs[block * threads + threadIdx.x];
    });
    EXPECT_EQ(std::set<int>(runs.begin(), runs.end()), std::set<int>{1});
  }
}

TEST(Grids, OrdersOfThreadsAndBlocksFollowFromTheSeed) {
  const auto order = [](uint64_t seed) {
    std::vector<unsigned> seen;
    run(seed, 3, 40, [&] { seen.push_back(blockIdx.x * 40 + threadIdx.x); });
    return seen;
  };
  EXPECT_EQ(order(1), order(1));
  std::set<std::vector<unsigned>> orders;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) orders.insert(order(seed));
  EXPECT_EQ(orders.size(), size_t{kSeeds});
}

constexpr int kMostWarps = 8;
struct SumShared {
  Array<float, kMostWarps> of_warps;
};

// The sum of `in` over the block, by shuffles within warps and shared memory between them.
__global__ void sum_block(const float* in, float* out) {
  TIDAR_SHARED(SumShared, shared);
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  float sum = in[threadIdx.x];
  for (int bits = kWarp / 2; bits > 0; bits /= 2) sum += __shfl_xor_sync(kAllLanes, sum, bits);
  if (lane == 0) shared.of_warps[warp] = sum;
  __syncthreads();
  sum = 0;
  for (unsigned other = 0; other < blockDim.x / kWarp; ++other) sum += shared.of_warps[other];
  out[threadIdx.x] = sum;
}

TEST(Grids, ASumOverABlockIsTheSameInEveryOrder) {
  for (const unsigned warps : {1u, 2u, 7u}) {
    std::vector<float> in(warps * kWarp), out(in.size());
    std::iota(in.begin(), in.end(), 1.0f);
    const float expected = std::accumulate(in.begin(), in.end(), 0.0f);
    for (uint64_t seed = 0; seed < kSeeds; ++seed) {
      run(seed, 3, warps * kWarp, [&] { sum_block(in.data(), out.data()); });
      EXPECT_EQ(std::set<float>(out.begin(), out.end()), std::set<float>{expected});
    }
  }
}

TEST(Grids, LanesOfAMaskMeetWithoutTheOthers) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    run(seed, 1, 40, [&] {
      const unsigned lane = threadIdx.x % kWarp;
      if (threadIdx.x >= kWarp) {  // a warp of 8
        EXPECT_EQ(__ballot_sync(0xffu, lane % 2 == 1), 0xaau);
        return;
      }
      // Each half on its own, several times.
      const uint32_t half = lane < 16 ? 0x0000ffffu : 0xffff0000u;
      for (int round = 0; round < 3; ++round) {
        EXPECT_EQ(__ballot_sync(half, true), half);
        EXPECT_EQ(__shfl_sync(half, lane, lane < 16 ? 3 : 30), lane < 16 ? 3u : 30u);
        __syncwarp(half);
      }
      EXPECT_EQ(__shfl_xor_sync(kAllLanes, 100.0 + lane, 31), 100.0 + (31 - lane));
    });
  }
}

struct Scratch {
  Array<float, 8> numbers;
};

TEST(Grids, SharedMemoryHoldsNoNumbersAtFirst) {
  int blocks = 0;
  run(1, 3, 1, [&] {
    TIDAR_SHARED(Scratch, shared);
    for (int i = 0; i < 8; ++i) EXPECT_TRUE(std::isnan(shared.numbers[i]));
    for (int i = 0; i < 8; ++i) shared.numbers[i] = 1;
    ++blocks;
  });
  EXPECT_EQ(blocks, 3);
}

// ---- Races ----

struct ReverseShared {
  Array<int, 64> values;
};

__global__ void reverse(int* values, bool has_barrier) {
  TIDAR_SHARED(ReverseShared, shared);
  shared.values[threadIdx.x] = values[threadIdx.x];
  if (has_barrier) __syncthreads();
  values[threadIdx.x] = shared.values[63 - threadIdx.x];
}

struct ShiftShared {
  Array<int, 32> values;
};

// Each lane takes its neighbour's value, several times. What is read must have been read by all
// before it is written over.
__global__ void rotate(int* values, bool has_second_barrier) {
  TIDAR_SHARED(ShiftShared, shared);
  int value = values[threadIdx.x];
  for (int round = 0; round < 5; ++round) {
    shared.values[threadIdx.x] = value;
    __syncthreads();
    value = shared.values[(threadIdx.x + 1) % 32];
    if (has_second_barrier) __syncthreads();
  }
  values[threadIdx.x] = value;
}

// Seeds under which a kernel turns 0, 1, 2 … into what it must not.
int wrong_seeds(int threads, const std::function<void(int*)>& kernel,
                const std::function<int(int)>& expected) {
  int wrong = 0;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    std::vector<int> values(static_cast<size_t>(threads));
    std::iota(values.begin(), values.end(), 0);
    run(seed, 1, static_cast<unsigned>(threads), [&] { kernel(values.data()); });
    bool is_right = true;
    for (int i = 0; i < threads; ++i)
      is_right = is_right && values[static_cast<size_t>(i)] == expected(i);
    wrong += is_right ? 0 : 1;
  }
  return wrong;
}

TEST(Grids, AMissingBarrierShows) {
  const auto reversed = [](int i) { return 63 - i; };
  EXPECT_EQ(wrong_seeds(
                64, [](int* values) { reverse(values, true); }, reversed),
            0);
  EXPECT_EQ(wrong_seeds(
                64, [](int* values) { reverse(values, false); }, reversed),
            kSeeds);
  const auto rotated = [](int i) { return (i + 5) % 32; };
  EXPECT_EQ(wrong_seeds(
                32, [](int* values) { rotate(values, true); }, rotated),
            0);
  EXPECT_EQ(wrong_seeds(
                32, [](int* values) { rotate(values, false); }, rotated),
            kSeeds);
}

// ---- What ends with a sentence ----

// Barriers on two lines: the same number of threads come to each as would to one.
__global__ void wait_by_halves() {
  if (threadIdx.x < 32) {  // NOLINT(bugprone-branch-clone): that is the mistake
    __syncthreads();
  } else {
    __syncthreads();
  }
}

__global__ void wait_for_different_things() {
  if (threadIdx.x % 2 == 0) {
    __ballot_sync(kAllLanes, true);
  } else {
    __syncwarp();
  }
}

TEST(GridsDeathTest, WrongMasks) {
  EXPECT_DEATH(run(1, 1, 32, [] { __syncwarp(0x0000ffffu); }),
               "thread [0-9]+ of block \\(0, 0, 0\\).*wrong mask: 0x0000ffff does not name lane "
               "[0-9]+, which calls __syncwarp");
  EXPECT_DEATH(run(1, 1, 40, [] { __ballot_sync(kAllLanes, true); }),
               "wrong mask: 0xffffffff in a warp of 8 lanes");
  EXPECT_DEATH(run(1, 1, 32, [] { __syncwarp(threadIdx.x < 8 ? 0x0000ffffu : kAllLanes); }),
               "wrong mask: 0x[0f]+, while lanes 0x.* wait at .*grid_test.cc:.* with mask 0x");
  EXPECT_DEATH(
      run(1, 1, 32,
          [] {
            if (threadIdx.x < 16) __shfl_xor_sync(0x0000ffffu, 1, 16);
          }),
      "__shfl_xor_sync\\(\\) takes a value from lane [0-9]+, which its mask does not name");
  EXPECT_DEATH(run(1, 1, 32,
                   [] {
                     if (threadIdx.x != 5) __syncwarp();
                   }),
               "a meeting of lanes that not all come to.*31 of 32 threads wait for __syncwarp.*"
               "thread 5 has ended");
}

TEST(GridsDeathTest, DivergentBarriers) {
  EXPECT_DEATH(run(1, 1, 64,
                   [] {
                     if (threadIdx.x >= 60) return;
                     __syncthreads();
                   }),
               "a divergent barrier that not all come to, in block \\(0, 0, 0\\).*: 60 of 64 "
               "threads wait for __syncthreads\\(\\), thread 0 the first; thread 60 has ended");
  EXPECT_DEATH(run(1, 1, 64, wait_by_halves),
               "a divergent barrier: other threads of the block wait at .*grid_test.cc:");
  EXPECT_DEATH(run(1, 1, 32, wait_for_different_things),
               "a divergent __(ballot_sync|syncwarp)\\(\\): other lanes of its mask wait at");
}

TEST(GridsDeathTest, IndicesPastTheEnd) {
  EXPECT_DEATH(run(1, 1, 16,
                   [] {
                     TIDAR_SHARED(Scratch, shared);
                     shared.numbers[threadIdx.x] = 1;
                   }),
               "thread [0-9]+ of block \\(0, 0, 0\\).*index [0-9]+ of an Array of 8");
#ifdef __SANITIZE_ADDRESS__
  std::vector<float> numbers(8);
  EXPECT_DEATH(run(1, 1, 1, [&, data = numbers.data()] { data[threadIdx.x + 8] = 1; }),
               "heap-buffer-overflow");
  EXPECT_DEATH(run(1, 1, 1,
                   [] {
                     TIDAR_SHARED(Scratch, shared);
                     float* const data = &shared.numbers[0];
                     data[threadIdx.x + 8] = 1;
                   }),
               "heap-buffer-overflow");
#endif
}

struct TooMuch {
  Array<char, (48 << 10) + 1> bytes;
};

TEST(GridsDeathTest, LaunchesThatNoDeviceTakes) {
  const auto nothing = [] {};
  EXPECT_DEATH(run(1, 1, 1025, nothing), "blocks of 1025 threads; 1 to 1024 are possible");
  EXPECT_DEATH(run(1, 1, 0, nothing), "blocks of 0 threads");
  EXPECT_DEATH(run(1, 0, 32, nothing), "a launch of 0 x 1 x 1 blocks");
  EXPECT_DEATH(Grids(1).run({{1, 65536, 1}, 1, {}}, nothing), "1 x 65536 x 1 blocks");
  EXPECT_DEATH(run(1, 1, 1,
                   [] {
                     TIDAR_SHARED(TooMuch, shared);
                     shared.bytes[0] = 0;
                   }),
               "49153 bytes of shared memory, of which a block has 49152");
  EXPECT_DEATH(Grids(1).run({{1, 1, 1}, 1, {}, kMostAskedSharedBytes + 1}, nothing),
               "asks for 101377 bytes of shared memory; 101376 are possible");
}

}  // namespace
}  // namespace tidar::cuda::host
