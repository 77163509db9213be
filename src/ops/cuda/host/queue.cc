#include "ops/cuda/host/queue.h"

namespace tidar::cuda::host {

void Queue::catch_up() {
  std::vector<std::function<void()>> works;
  works.swap(works_);
  for (const auto& work : works) work();
}

void enqueue(void* queue, const Launch& launch, std::function<void()> thread) {
  auto& own = *static_cast<Queue*>(queue);
  own.add(
      [&grids = own.grids(), launch, thread = std::move(thread)] { grids.run(launch, thread); });
}

}  // namespace tidar::cuda::host
