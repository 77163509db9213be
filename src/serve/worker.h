#pragma once
// A thread for what takes a while and needs no other: reading what clients sent, tokenizing it.

#include <functional>
#include <thread>

#include "serve/bounded_queue.h"
#include "serve/posting_thread.h"

namespace tidar {

/// One piece of work after another. All calls come from one thread: its owner's.
class Worker {
 public:
  /// Done on the worker's thread. What it returns is called on the owner's; what it throws, that
  /// call throws, and nothing more is done.
  using Work = std::function<std::function<void()>()>;

  /// So many pieces of work wait at most.
  Worker(size_t most, Post post);
  /// stop(). What was posted must not be called any more.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// False, and nothing is done: too much waits, or it was stopped.
  bool submit(Work work) { return works_.try_push(std::move(work)); }

  /// Ends the thread after the work under way; the rest is left.
  void stop();

 private:
  void run();

  Post post_;
  BoundedQueue<Work> works_;
  std::thread thread_;
};

}  // namespace tidar
