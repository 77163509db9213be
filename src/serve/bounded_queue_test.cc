#include "serve/bounded_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace tidar {
namespace {

TEST(BoundedQueue, HoldsSoManyThingsInTheirOrder) {
  BoundedQueue<int> queue(2);
  EXPECT_FALSE(queue.try_pop());
  EXPECT_TRUE(queue.try_push(1));
  EXPECT_TRUE(queue.push(2));
  EXPECT_FALSE(queue.try_push(3));
  EXPECT_EQ(queue.try_pop(), 1);
  EXPECT_TRUE(queue.try_push(4));
  EXPECT_EQ(queue.pop(), 2);
  EXPECT_EQ(queue.pop(), 4);
}

TEST(BoundedQueue, WhoPushesIntoAFullOneWaitsForRoom) {
  BoundedQueue<int> queue(1);
  std::atomic<int> pushed = 0;
  std::thread other([&] {
    for (int i = 0; i < 100; ++i) {
      EXPECT_TRUE(queue.push(int{i}));
      ++pushed;
    }
  });
  for (int i = 0; i < 100; ++i) {
    EXPECT_LE(pushed, i + 1);
    EXPECT_EQ(queue.pop(), i);
  }
  other.join();
}

TEST(BoundedQueue, ClosedItGivesWhatItHoldsAndTakesNothing) {
  BoundedQueue<int> queue(2);
  queue.push(1);
  EXPECT_FALSE(queue.closed());
  queue.close();
  EXPECT_TRUE(queue.closed());
  EXPECT_FALSE(queue.try_push(2));
  EXPECT_FALSE(queue.push(3));
  EXPECT_EQ(queue.pop(), 1);
  EXPECT_FALSE(queue.pop());
}

TEST(BoundedQueue, WhoWaitsHearsThatItIsClosed) {
  BoundedQueue<int> full(1), empty(1);
  full.push(1);
  std::thread pushes([&] { EXPECT_FALSE(full.push(2)); });
  std::thread pops([&] { EXPECT_FALSE(empty.pop()); });
  full.close();
  empty.close();
  pushes.join();
  pops.join();
}

}  // namespace
}  // namespace tidar
