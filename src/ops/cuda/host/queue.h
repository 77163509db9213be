#pragma once
// What a stream is where kernels run on the CPU: work in the order in which it was added, none of
// which is done before somebody waits for it. Whoever looks at a result too early, or changes too
// early what work will read, gets what a late device would give.

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "ops/cuda/host/grid.h"

namespace tidar::cuda::host {

class Queue {
 public:
  /// The seed is that of Grids.
  explicit Queue(uint64_t seed) : grids_(seed) {}

  void add(std::function<void()> work) { works_.push_back(std::move(work)); }
  /// Carries out all that was added.
  void catch_up();
  Grids& grids() { return grids_; }

 private:
  Grids grids_;
  std::vector<std::function<void()>> works_;
};

/// Adds a launch to `queue`, a Queue: what launch() in gpu.h does.
void enqueue(void* queue, const Launch& launch, std::function<void()> thread);

}  // namespace tidar::cuda::host
