// A GPU by way of CUDA's runtime.

#include <cuda_runtime.h>
#include <fmt/format.h>

#include <source_location>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/out_of_memory.h"
#include "ops/cuda/blas_lt.h"
#include "ops/cuda/launch_queue.h"
#include "ops/cuda/open_cuda.h"
#include "ops/wrap/forward_ops.h"

namespace tidar::cuda {

void check_cuda(cudaError_t status, const std::source_location& where) {
  if (status == cudaSuccess) return;
  fail_check(where.file_name(), static_cast<int>(where.line()),
             fmt::format("CUDA says {}: {}", cudaGetErrorName(status), cudaGetErrorString(status)));
}

void queue_launch(void* queue, const KernelLaunch& launch) {
  static_cast<LaunchQueue*>(queue)->add(launch);
}

namespace {

// Gives what is queued to the device before memory that it uses is gone.
struct DeviceMemory final : Memory {
  DeviceMemory(Device& device_, LaunchQueue& queue_, int64_t size)
      : device(device_), queue(queue_) {
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
  ~DeviceMemory() override {
    if (device.before_release) device.before_release();
    queue.flush();
    check_cuda(cudaFree(data));
  }
  Device& device;
  LaunchQueue& queue;
};

class RuntimeDevice final : public Device {
 public:
  RuntimeDevice(int index, const cudaDeviceProp& properties)
      : name_(properties.name),
        processors_(properties.multiProcessorCount),
        owns_(index),
        queue_(owns_.stream, properties.major >= kFirstToOverlap),
        library_(BlasLt::find()) {}

  std::string_view name() const override { return name_; }
  Stream stream() override { return {&queue_}; }
  int processors() const override { return processors_; }

  std::unique_ptr<Memory> allocate(int64_t bytes) override {
    auto memory = std::make_unique<DeviceMemory>(*this, queue_, bytes);
    if (bytes > 0)
      check_cuda(cudaMemsetAsync(memory->data, 0, static_cast<size_t>(bytes), owns_.stream));
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
    queue_.flush();
    check_cuda(cudaMemset2DAsync(lines.data, static_cast<size_t>(lines.pitch), 0,
                                 static_cast<size_t>(lines.bytes), static_cast<size_t>(lines.count),
                                 owns_.stream));
  }
  void read(const Lines& from, const Lines& host) override {
    move_lines(from, host, cudaMemcpyDeviceToHost);
    check_cuda(cudaStreamSynchronize(owns_.stream));
  }

  bool has_products() const override { return library_ != nullptr; }
  void multiply(const View& x, const WeightView& weight, const View& out, bool adds) override {
    std::string what = "product";
    const auto note = [&](const auto& value) {
      what.append(reinterpret_cast<const char*>(&value), sizeof(value));
    };
    note(x.data), note(x.rows), note(x.stride);
    note(weight.data), note(weight.outputs), note(weight.inputs), note(weight.stride);
    note(out.data), note(out.stride), note(adds);
    const BlasOperands operands = {.x = x.data,
                                   .x_stride = x.stride,
                                   .weight = weight.data,
                                   .weight_stride = weight.stride,
                                   .out = static_cast<float*>(out.data),
                                   .out_stride = out.stride,
                                   .rows = x.rows,
                                   .inputs = weight.inputs,
                                   .outputs = weight.outputs};
    queue_.add(what, [library = library_.get(), operands, adds](cudaStream_t stream) {
      library->multiply(stream, operands, adds ? BlasResult::adds : BlasResult::replaces);
    });
  }

 private:
  static constexpr int kFirstToOverlap = 9;  // Hopper

  void move_lines(const Lines& from, const Lines& to, cudaMemcpyKind kind) {
    queue_.flush();
    check_cuda(cudaMemcpy2DAsync(to.data, static_cast<size_t>(to.pitch), from.data,
                                 static_cast<size_t>(from.pitch), static_cast<size_t>(from.bytes),
                                 static_cast<size_t>(from.count), kind, owns_.stream));
  }

  struct OwnsStream {
    explicit OwnsStream(int index) {
      check_cuda(cudaSetDevice(index));
      check_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    }
    ~OwnsStream() { check_cuda(cudaStreamDestroy(stream)); }
    cudaStream_t stream = nullptr;
  };

  std::string name_;
  int processors_;
  OwnsStream owns_;
  LaunchQueue queue_;
  std::unique_ptr<BlasLt> library_;  // nullptr: there is none
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
  auto device = std::make_unique<RuntimeDevice>(index, properties);
  auto ops = make_cuda_ops(*device, options);
  return std::unique_ptr<Ops>(std::make_unique<OpenBackend>(std::move(device), std::move(ops)));
}

}  // namespace tidar::cuda
