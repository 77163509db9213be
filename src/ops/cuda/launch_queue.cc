#include "ops/cuda/launch_queue.h"

#include <cstring>
#include <utility>

namespace tidar::cuda {

namespace {

constexpr size_t kArgumentAlignment = 16;
constexpr size_t kUsualShared = size_t{48} << 10;

}  // namespace

LaunchQueue::~LaunchQueue() {
  for (const auto& [key, graph] : graphs_) {
    if (graph.executable != nullptr) check_cuda(cudaGraphExecDestroy(graph.executable));
  }
}

template <class T>
void LaunchQueue::note(const T& value) {
  key_.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void LaunchQueue::add(const KernelLaunch& launch) {
  if (works_.size() == kMostInGraph) flush();
  Work& work = works_.emplace_back();
  work.kernel = launch.kernel;
  work.blocks = dim3(launch.x, launch.y, launch.z);
  work.threads = dim3(launch.threads);
  work.shared = static_cast<size_t>(launch.shared);
  work.where = launch.where;
  note(launch.kernel), note(work.blocks), note(work.threads), note(work.shared);
  work.first_argument = places_.size();
  work.arguments = static_cast<size_t>(launch.count);
  for (int i = 0; i < launch.count; ++i) {
    const size_t begin =
        (arguments_.size() + kArgumentAlignment - 1) / kArgumentAlignment * kArgumentAlignment;
    arguments_.resize(begin + launch.sizes[i]);
    std::memcpy(arguments_.data() + begin, launch.arguments[i], launch.sizes[i]);
    key_.append(static_cast<const char*>(launch.arguments[i]), launch.sizes[i]);
    places_.push_back(begin);
  }
}

void LaunchQueue::add(std::string_view what, std::function<void(cudaStream_t)> issue) {
  if (works_.size() == kMostInGraph) flush();
  works_.emplace_back().issue = std::move(issue);
  key_ += what;
}

void LaunchQueue::issue(const Work& work) {
  if (work.issue) return work.issue(stream_);
  if (work.shared > kUsualShared && granted_.insert(work.kernel).second) {
    check_cuda(cudaFuncSetAttribute(work.kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    static_cast<int>(work.shared)),
               work.where);
  }
  std::vector<void*> arguments;
  for (size_t i = 0; i < work.arguments; ++i)
    arguments.push_back(arguments_.data() + places_[work.first_argument + i]);
  cudaLaunchAttribute overlap;
  overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlap.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = work.blocks;
  config.blockDim = work.threads;
  config.dynamicSmemBytes = work.shared;
  config.stream = stream_;
  config.attrs = &overlap;
  config.numAttrs = overlaps_ ? 1 : 0;
  check_cuda(cudaLaunchKernelExC(&config, work.kernel, arguments.data()), work.where);
}

void LaunchQueue::issue_all() {
  for (const Work& work : works_) issue(work);
}

LaunchQueue::Graph& LaunchQueue::graph_of(const std::string& key) {
  const auto found = graphs_.find(key);
  if (found != graphs_.end()) {
    ages_.splice(ages_.end(), ages_, found->second.age);
    return found->second;
  }
  if (graphs_.size() >= kMostGraphs) {
    const auto oldest = graphs_.find(*ages_.front());
    if (oldest->second.executable != nullptr) {
      check_cuda(cudaStreamSynchronize(stream_));  // it may be under way
      check_cuda(cudaGraphExecDestroy(oldest->second.executable));
    }
    ages_.pop_front();
    graphs_.erase(oldest);
  }
  const auto added = graphs_.try_emplace(key).first;
  added->second.age = ages_.insert(ages_.end(), &added->first);
  return added->second;
}

void LaunchQueue::flush() {
  if (works_.empty()) return;
  if (works_.size() < kLeastInGraph) {
    issue_all();
  } else {
    const bool came_before = graphs_.contains(key_);
    Graph& graph = graph_of(key_);
    if (came_before && graph.executable == nullptr) {
      check_cuda(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
      issue_all();
      cudaGraph_t recorded = nullptr;
      check_cuda(cudaStreamEndCapture(stream_, &recorded));
      check_cuda(cudaGraphInstantiate(&graph.executable, recorded, 0));
      check_cuda(cudaGraphDestroy(recorded));
    }
    if (graph.executable != nullptr) {
      check_cuda(cudaGraphLaunch(graph.executable, stream_));
    } else {
      issue_all();
    }
  }
  works_.clear();
  arguments_.clear();
  places_.clear();
  key_.clear();
}

}  // namespace tidar::cuda
