#pragma once
// One pool of threads for all arithmetic. Own code instead of OpenMP, because thread sanitizers
// cannot see into libgomp's barriers; a parallel region costs under a microsecond when the workers
// are awake.

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
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
/// does not wait for that: it does the parts that no worker has begun, so that at worst a region
/// takes as long as on one thread. Who does a part is therefore open; what it computes must not
/// depend on it.
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
  void run(const std::function<void(int)>& work);

  /// Calls work(range, part) with [0, count) split evenly over as many parts as get at least
  /// `grain` indices each; over one, if none would.
  void split(int64_t count, int64_t grain, const std::function<void(Range, int)>& work);

 private:
  // The last region in which this part was begun, by whoever it was. Parts lie on cache lines of
  // their own.
  struct alignas(64) Part {
    std::atomic<uint32_t> begun{0};
  };

  void end_workers();
  void serve(int part);
  // Does the part, unless it was begun already or `region` is over.
  void do_part(int part, uint32_t region);

  std::vector<std::thread> workers_;
  std::unique_ptr<Part[]> parts_;  // size() of them
  const std::function<void(int)>* work_ = nullptr;
  std::atomic<uint32_t> region_{0};   // counts regions; the one under way or the last
  std::atomic<uint32_t> running_{0};  // parts of it that are not done
  std::atomic<bool> stop_{false};
  std::mutex failure_mutex_;
  std::exception_ptr failure_;  // of the region under way
};

}  // namespace tidar
