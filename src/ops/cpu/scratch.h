#pragma once
// Memory for intermediate results that grows with the largest call so far, so that smaller ones
// allocate nothing.

#include "base/buffer.h"

namespace tidar::cpu {

/// Owned by one verb or one thread of it. Throws OutOfMemory (base/out_of_memory.h) as Buffer does.
class Scratch {
 public:
  /// At least so many bytes, 64-byte aligned; what they held before is lost.
  std::byte* at_least(int64_t bytes) {
    if (static_cast<int64_t>(buffer_.bytes()) < bytes) buffer_ = Buffer(static_cast<size_t>(bytes));
    return buffer_.data();
  }
  /// What at_least() gave last.
  std::byte* data() const { return buffer_.data(); }
  int64_t bytes() const { return static_cast<int64_t>(buffer_.bytes()); }

 private:
  Buffer buffer_;
};

}  // namespace tidar::cpu
