// A GPU by way of CUDA's runtime: the only source besides kernels that includes its headers.

#include <cuda_runtime.h>
#include <fmt/format.h>

#include <source_location>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/out_of_memory.h"
#include "ops/cuda/open_cuda.h"
#include "ops/wrap/forward_ops.h"

namespace tidar::cuda {

// What launch() in gpu.h calls.
void check_launch(const std::source_location& where);

namespace {

// A call that fails, or a kernel that has failed before it, is a mistake of this program or of the
// machine: nothing on the device can be relied on any more.
void check_cuda(cudaError_t status,
                const std::source_location& where = std::source_location::current()) {
  if (status == cudaSuccess) return;
  fail_check(where.file_name(), static_cast<int>(where.line()),
             fmt::format("CUDA says {}: {}", cudaGetErrorName(status), cudaGetErrorString(status)));
}

struct DeviceMemory final : Memory {
  explicit DeviceMemory(int64_t size) {
    bytes = size;
    if (size == 0) return;
    void* allocated = nullptr;
    if (cudaMalloc(&allocated, static_cast<size_t>(size)) == cudaErrorMemoryAllocation) {
      cudaGetLastError();  // is not that of the next call
      throw OutOfMemory(static_cast<size_t>(size));
    }
    check_cuda(cudaGetLastError());
    data = static_cast<std::byte*>(allocated);
  }
  // Waits for all work that may use it.
  ~DeviceMemory() override { check_cuda(cudaFree(data)); }
};

class RuntimeDevice final : public Device {
 public:
  RuntimeDevice(int index, std::string name) : name_(std::move(name)) {
    check_cuda(cudaSetDevice(index));
    check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
  }
  ~RuntimeDevice() override { check_cuda(cudaStreamDestroy(stream_)); }

  std::string_view name() const override { return name_; }
  Stream stream() override { return {stream_}; }

  std::unique_ptr<Memory> allocate(int64_t bytes) override {
    auto memory = std::make_unique<DeviceMemory>(bytes);
    if (bytes > 0)
      check_cuda(cudaMemsetAsync(memory->data, 0, static_cast<size_t>(bytes), stream_));
    return memory;
  }

  // From memory that is not locked, CUDA returns when it has taken the bytes.
  void write(const Lines& host, const Lines& to) override {
    move_lines(host, to, cudaMemcpyHostToDevice);
  }
  void copy(const Lines& from, const Lines& to) override {
    move_lines(from, to, cudaMemcpyDeviceToDevice);
  }
  void clear(const Lines& lines) override {
    check_cuda(cudaMemset2DAsync(lines.data, static_cast<size_t>(lines.pitch), 0,
                                 static_cast<size_t>(lines.bytes), static_cast<size_t>(lines.count),
                                 stream_));
  }
  void read(const Lines& from, const Lines& host) override {
    move_lines(from, host, cudaMemcpyDeviceToHost);
    check_cuda(cudaStreamSynchronize(stream_));
  }

 private:
  void move_lines(const Lines& from, const Lines& to, cudaMemcpyKind kind) {
    check_cuda(cudaMemcpy2DAsync(to.data, static_cast<size_t>(to.pitch), from.data,
                                 static_cast<size_t>(from.pitch), static_cast<size_t>(from.bytes),
                                 static_cast<size_t>(from.count), kind, stream_));
  }

  std::string name_;
  cudaStream_t stream_ = nullptr;
};

struct OwnsBackend {
  std::unique_ptr<Device> device;
  std::unique_ptr<Ops> ops;
};

// The backend and the device that it stands on.
class OpenBackend final : private OwnsBackend, public ForwardOps {
 public:
  OpenBackend(std::unique_ptr<Device> device_, std::unique_ptr<Ops> ops_)
      : OwnsBackend{std::move(device_), std::move(ops_)}, ForwardOps(*ops) {}
};

constexpr int kLeastMajor = 8;  // Ampere

}  // namespace

void check_launch(const std::source_location& where) { check_cuda(cudaGetLastError(), where); }

Result<std::unique_ptr<Ops>> open_cuda(int index, const CudaOptions& options) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaErrorInsufficientDriver) {
    return error(
        "the NVIDIA driver is missing, or older than CUDA {}.{}, "
        "which this program was "
        "built with: install a newer one, or compute on the CPU",
        CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
  }
  if (status != cudaSuccess || count == 0) {
    return error(
        "no GPU was found ({}): compute on the CPU, or see whether nvidia-smi "
        "lists one",
        cudaGetErrorString(status == cudaSuccess ? cudaErrorNoDevice : status));
  }
  if (index < 0 || index >= count)
    return error("there is no GPU number {}; there are {}, counted from 0", index, count);
  cudaDeviceProp properties;
  check_cuda(cudaGetDeviceProperties(&properties, index));
  if (properties.major < kLeastMajor) {
    return error(
        "GPU number {}, {}, has compute capability {}.{}; kernels are "
        "compiled for {}.0 "
        "and later",
        index, properties.name, properties.major, properties.minor, kLeastMajor);
  }
  auto device = std::make_unique<RuntimeDevice>(index, properties.name);
  auto ops = make_cuda_ops(*device, options);
  return std::unique_ptr<Ops>(std::make_unique<OpenBackend>(std::move(device), std::move(ops)));
}

}  // namespace tidar::cuda
