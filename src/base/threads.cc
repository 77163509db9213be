#include "base/threads.h"

#include <sched.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace tidar {

namespace {

// About 50 microseconds on the processors this was tuned on: longer than the gap between two verbs
// of a pass, far shorter than a scheduler's slice.
constexpr int kSpins = 2000;

inline void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

int usable_cpus() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

// Waits until `value` differs from `old`: spins first, then sleeps.
uint32_t wait_change(const std::atomic<uint32_t>& value, uint32_t old) {
  for (int i = 0; i < kSpins; ++i) {
    const uint32_t now = value.load(std::memory_order_acquire);
    if (now != old) return now;
    pause_cpu();
  }
  value.wait(old, std::memory_order_acquire);
  return value.load(std::memory_order_acquire);
}

// What of [0, count) falls to `part` of `parts`.
Range share_of(int64_t count, int part, int parts) {
  return {count * part / parts, count * (part + 1) / parts};
}

}  // namespace

Threads::Threads(int count) {
  if (count <= 0) count = usable_cpus();
  parts_ = std::make_unique<Part[]>(static_cast<size_t>(count));
  try {
    for (int i = 1; i < count; ++i) workers_.emplace_back([this, i] { serve(i); });
  } catch (...) {
    end_workers();
    throw;
  }
}

Threads::~Threads() { end_workers(); }

void Threads::end_workers() {
  stop_.store(true, std::memory_order_relaxed);
  region_.fetch_add(1, std::memory_order_release);
  region_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void Threads::run(const std::function<void(int)>& work) {
  if (workers_.empty()) return work(0);
  TIDAR_CHECK_EQ(running_.load(std::memory_order_relaxed), 0u);
  work_ = &work;
  running_.store(static_cast<uint32_t>(size()), std::memory_order_relaxed);
  const uint32_t region = region_.fetch_add(1, std::memory_order_release) + 1;
  region_.notify_all();
  for (int part = 0; part < size(); ++part) do_part(part, region);
  for (uint32_t left = running_.load(std::memory_order_acquire); left != 0;) {
    left = wait_change(running_, left);
  }
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void Threads::split(int64_t count, int64_t grain, const std::function<void(Range, int)>& work) {
  const int64_t worthwhile = count / std::max<int64_t>(grain, 1);
  const int parts = static_cast<int>(std::clamp<int64_t>(worthwhile, 1, size()));
  if (parts == 1) return work({0, count}, 0);
  run([&](int part) {
    if (part < parts) work(share_of(count, part, parts), part);
  });
}

// Every part is begun once in every region, so before region r begins its parts stand at r - 1. A
// worker that comes late finds its part begun, or a later region's number, and leaves it. The part
// it has begun keeps the region from ending, and work_ from changing.
void Threads::do_part(int part, uint32_t region) {
  uint32_t before = region - 1;
  if (!parts_[static_cast<size_t>(part)].begun.compare_exchange_strong(before, region,
                                                                       std::memory_order_acq_rel)) {
    return;
  }
  try {
    (*work_)(part);
  } catch (...) {
    const std::lock_guard lock(failure_mutex_);
    failure_ = std::current_exception();
  }
  if (running_.fetch_sub(1, std::memory_order_release) == 1) running_.notify_one();
}

void Threads::serve(int part) {
  uint32_t region = 0;
  while (true) {
    region = wait_change(region_, region);
    if (stop_.load(std::memory_order_relaxed)) return;
    do_part(part, region);
  }
}

}  // namespace tidar
