#include "base/buffer.h"

#include <sys/mman.h>

#include <cstring>
#include <new>

#include "base/out_of_memory.h"

namespace tidar {

// Anonymous mappings come zeroed and untouched, so that memory which is never used is never
// resident. The mapping of a huge block is a little larger than that to place its start. A mapping
// costs calls of the system and faults, which a small block is not worth: those are of the heap.
namespace {

constexpr std::align_val_t kVectors{64};
constexpr size_t kMappedFrom = size_t{256} << 10;
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kHugeFrom = size_t{4} << 20;
// Beyond any address space, and small enough that rounding up does not wrap around.
constexpr size_t kMost = size_t{1} << 62;

size_t round_up(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }

}  // namespace

Buffer::Buffer(size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  if (bytes < kMappedFrom) {
    data_ = static_cast<std::byte*>(::operator new(bytes, kVectors, std::nothrow));
    if (data_ == nullptr) throw OutOfMemory(bytes);
    std::memset(data_, 0, bytes);
    return;
  }
  const size_t length = round_up(bytes, 4096);
  const bool huge = bytes >= kHugeFrom;
  const size_t mapped = huge ? length + kHugePage : length;
  void* base = MAP_FAILED;
  if (bytes <= kMost) {
    base = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  }
  if (base == MAP_FAILED) throw OutOfMemory(bytes);
  auto* start = static_cast<std::byte*>(base);
  if (huge) {
    const auto address = reinterpret_cast<size_t>(start);
    const size_t skipped = round_up(address, kHugePage) - address;
    if (skipped > 0) munmap(start, skipped);
    start += skipped;
    if (mapped - skipped > length) munmap(start + length, mapped - skipped - length);
    madvise(start, length, MADV_HUGEPAGE);
  }
  data_ = start;
}

Buffer::~Buffer() {
  if (bytes_ < kMappedFrom) {
    ::operator delete(data_, kVectors);
  } else {
    munmap(data_, round_up(bytes_, 4096));
  }
}

}  // namespace tidar
