#include "ops/cuda/host/grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/rng.h"
#include "ops/cuda/host/fiber.h"

namespace tidar::cuda::host {

namespace {

constexpr const char* kBarrier = "__syncthreads()";

std::string text_of(const std::source_location& where) {
  return fmt::format("{}:{}", where.file_name(), where.line());
}

bool is_same(const std::source_location& a, const std::source_location& b) {
  return a.line() == b.line() && a.column() == b.column() &&
         (a.file_name() == b.file_name() || std::strcmp(a.file_name(), b.file_name()) == 0);
}

[[noreturn]] void stop(const std::source_location& where, std::string_view what) {
  fail_check(where.file_name(), static_cast<int>(where.line()), what);
}

// Shared memory of a kernel: filled with ones, which are no number in any floating type and an
// index that is out of every range.
class SharedMemory {
 public:
  SharedMemory(const void* key, size_t bytes)
      : key_(key), bytes_(bytes), data_(static_cast<std::byte*>(::operator new(bytes, kAligned))) {
    poison();
  }
  ~SharedMemory() {
    if (data_ != nullptr) ::operator delete(data_, kAligned);
  }
  SharedMemory(SharedMemory&& other) noexcept
      : key_(other.key_), bytes_(other.bytes_), data_(std::exchange(other.data_, nullptr)) {}
  SharedMemory& operator=(SharedMemory&&) = delete;

  const void* key() const { return key_; }
  size_t bytes() const { return bytes_; }
  std::byte* data() const { return data_; }
  void poison() { std::memset(data_, 0xff, bytes_); }

 private:
  static constexpr std::align_val_t kAligned{128};
  const void* key_;
  size_t bytes_;
  std::byte* data_;
};

// Lanes of one warp that meet again and again under the same mask.
struct Meeting {
  uint32_t mask = 0;
  uint32_t arrived = 0;  // lanes
  const char* purpose = "";
  std::source_location where;
  LaneValues brought{}, given{};
};

struct Thread {
  std::optional<Fiber> fiber;
  Place place;
  // Where it waited last, and for what.
  const char* waits_for = "";
  std::source_location waits_at;
};

thread_local Block* running = nullptr;

}  // namespace

class Block {
 public:
  explicit Block(uint64_t seed) : rng_(seed) {}

  void run_grid(const Launch& launch, const std::function<void()>& thread);

  void sync_threads(const std::source_location& where);
  const LaneValues& meet(uint32_t mask, const char* purpose, uint64_t value,
                         const std::source_location& where);
  std::byte* memory(const void* key, size_t bytes, const std::source_location& where);
  [[noreturn]] void stop_thread(const std::source_location& where, const std::string& what) const;

 private:
  void check_launch() const;
  void run_block(Index3 block, const std::function<void()>& body);
  void wait(const char* what, const std::source_location& where);
  int take_ready();
  Meeting* find_meeting(int warp, uint32_t mask);
  // The one that this thread may join.
  Meeting& join_meeting(int warp, uint32_t mask, const std::source_location& where);
  [[noreturn]] void report_stuck() const;

  Rng rng_;
  std::vector<Stack> stacks_;  // one for each thread of the largest block so far
  std::vector<SharedMemory> shared_;

  Launch launch_;
  std::vector<Thread> threads_;
  std::vector<int> ready_;
  int current_ = 0;  // thread
  int at_barrier_ = 0;
  std::source_location barrier_;
  std::vector<std::vector<Meeting>> meetings_;  // of each warp
};

void Block::check_launch() const {
  const auto& [blocks, threads, where, shared] = launch_;
  if (shared > kMostAskedSharedBytes) {
    stop(where, fmt::format("a launch that asks for {} bytes of shared memory; {} are possible",
                            shared, kMostAskedSharedBytes));
  }
  if (threads < 1 || threads > kMostThreads) {
    stop(where, fmt::format("a launch with blocks of {} threads; 1 to {} are possible", threads,
                            kMostThreads));
  }
  constexpr unsigned kMostX = 0x7fffffff, kMostYZ = 65535;
  if (blocks.x < 1 || blocks.y < 1 || blocks.z < 1 || blocks.x > kMostX || blocks.y > kMostYZ ||
      blocks.z > kMostYZ) {
    stop(where, fmt::format("a launch of {} x {} x {} blocks; 1 to {} x {} x {} are possible",
                            blocks.x, blocks.y, blocks.z, kMostX, kMostYZ, kMostYZ));
  }
}

void Block::run_grid(const Launch& launch, const std::function<void()>& thread) {
  launch_ = launch;
  check_launch();
  TIDAR_CHECK(running == nullptr && "a kernel cannot launch");
  running = this;
  while (stacks_.size() < launch.threads) stacks_.emplace_back();
  // Blocks are drawn from those that are left: in any order, and none twice.
  std::vector<Index3> left;
  for (unsigned z = 0; z < launch.blocks.z; ++z)
    for (unsigned y = 0; y < launch.blocks.y; ++y)
      for (unsigned x = 0; x < launch.blocks.x; ++x) left.push_back({x, y, z});
  while (!left.empty()) {
    std::swap(left[static_cast<size_t>(rng_.below(static_cast<int>(left.size())))], left.back());
    run_block(left.back(), thread);
    left.pop_back();
  }
  shared_.clear();
  running = nullptr;
}

int Block::take_ready() {
  std::swap(ready_[static_cast<size_t>(rng_.below(static_cast<int>(ready_.size())))],
            ready_.back());
  const int thread = ready_.back();
  ready_.pop_back();
  return thread;
}

void Block::run_block(Index3 block, const std::function<void()>& body) {
  for (SharedMemory& memory : shared_) memory.poison();
  const unsigned count = launch_.threads;
  threads_ = std::vector<Thread>(count);
  meetings_.assign((count + kWarp - 1) / kWarp, {});
  at_barrier_ = 0;
  for (unsigned t = 0; t < count; ++t) {
    threads_[t].place = {{t, 0, 0}, block, {count, 1, 1}, launch_.blocks};
    threads_[t].fiber.emplace(stacks_[t], body);
    ready_.push_back(static_cast<int>(t));
  }
  unsigned ended = 0;
  while (!ready_.empty()) {
    current_ = take_ready();
    Thread& thread = threads_[static_cast<size_t>(current_)];
    place = thread.place;
    thread.fiber->resume();
    if (thread.fiber->ended()) ++ended;
  }
  if (ended < count) report_stuck();
}

void Block::wait(const char* what, const std::source_location& where) {
  Thread& thread = threads_[static_cast<size_t>(current_)];
  thread.waits_for = what;
  thread.waits_at = where;
  thread.fiber->pause();
}

void Block::sync_threads(const std::source_location& where) {
  if (at_barrier_ == 0) barrier_ = where;
  if (!is_same(barrier_, where)) {
    stop_thread(where, fmt::format("a divergent barrier: other threads of the block wait at {}",
                                   text_of(barrier_)));
  }
  if (++at_barrier_ == static_cast<int>(threads_.size())) {
    at_barrier_ = 0;
    for (int t = 0; t < static_cast<int>(threads_.size()); ++t) ready_.push_back(t);
  }
  wait(kBarrier, where);
}

Meeting* Block::find_meeting(int warp, uint32_t mask) {
  for (Meeting& meeting : meetings_[static_cast<size_t>(warp)])
    if (meeting.mask == mask) return &meeting;
  return nullptr;
}

Meeting& Block::join_meeting(int warp, uint32_t mask, const std::source_location& where) {
  std::vector<Meeting>& meetings = meetings_[static_cast<size_t>(warp)];
  const int lane = current_ % kWarp;
  for (const Meeting& other : meetings) {
    // Some wait for this lane, which will wait for them.
    if (other.mask != mask && (other.arrived & mask) != 0 && (other.mask >> lane & 1) != 0) {
      stop_thread(where, fmt::format("a wrong mask: {:#010x}, while lanes {:#010x} wait at {} with "
                                     "mask {:#010x}",
                                     mask, other.arrived, text_of(other.where), other.mask));
    }
  }
  if (Meeting* const found = find_meeting(warp, mask)) return *found;
  meetings.push_back({.mask = mask, .arrived = 0, .purpose = "", .where = where});
  return meetings.back();
}

const LaneValues& Block::meet(uint32_t mask, const char* purpose, uint64_t value,
                              const std::source_location& where) {
  const int warp = current_ / kWarp, lane = current_ % kWarp;
  const int lanes = std::min<int>(kWarp, static_cast<int>(threads_.size()) - warp * kWarp);
  const uint32_t there = static_cast<uint32_t>((uint64_t{1} << lanes) - 1);
  if ((mask >> lane & 1) == 0) {
    stop_thread(where, fmt::format("a wrong mask: {:#010x} does not name lane {}, which calls {}",
                                   mask, lane, purpose));
  }
  if ((mask & ~there) != 0) {
    stop_thread(where, fmt::format("a wrong mask: {:#010x} in a warp of {} lanes", mask, lanes));
  }
  Meeting& meeting = join_meeting(warp, mask, where);
  if (meeting.arrived == 0) {
    meeting.purpose = purpose;
    meeting.where = where;
    meeting.brought = {};
  } else if (meeting.purpose != purpose || !is_same(meeting.where, where)) {
    stop_thread(where, fmt::format("a divergent {}: other lanes of its mask wait at {}", purpose,
                                   text_of(meeting.where)));
  }
  meeting.brought[static_cast<size_t>(lane)] = value;
  meeting.arrived |= uint32_t{1} << lane;
  if (meeting.arrived == mask) {
    meeting.given = meeting.brought;
    meeting.arrived = 0;
    for (int other = 0; other < lanes; ++other)
      if ((mask >> other & 1) != 0) ready_.push_back(warp * kWarp + other);
  }
  wait(purpose, where);
  return find_meeting(warp, mask)->given;
}

std::byte* Block::memory(const void* key, size_t bytes, const std::source_location& where) {
  size_t sum = bytes;
  for (const SharedMemory& memory : shared_) {
    if (memory.key() == key) return memory.data();
    sum += memory.bytes();
  }
  const size_t most = std::max(launch_.shared, kMostSharedBytes);
  if (sum > most) {
    stop_thread(where,
                fmt::format("{} bytes of shared memory, of which a block has {}", sum, most));
  }
  return shared_.emplace_back(key, bytes).data();
}

void Block::stop_thread(const std::source_location& where, const std::string& what) const {
  const Place& at = threads_[static_cast<size_t>(current_)].place;
  stop(where,
       fmt::format("thread {} of block ({}, {}, {}) of the kernel launched at {}: {}", at.thread.x,
                   at.block.x, at.block.y, at.block.z, text_of(launch_.where), what));
}

// Nobody can go on: some wait for threads that have ended or wait elsewhere.
void Block::report_stuck() const {
  std::string ended;
  const Thread* first = nullptr;
  std::string others;
  size_t waiting = 0;
  for (const Thread& thread : threads_) {
    if (thread.fiber->ended()) {
      if (ended.empty()) ended = fmt::format("thread {} has ended", thread.place.thread.x);
      continue;
    }
    if (first == nullptr) first = &thread;
    if (is_same(thread.waits_at, first->waits_at)) {
      ++waiting;
    } else if (others.empty()) {
      others = fmt::format("thread {} waits for {} at {}", thread.place.thread.x, thread.waits_for,
                           text_of(thread.waits_at));
    }
  }
  const Place& at = first->place;
  const bool barrier = first->waits_for == kBarrier;
  stop(first->waits_at,
       fmt::format("a {} that not all come to, in block ({}, {}, {}) of the kernel launched at {}: "
                   "{} of {} threads wait for {}, thread {} the first; {}{}{}",
                   barrier ? "divergent barrier" : "meeting of lanes", at.block.x, at.block.y,
                   at.block.z, text_of(launch_.where), waiting, threads_.size(), first->waits_for,
                   at.thread.x, others, others.empty() || ended.empty() ? "" : ", ", ended));
}

Grids::Grids(uint64_t seed) : block_(std::make_unique<Block>(seed)) {}
Grids::~Grids() = default;

void Grids::run(const Launch& launch, const std::function<void()>& thread) {
  block_->run_grid(launch, thread);
}

namespace {

Block& running_block() {
  TIDAR_CHECK(running != nullptr && "within a kernel");
  return *running;
}

}  // namespace

void sync_threads(std::source_location where) { running_block().sync_threads(where); }

const LaneValues& meet(uint32_t mask, const char* purpose, uint64_t value,
                       std::source_location where) {
  return running_block().meet(mask, purpose, value, where);
}

std::byte* block_memory(const void* key, size_t bytes, std::source_location where) {
  return running_block().memory(key, bytes, where);
}

void stop_thread(const std::source_location& where, const std::string& what) {
  running_block().stop_thread(where, what);
}

}  // namespace tidar::cuda::host
