#pragma once
// Owned memory of one size, aligned for vectors and, when large, backed by huge pages.

#include <cstddef>
#include <utility>

namespace tidar {

/// One zeroed, 64-byte aligned block of host memory. Blocks of 4 MiB and more are aligned to 2 MiB
/// and ask the system for huge pages: a pass over weights then misses the TLB 512 times less.
/// Moves, never copies. Where there is no memory, its constructor throws OutOfMemory.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t bytes);
  ~Buffer();
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }

  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }

 private:
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace tidar
