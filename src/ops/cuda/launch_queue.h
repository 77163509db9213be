#pragma once
// What has been queued for a GPU and not yet been given to it: launches, in their order. What was
// queued before in just the same way is one CUDA graph, and is launched as one.
//
// The steps of decoding repeat themselves: the same kernels on the same memory, with other numbers
// in it. So nobody says what a graph is: launches are gathered until somebody waits, copies or
// gathers too many; the second time that the same ones come with the same arguments they become a
// graph, and from then on they cost the host one call.

#include <cuda_runtime.h>

#include <cstdint>
#include <functional>
#include <list>
#include <source_location>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "ops/cuda/gpu_errors.h"
#include "ops/cuda/gpu_launch.h"

namespace tidar::cuda {

class LaunchQueue {
 public:
  /// Graphs of fewer launches than this are not worth their memory.
  static constexpr size_t kLeastInGraph = 8;
  /// So many are given to the device at once, so that it is at work while more are gathered.
  static constexpr size_t kMostInGraph = 64;
  static constexpr size_t kMostGraphs = 512;

  /// `stream` must outlive it. Not thread-safe. `overlaps`: kernels may begin while the ones before
  /// them are still at work (gpu.h).
  LaunchQueue(cudaStream_t stream, bool overlaps) : stream_(stream), overlaps_(overlaps) {}
  ~LaunchQueue();
  LaunchQueue(const LaunchQueue&) = delete;
  LaunchQueue& operator=(const LaunchQueue&) = delete;

  cudaStream_t stream() const { return stream_; }

  void add(const KernelLaunch& launch);
  /// Work of a library: `what` says all that it depends on, so that equal work can be told;
  /// issue(stream) queues it on a stream that may be recording.
  void add(std::string_view what, std::function<void(cudaStream_t)> issue);

  /// Gives all of it to the device; does not wait.
  void flush();

  int64_t graphs() const { return static_cast<int64_t>(graphs_.size()); }

 private:
  struct Work {
    // A kernel, and which of places_ are its arguments'; or a library's work.
    const void* kernel = nullptr;
    dim3 blocks, threads;
    size_t shared = 0;
    std::source_location where;
    size_t first_argument = 0, arguments = 0;
    std::function<void(cudaStream_t)> issue;
  };
  struct Graph {
    cudaGraphExec_t executable = nullptr;  // nullptr: came once
    std::list<const std::string*>::iterator age;
  };

  void issue_all();
  void issue(const Work& work);
  template <class T>
  void note(const T& value);
  Graph& graph_of(const std::string& key);

  cudaStream_t stream_;
  const bool overlaps_;
  std::vector<Work> works_;
  std::vector<std::byte> arguments_;
  std::vector<size_t> places_;               // of arguments, in arguments_
  std::string key_;                          // all that tells these works from others
  std::unordered_set<const void*> granted_;  // kernels that may have much shared memory
  std::unordered_map<std::string, Graph> graphs_;
  std::list<const std::string*> ages_;  // the one that was used last is the last
};

}  // namespace tidar::cuda
