#pragma once
// The thin seam between the backend and a device: its memory, copies, and the stream on which all
// work is queued. Two stand behind it: a GPU by way of CUDA's runtime (runtime_device.h), and the
// CPU, where kernels are carried out for tests (host/host_device_testing.h).
//
// What is queued is done in the order of the calls. Not thread-safe.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "ops/cuda/kernels.h"
#include "ops/ops.h"

namespace tidar::cuda {

/// `count` lines of `bytes` each, `pitch` bytes apart.
struct Lines {
  std::byte* data = nullptr;
  int64_t count = 0;
  int64_t bytes = 0;
  int64_t pitch = 0;
};

class Device {
 public:
  virtual ~Device() = default;

  /// Called before any of this device's memory goes, by whoever has work that names memory and is
  /// not queued yet. Empty: nobody has.
  std::function<void()> before_release;

  virtual std::string_view name() const = 0;
  virtual Stream stream() = 0;
  /// How many blocks it works on at the same time, at least.
  virtual int processors() const = 0;

  /// Zeroed, aligned to 64 bytes at least. It may be destroyed while queued work uses it, and
  /// before the device. Throws OutOfMemory.
  virtual std::unique_ptr<Memory> allocate(int64_t bytes) = 0;

  /// From the host's memory, which is the caller's again when it returns.
  virtual void write(const Lines& host, const Lines& to) = 0;
  virtual void copy(const Lines& from, const Lines& to) = 0;
  virtual void clear(const Lines& lines) = 0;
  /// To the host's memory; complete when it returns, and so is all that was queued before.
  virtual void read(const Lines& from, const Lines& host) = 0;

  /// Whether it has products of a library that is good at many rows.
  virtual bool has_products() const = 0;
  /// out = x W^T, or out += x W^T; x and W bf16, x as aligned as W is; out f32.
  virtual void multiply(const View& x, const WeightView& weight, const View& out, bool adds) = 0;
};

}  // namespace tidar::cuda
