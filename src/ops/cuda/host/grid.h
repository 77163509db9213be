#pragma once
// Carries out a kernel on the CPU as a device would be allowed to: blocks in any order, the threads
// of a block in any order between two points where they meet. Each thread is a fiber; which one
// goes on is drawn from a seed. So a kernel that lacks a barrier gives other results under other
// seeds, and what a device answers with a hang or with garbage stops the program with a sentence:
//
//   - a launch that no device would take: too many threads, too much shared memory, no blocks
//   - threads that meet in different places, or of which some never come
//   - a mask that does not name the caller, names lanes that do not exist, or is not that of others
//   - a value taken from a lane that is not in the mask
//   - an index past the end of an Array in shared memory (dialect.h); and, where it is built with
//     AddressSanitizer, any address past the end of memory, shared or global
//
// Shared memory is filled with bits that are no number before every block. Everything here runs on
// the thread that calls run().

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <source_location>

namespace tidar::cuda::host {

inline constexpr int kWarp = 32;
/// What every architecture that is compiled for grants a kernel that asks for nothing special.
inline constexpr int kMostThreads = 1024;
inline constexpr size_t kMostSharedBytes = size_t{48} << 10;
/// What it grants at most, to a launch that asks for it.
inline constexpr size_t kMostAskedSharedBytes = size_t{99} << 10;

struct Index3 {
  unsigned x = 0, y = 0, z = 0;
};

/// Where the running thread stands. Good within a kernel only.
struct Place {
  Index3 thread, block;    ///< threads of a block are counted along x alone
  Index3 threads, blocks;  ///< how many there are
};
inline constinit thread_local Place place;

struct Launch {
  Index3 blocks{1, 1, 1};
  unsigned threads = 1;          ///< of each block
  std::source_location where{};  ///< for messages
  size_t shared = 0;             ///< bytes of shared memory that are asked for; 0: nothing special
};

class Block;  // the one that runs, and what is kept from one to the next

/// Carries out launches, one after another. Kernels cannot launch.
class Grids {
 public:
  explicit Grids(uint64_t seed);
  ~Grids();

  /// Runs `thread` once for every thread of every block; complete when it returns.
  void run(const Launch& launch, const std::function<void()>& thread);

 private:
  std::unique_ptr<Block> block_;
};

// ---- For the thread that runs: what dialect.h makes CUDA's words of. ----

/// Waits until all threads of the block have come to this place.
void sync_threads(std::source_location where);

using LaneValues = std::array<uint64_t, kWarp>;
/// Waits until all lanes of `mask` have come here for the same purpose, and gives the value that
/// each of them brought; good until this thread comes to the next meeting. Lanes that `mask` does
/// not name have 0.
const LaneValues& meet(uint32_t mask, const char* purpose, uint64_t value,
                       std::source_location where);

/// The block's own `bytes` of memory for this key, the same for all of its threads.
std::byte* block_memory(const void* key, size_t bytes, std::source_location where);

/// Ends the program and says which thread of which launch did what, and where.
[[noreturn]] void stop_thread(const std::source_location& where, const std::string& what);

}  // namespace tidar::cuda::host
