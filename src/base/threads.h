#pragma once
// One pool of threads for all arithmetic. Own code instead of OpenMP, because thread sanitizers
// cannot see into libgomp's barriers; a parallel region costs under a microsecond when the workers
// are awake.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace tidar {

/// Half-open range of indices.
struct Range {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t size() const { return end - begin; }
};

/// The part of [0, count) that falls to `part` of `parts`, in units of `grain`.
Range share_of(int64_t count, int part, int parts, int64_t grain = 1);

/// `size()` threads, the caller among them, that run one function at a time. Workers spin for a
/// short while after each region, then sleep. One region at a time: run() must not be called from
/// two threads at once, nor from inside a region.
class Threads {
 public:
  /// `count` >= 1 threads in all; 0 means as many as this process may run on.
  explicit Threads(int count = 0);
  ~Threads();
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls work(thread) for thread = 0 … size()-1, each on its own thread, and returns when all
  /// have returned.
  void run(const std::function<void(int)>& work);

  /// Calls work(range, thread) with [0, count) split evenly over as many threads as get at least
  /// `grain` indices each; over one, if none would.
  void split(int64_t count, int64_t grain, const std::function<void(Range, int)>& work);

 private:
  void serve(int thread);

  std::vector<std::thread> workers_;
  const std::function<void(int)>* work_ = nullptr;
  std::atomic<uint32_t> started_{0};
  std::atomic<uint32_t> running_{0};
  std::atomic<bool> stop_{false};
};

}  // namespace tidar
