#include "ops/cuda/roofs.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <memory>

#include "ops/cuda/blas_lt.h"
#include "ops/cuda/roof_kernels.h"

namespace tidar::cuda {
namespace {

constexpr int kRuns = 10;
constexpr int64_t kMostBytes = int64_t{2} << 30;  // of one buffer
constexpr int kCaches = 4;      // a buffer holds at least so many times what the cache does
constexpr int kBlocksEach = 8;  // of a multiprocessor
constexpr int kSide = 8192;     // of the square matrices that are multiplied

/// The first failure; what comes after it is not done.
class Status {
 public:
  bool ok() const { return first_ == cudaSuccess; }
  bool take(cudaError_t status) {
    if (ok()) first_ = status;
    if (status != cudaSuccess) cudaGetLastError();  // is not that of the next call
    return ok();
  }
  Error as_error() const {
    return error("the speed of the GPU could not be measured: {}", cudaGetErrorString(first_));
  }

 private:
  cudaError_t first_ = cudaSuccess;
};

struct FreesDevice {
  void operator()(void* memory) const { cudaFree(memory); }
};
using DeviceBytes = std::unique_ptr<void, FreesDevice>;

DeviceBytes allocate(int64_t bytes, Status& status) {
  void* memory = nullptr;
  if (status.ok()) status.take(cudaMalloc(&memory, static_cast<size_t>(bytes)));
  return DeviceBytes(memory);
}

/// Two events of the default stream.
class Timer {
 public:
  explicit Timer(Status& status) : status_(status) {
    status_.take(cudaEventCreate(&begin_));
    status_.take(cudaEventCreate(&end_));
  }
  ~Timer() {
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
  }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  /// The least seconds of several runs of what `queue` queues, behind one that is not counted.
  template <class Queue>
  double least(const Queue& queue) {
    double least = 0;
    for (int run = 0; run <= kRuns && status_.ok(); ++run) {
      status_.take(cudaEventRecord(begin_));
      queue();
      status_.take(cudaGetLastError());
      status_.take(cudaEventRecord(end_));
      status_.take(cudaEventSynchronize(end_));
      float ms = 0;
      status_.take(cudaEventElapsedTime(&ms, begin_, end_));
      if (run == 0) continue;
      least = run == 1 ? 1e-3 * ms : std::min(least, 1e-3 * ms);
    }
    return least;
  }

 private:
  Status& status_;
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
};

/// Bytes of each of two buffers; 0: there is too little memory for ones that no cache holds.
int64_t buffer_bytes(const cudaDeviceProp& properties, Status& status) {
  size_t available = 0, all = 0;
  if (!status.take(cudaMemGetInfo(&available, &all))) return 0;
  constexpr int kKept = 16;  // one part in so many is left to others
  const auto half = static_cast<int64_t>((available - available / kKept) / 2);
  const int64_t bytes = std::min(kMostBytes, half) / 4096 * 4096;
  return bytes >= int64_t{kCaches} * properties.l2CacheSize ? bytes : 0;
}

double product_gflops(int blocks, Timer& timer, Status& status) {
  constexpr int64_t kCount = int64_t{kSide} * kSide;
  const auto blas = BlasLt::find();
  if (blas == nullptr) return 0;
  const DeviceBytes x = allocate(kCount * 2, status), weight = allocate(kCount * 2, status),
                    out = allocate(kCount * 4, status);
  if (!status.ok()) return 0;
  fill_randomly(blocks, x.get(), kCount, 1);
  fill_randomly(blocks, weight.get(), kCount, 2);
  const BlasOperands operands = {.x = x.get(),
                                 .x_stride = kSide,
                                 .weight = weight.get(),
                                 .weight_stride = kSide,
                                 .out = static_cast<float*>(out.get()),
                                 .out_stride = kSide,
                                 .rows = kSide,
                                 .inputs = kSide,
                                 .outputs = kSide};
  const double seconds =
      timer.least([&] { blas->multiply(nullptr, operands, BlasResult::replaces); });
  return status.ok() ? 2e-9 * kSide * static_cast<double>(kCount) / seconds : 0;
}

}  // namespace

Result<GpuRoofs> measure_gpu_roofs(int index) {
  Status status;
  cudaDeviceProp properties{};
  if (!status.take(cudaSetDevice(index)) ||
      !status.take(cudaGetDeviceProperties(&properties, index))) {
    return status.as_error();
  }
  const int64_t bytes = buffer_bytes(properties, status);
  if (status.ok() && bytes == 0) {
    return error(
        "too little of the GPU's memory is free to measure its speed: twice {} times its cache of "
        "{} "
        "bytes is needed",
        kCaches, properties.l2CacheSize);
  }
  const int blocks = properties.multiProcessorCount * kBlocksEach;
  GpuRoofs roofs;
  Timer timer(status);
  {
    const DeviceBytes from = allocate(bytes, status), to = allocate(bytes, status);
    if (!status.ok()) return status.as_error();
    const auto count = static_cast<size_t>(bytes);
    fill_randomly(blocks, from.get(), bytes / 2, 0);
    const double read_s = timer.least([&] { read_all(blocks, from.get(), bytes, to.get()); });
    const double copy_s = timer.least([&] {
      status.take(cudaMemcpyAsync(to.get(), from.get(), count, cudaMemcpyDeviceToDevice));
    });
    if (!status.ok()) return status.as_error();
    roofs.read_gbps = 1e-9 * static_cast<double>(bytes) / read_s;
    roofs.copy_gbps = 2e-9 * static_cast<double>(bytes) / copy_s;
  }
  roofs.bf16_gflops = product_gflops(blocks, timer, status);
  if (!status.ok()) return status.as_error();
  return roofs;
}

}  // namespace tidar::cuda
