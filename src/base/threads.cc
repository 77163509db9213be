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

// So long the caller waits for a worker before it looks whether the part was begun: the time of a
// few lines' journeys from core to core.
constexpr int kPatience = 40;

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

// Who is to be woken: a thread that looks at `value`, finds it old and goes to sleep says first
// that it will. Whoever changes the value looks for sleepers after that, not before: hence the one
// order of all such steps. Were the store a mere release, the look could overtake it, and nobody
// would be woken.
void change(std::atomic<uint32_t>& value, uint32_t to) {
  value.store(to, std::memory_order_seq_cst);
  value.notify_all();
}

// Waits until `value` differs from `old`: spins first, then sleeps.
uint32_t wait_change(const std::atomic<uint32_t>& value, uint32_t old) {
  for (int i = 0; i < kSpins; ++i) {
    const uint32_t now = value.load(std::memory_order_acquire);
    if (now != old) return now;
    pause_cpu();
  }
  value.wait(old, std::memory_order_seq_cst);
  return value.load(std::memory_order_acquire);
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
  change(region_.number, region_.number.load(std::memory_order_relaxed) + 1);
  for (auto& worker : workers_) worker.join();
}

void Threads::run_task(const Task& task) {
  if (workers_.empty()) return task.call(task.work, 0);
  TIDAR_CHECK(!running_.exchange(true, std::memory_order_relaxed));
  region_.task = task;
  const uint32_t number = region_.number.load(std::memory_order_relaxed) + 1;
  change(region_.number, number);
  do_part(0, number);
  for (int part = 1; part < size(); ++part) wait_for(part, number);
  running_.store(false, std::memory_order_relaxed);
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

// Every part is begun once in every region, so before region r begins its parts stand at r - 1. A
// worker that comes late finds its part begun, or a later region's number, and leaves it. The part
// it has begun keeps the region from ending, and its task from changing.
void Threads::do_part(int part, uint32_t number) {
  Part& state = parts_[static_cast<size_t>(part)];
  uint32_t before = number - 1;
  if (!state.begun.compare_exchange_strong(before, number, std::memory_order_acq_rel)) return;
  try {
    region_.task.call(region_.task.work, part);
  } catch (...) {
    const std::lock_guard lock(failure_mutex_);
    failure_ = std::current_exception();
  }
  if (part == 0) return state.done.store(number, std::memory_order_release);
  change(state.done, number);
}

void Threads::wait_for(int part, uint32_t number) {
  const std::atomic<uint32_t>& done = parts_[static_cast<size_t>(part)].done;
  for (int i = 0; i < kPatience; ++i) {
    if (done.load(std::memory_order_acquire) == number) return;
    pause_cpu();
  }
  do_part(part, number);
  while (done.load(std::memory_order_acquire) != number) wait_change(done, number - 1);
}

void Threads::serve(int part) {
  uint32_t number = 0;
  while (true) {
    number = wait_change(region_.number, number);
    if (stop_.load(std::memory_order_relaxed)) return;
    do_part(part, number);
  }
}

}  // namespace tidar
