#pragma once
// One pool of threads for all arithmetic. Own code instead of OpenMP, because thread sanitizers
// cannot see into libgomp's barriers; a parallel region costs under a microsecond when the workers
// are awake.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace tidar {

/// Half-open range of indices.
struct Range {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t size() const { return end - begin; }
};

/// `size()` threads, the caller among them, that share out one function at a time. Workers spin for
/// a short while after each region, then sleep. One region at a time: run() must not be called from
/// two threads at once, nor from inside a region.
///
/// A machine that runs other programs may not let a worker run when its part is there. The caller
/// does not wait for that: it does the parts that no worker has begun a moment after its own is
/// done, so that at worst a region takes as long as on one thread. Who does a part is therefore
/// open; what it computes must not depend on it.
///
/// Between cores that share no cache a line travels for 0.2 microseconds, which is as much as a
/// small product takes. A region costs three such journeys one after the other: what to do, the
/// function's captures, and that it is done. What a function captures by reference costs more.
class Threads {
 public:
  /// `count` >= 1 threads in all; 0 means as many as this process may run on. Throws
  /// std::system_error where the system lets no more be started.
  explicit Threads(int count = 0);
  ~Threads();
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls work(part) once for each part = 0 … size()-1, several at the same time, and returns when
  /// all have returned. Memory that belongs to a part is used by nobody else meanwhile. What a part
  /// throws (base/out_of_memory.h), one of them if several do, is thrown here when all have ended.
  template <class F>
  void run(const F& work) {
    run_task({.call = [](const void* f, int part) { (*static_cast<const F*>(f))(part); },
              .work = &work});
  }

  /// Calls work(range, part) with [0, count) split evenly over as many parts as get at least
  /// `grain` indices each; over one, if none would.
  template <class F>
  void split(int64_t count, int64_t grain, const F& work) {
    const int64_t worthwhile = count / std::max<int64_t>(grain, 1);
    const int parts = static_cast<int>(std::clamp<int64_t>(worthwhile, 1, size()));
    if (parts == 1) return work(Range{0, count}, 0);
    run([=](int part) {
      if (part < parts) work(Range{count * part / parts, count * (part + 1) / parts}, part);
    });
  }

 private:
  // A function that the caller of run() keeps.
  struct Task {
    void (*call)(const void* work, int part) = nullptr;
    const void* work = nullptr;
  };

  // What workers look at; the number is written last. A line of its own.
  struct alignas(64) Region {
    std::atomic<uint32_t> number{0};  // counts regions; the one under way or the last
    Task task;
  };

  // The last region in which this part was begun, and in which it was done, by whoever it was.
  // Workers write them and the caller reads `done` alone, if they are quick, so that `begun` stays
  // in the cache of its worker.
  struct Part {
    alignas(64) std::atomic<uint32_t> begun{0};
    alignas(64) std::atomic<uint32_t> done{0};
  };

  void run_task(const Task& task);
  void end_workers();
  void serve(int part);
  // Does the part, unless it was begun already or `number` is over.
  void do_part(int part, uint32_t number);
  void wait_for(int part, uint32_t number);

  std::vector<std::thread> workers_;
  std::unique_ptr<Part[]> parts_;  // size() of them
  Region region_;
  std::atomic<bool> running_{false};
  std::atomic<bool> stop_{false};
  std::mutex failure_mutex_;
  std::exception_ptr failure_;  // of the region under way
};

}  // namespace tidar
