#include "base/buffer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <limits>
#include <vector>

#include "base/out_of_memory.h"

namespace tidar {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

// Pages of this process: mapped and resident.
struct Statm {
  int64_t mapped = 0;
  int64_t resident = 0;
};

Statm read_statm() {
  Statm pages;
  std::ifstream("/proc/self/statm") >> pages.mapped >> pages.resident;
  const auto page_bytes = static_cast<int64_t>(sysconf(_SC_PAGESIZE));
  return {pages.mapped * page_bytes, pages.resident * page_bytes};
}

TEST(Buffer, IsZeroedAlignedAndWritable) {
  for (const size_t bytes : {size_t{1}, size_t{63}, size_t{4097}, kMiB / 4 - 1, kMiB / 4,
                             4 * kMiB - 1, 4 * kMiB, 4 * kMiB + 1, 9 * kMiB + 123}) {
    const Buffer buffer(bytes);
    ASSERT_EQ(buffer.bytes(), bytes);
    const size_t alignment = bytes >= 4 * kMiB ? 2 * kMiB : 64;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % alignment, 0u) << bytes;
    EXPECT_TRUE(std::all_of(buffer.data(), buffer.data() + bytes,
                            [](std::byte value) { return value == std::byte{0}; }));
    std::memset(buffer.data(), 0xab, bytes);
  }
}

// The heap hands out again what was written to.
TEST(Buffer, IsZeroedWhereAnotherOneLay) {
  for (const size_t bytes : {size_t{8}, size_t{100}, size_t{5000}, kMiB / 4 - 1, kMiB / 4}) {
    for (int i = 0; i < 3; ++i) {
      const Buffer buffer(bytes);
      EXPECT_TRUE(std::all_of(buffer.data(), buffer.data() + bytes, [](std::byte value) {
        return value == std::byte{0};
      })) << bytes;
      std::memset(buffer.data(), 0xab, bytes);
    }
  }
}

TEST(Buffer, OfNothingHoldsNothing) {
  EXPECT_EQ(Buffer().data(), nullptr);
  EXPECT_EQ(Buffer(0).data(), nullptr);
  EXPECT_EQ(Buffer(0).bytes(), 0u);
}

TEST(Buffer, MovesItsMemory) {
  Buffer first(100);
  first.as<int>()[3] = 42;
  const int* address = first.as<int>();
  Buffer second(std::move(first));
  EXPECT_EQ(second.as<int>(), address);
  Buffer third(7);
  third = std::move(second);
  EXPECT_EQ(third.bytes(), 100u);
  EXPECT_EQ(third.as<int>()[3], 42);
}

TEST(Buffer, UntouchedMemoryIsNotResident) {
  const int64_t before = read_statm().resident;
  const Buffer buffer(512 * kMiB);
  EXPECT_LT(read_statm().resident - before, static_cast<int64_t>(16 * kMiB));
}

TEST(Buffer, GivesEverythingBack) {
  const int64_t before = read_statm().mapped;
  for (int i = 0; i < 50; ++i) {
    Buffer large(64 * kMiB + 5);
    Buffer small(5);
    large.data()[0] = small.data()[0];
  }
  EXPECT_LT(read_statm().mapped - before, static_cast<int64_t>(32 * kMiB));
}

TEST(Buffer, SaysHowMuchWasAskedForWhenThereIsNoMemory) {
  EXPECT_EQ(with_memory_for("maps", "a smaller world may do", [] { Buffer(size_t{1} << 60); })
                .error()
                .message,
            "no memory for maps (1.153e+09 GB were asked for at once); a smaller world may do");
  EXPECT_THROW(Buffer{std::numeric_limits<size_t>::max()}, OutOfMemory);
  EXPECT_TRUE(with_memory_for("maps", "", [] { Buffer(100); }).ok());
  const auto more_than_there_is = [] { std::vector<double>(size_t{1} << 61); };
  EXPECT_EQ(with_memory_for("maps", "none will do", more_than_there_is).error().message,
            "no memory for maps (more was asked for than can be counted); none will do");
}

}  // namespace
}  // namespace tidar
