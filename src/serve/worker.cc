#include "serve/worker.h"

#include <utility>

namespace tidar {

Worker::Worker(size_t most, Post post)
    : post_(std::move(post)), works_(most), thread_(posting_thread(post_, [this] { run(); })) {}

Worker::~Worker() { stop(); }

void Worker::stop() {
  if (!thread_.joinable()) return;
  works_.close();
  thread_.join();
}

void Worker::run() {
  while (const auto work = works_.pop()) {
    if (works_.closed()) return;
    post_((*work)());
  }
}

}  // namespace tidar
