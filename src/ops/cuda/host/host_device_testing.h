#pragma once
// For tests: the CPU as a device, on which kernels are carried out thread by thread (grid.h), late
// and in an order that follows from a seed.

#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "ops/cuda/device.h"
#include "ops/cuda/gpu.h"
#include "ops/cuda/host/queue.h"

namespace tidar::cuda::host {

/// Memory is as long as it was asked for, so that AddressSanitizer sees what lies outside.
class HostDevice final : public Device {
 public:
  explicit HostDevice(uint64_t seed) : queue_(seed) {}

  std::string_view name() const override { return "kernels on the CPU"; }
  Stream stream() override { return {&queue_}; }
  int processors() const override { return 4; }

  std::unique_ptr<Memory> allocate(int64_t bytes) override {
    return std::make_unique<OwnMemory>(*this, bytes);
  }

  void write(const Lines& host, const Lines& to) override {
    std::vector<std::byte> kept;
    for (int64_t i = 0; i < host.count; ++i) {
      const std::byte* const line = host.data + i * host.pitch;
      kept.insert(kept.end(), line, line + host.bytes);
    }
    queue_.add([kept = std::move(kept), to]() mutable {
      move_lines({kept.data(), to.count, to.bytes, to.bytes}, to);
    });
  }
  void copy(const Lines& from, const Lines& to) override {
    queue_.add([=] { move_lines(from, to); });
  }
  void clear(const Lines& lines) override {
    queue_.add([=] {
      for (int64_t i = 0; i < lines.count; ++i)
        std::memset(lines.data + i * lines.pitch, 0, static_cast<size_t>(lines.bytes));
    });
  }
  void read(const Lines& from, const Lines& host) override {
    queue_.catch_up();
    move_lines(from, host);
  }

  bool has_products() const override { return true; }
  void multiply(const View& x, const WeightView& weight, const View& out, bool adds) override {
    queue_.add([=] {
      for (int64_t r = 0; r < x.rows; ++r) {
        for (int64_t n = 0; n < weight.outputs; ++n) {
          float sum = 0;
          for (int64_t k = 0; k < weight.inputs; ++k)
            sum += widen(x.row<Bf16>(r)[k]) * widen(weight.row<Bf16>(n)[k]);
          float& to = out.row<float>(r)[n];
          to = adds ? to + sum : sum;
        }
      }
    });
  }

 private:
  struct OwnMemory final : Memory {
    OwnMemory(HostDevice& device_, int64_t size) : device(device_) {
      data = static_cast<std::byte*>(::operator new(static_cast<size_t>(size), kAligned));
      std::memset(data, 0, static_cast<size_t>(size));
      bytes = size;
    }
    ~OwnMemory() override {
      if (device.before_release) device.before_release();
      device.queue_.catch_up();
      std::memset(data, 0xff, static_cast<size_t>(bytes));  // whoever looks later sees no numbers
      ::operator delete(data, kAligned);
    }
    static constexpr std::align_val_t kAligned{64};
    HostDevice& device;
  };

  static void move_lines(const Lines& from, const Lines& to) {
    for (int64_t i = 0; i < from.count; ++i)
      std::memcpy(to.data + i * to.pitch, from.data + i * from.pitch,
                  static_cast<size_t>(from.bytes));
  }

  Queue queue_;
};

}  // namespace tidar::cuda::host
