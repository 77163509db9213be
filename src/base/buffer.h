#pragma once
// Owned memory of one size, aligned for vectors and, when large, backed by huge pages. Weights,
// keys and activations of the backends on the host lie in such.

#include <cstddef>
#include <utility>

namespace tidar {

/// One zeroed, 64-byte aligned block of host memory. Blocks of 4 MiB and more are aligned to 2 MiB
/// and ask the system for huge pages: a pass over weights then misses the TLB 512 times less.
/// What is never touched of a block of 256 KiB and more is never resident. Moves, never copies.
class Buffer {
 public:
  Buffer() = default;  ///< of 0 bytes: data() is nullptr
  /// Throws OutOfMemory (base/out_of_memory.h) where there is no memory.
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

  /// Its bytes as elements of T, which zeros must be good values of.
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }

 private:
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace tidar
