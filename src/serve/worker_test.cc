#include "serve/worker.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <limits>
#include <new>
#include <vector>

namespace tidar {
namespace {

using Calls = BoundedQueue<std::function<void()>>;

Post post_to(Calls& calls) {
  return [&calls](std::function<void()> call) { calls.push(std::move(call)); };
}

TEST(Worker, WorkIsDoneElsewhereAndItsResultIsUsedHere) {
  Calls calls(1000);
  Worker worker(100, post_to(calls));
  std::vector<int> results;
  const auto here = std::this_thread::get_id();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(worker.submit([&, i] {
      const bool elsewhere = std::this_thread::get_id() != here;
      return [&, i, elsewhere] {
        EXPECT_TRUE(elsewhere);
        EXPECT_EQ(std::this_thread::get_id(), here);
        results.push_back(i);
      };
    }));
  }
  while (results.size() < 100) (*calls.pop())();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(results[static_cast<size_t>(i)], i) << "in turn";
}

TEST(Worker, WhatWorkThrowsIsThrownHere) {
  Calls calls(1000);
  Worker worker(100, post_to(calls));
  ASSERT_TRUE(worker.submit([]() -> std::function<void()> { throw std::bad_alloc(); }));
  EXPECT_THROW((*calls.pop())(), std::bad_alloc);
}

TEST(Worker, TakesOnlySoMuchAndNothingWhenItWasStopped) {
  Calls calls(1000);
  std::promise<void> begun, released;
  Worker worker(2, post_to(calls));
  ASSERT_TRUE(worker.submit([&] {
    begun.set_value();
    released.get_future().wait();
    return [] {};
  }));
  begun.get_future().wait();
  const auto nothing = [] { return [] {}; };
  EXPECT_TRUE(worker.submit(nothing));
  EXPECT_TRUE(worker.submit(nothing));
  EXPECT_FALSE(worker.submit(nothing)) << "two wait";
  released.set_value();
  worker.stop();
  EXPECT_FALSE(worker.submit(nothing));
}

TEST(Worker, WhatWaitsWhenItIsStoppedIsLeft) {
  Calls calls(1000);
  std::promise<void> begun, released;
  std::atomic<int> done = 0;
  Worker worker(std::numeric_limits<size_t>::max(), post_to(calls));  // never too much
  ASSERT_TRUE(worker.submit([&] {
    begun.set_value();
    released.get_future().wait();
    return [] {};
  }));
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(worker.submit([&] {
      ++done;
      return [] {};
    }));
  }
  begun.get_future().wait();
  std::thread stops([&] { worker.stop(); });
  while (worker.submit([] { return [] {}; })) std::this_thread::yield();  // until it is told
  released.set_value();
  stops.join();
  EXPECT_EQ(done, 0);
}

}  // namespace
}  // namespace tidar
