#include "base/threads.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <numeric>
#include <thread>
#include <vector>

#include "base/rng.h"

namespace tidar {
namespace {

TEST(Threads, AsManyAsAskedFor) {
  for (const int count : {1, 2, 3, 8}) EXPECT_EQ(Threads(count).size(), count);
  EXPECT_GE(Threads().size(), 1);
}

// Regions follow each other at once, so that a worker still leaving one meets the next. The
// counters are plain integers: a missing barrier is a data race that the thread sanitizer sees.
TEST(Threads, EachPartOfEachRegionIsDoneOnce) {
  for (const int count : {1, 2, 4}) {
    Threads threads(count);
    std::vector<int> calls(static_cast<size_t>(count));
    for (int region = 1; region <= 500; ++region) {
      threads.run([&](int part) { ++calls[static_cast<size_t>(part)]; });
      ASSERT_EQ(calls, std::vector<int>(static_cast<size_t>(count), region));
    }
  }
}

TEST(Threads, WorkersSleepAndWakeAgain) {
  Threads threads(3);
  std::vector<int> calls(3);
  for (int region = 1; region <= 20; ++region) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    threads.run([&](int part) { ++calls[static_cast<size_t>(part)]; });
    ASSERT_EQ(calls, std::vector<int>(3, region));
  }
}

// The caller falls asleep just when its worker has done its part: whoever is not woken then sleeps
// on.
TEST(Threads, WhoFallsAsleepAsWorkEndsIsWoken) {
  Threads threads(2);
  Rng rng(1);
  for (int region = 0; region < 50'000; ++region) {
    const int pauses = 2000 + rng.below(300);  // about as long as a caller spins
    threads.run([&](int part) {
      for (int i = 0; part == 1 && i < pauses; ++i) __builtin_ia32_pause();
    });
  }
}

// Both threads may use one processor only, so a worker cannot begin while the caller computes.
TEST(Threads, TheCallerDoesThePartsThatNoWorkerBegins) {
  cpu_set_t before, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  {
    Threads threads(2);
    int by_caller = 0;
    for (int region = 0; region < 100; ++region) {
      std::vector<std::thread::id> done_by(2);
      threads.run(
          [&](int part) { done_by[static_cast<size_t>(part)] = std::this_thread::get_id(); });
      EXPECT_EQ(done_by[0], std::this_thread::get_id());
      by_caller += done_by[1] == std::this_thread::get_id();
    }
    EXPECT_GT(by_caller, 0);
  }
  sched_setaffinity(0, sizeof(before), &before);
}

TEST(Threads, WhatAPartThrowsReachesTheCaller) {
  Threads threads(3);
  for (const int thrower : {0, 1, 2}) {
    std::vector<int> calls(3);
    const auto work = [&](int part) {
      ++calls[static_cast<size_t>(part)];
      if (part == thrower) throw std::bad_alloc();
    };
    EXPECT_THROW(threads.run(work), std::bad_alloc);
    EXPECT_EQ(calls, std::vector<int>(3, 1));
    threads.run([&](int part) { ++calls[static_cast<size_t>(part)]; });
    EXPECT_EQ(calls, std::vector<int>(3, 2));
  }
}

TEST(Threads, PoolsLiveBesideEachOther) {
  Threads outer(2);
  std::vector<std::vector<int64_t>> sums(2);
  outer.run([&](int thread) {
    Threads inner(2);
    auto& own = sums[static_cast<size_t>(thread)];
    own.resize(2);
    for (int i = 0; i < 50; ++i) {
      inner.split(100, 1,
                  [&](Range range, int part) { own[static_cast<size_t>(part)] += range.size(); });
    }
  });
  for (const auto& own : sums) EXPECT_EQ(own[0] + own[1], 50 * 100);
}

TEST(Threads, SplitIsEvenAndGivesEveryIndexOnceAndNoCrumbs) {
  Rng rng(6);
  for (const int size : {1, 2, 3, 7}) {
    Threads threads(size);
    for (int i = 0; i < 100; ++i) {
      const int64_t count = rng.below(200);
      const int64_t grain = 1 + rng.below(50);
      std::vector<int> times(static_cast<size_t>(count));
      std::vector<int64_t> share(static_cast<size_t>(size));
      threads.split(count, grain, [&](Range range, int thread) {
        share[static_cast<size_t>(thread)] = range.size();
        for (int64_t k = range.begin; k < range.end; ++k) ++times[static_cast<size_t>(k)];
      });
      ASSERT_EQ(times, std::vector<int>(static_cast<size_t>(count), 1));
      std::erase(share, 0);
      if (count == 0) continue;
      const auto [fewest, most] = std::minmax_element(share.begin(), share.end());
      ASSERT_GE(*fewest, std::min(grain, count)) << count << ' ' << grain;
      ASSERT_LE(*most - *fewest, 1) << count << ' ' << grain;
    }
  }
}

TEST(Threads, WorkOfOneRegionIsSeenByTheNext) {
  Threads threads(2);
  std::vector<int64_t> values(1000, 1);
  for (int region = 0; region < 200; ++region) {
    // Each region reads what the other thread wrote in the region before.
    std::vector<int64_t> next(values.size());
    threads.split(1000, 1, [&](Range range, int) {
      for (int64_t i = range.begin; i < range.end; ++i) {
        next[static_cast<size_t>(i)] = values[static_cast<size_t>(999 - i)] + 1;
      }
    });
    values.swap(next);
  }
  EXPECT_EQ(values, std::vector<int64_t>(1000, 201));
}

TEST(ThreadsDeathTest, RegionsMustNotNest) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        Threads threads(2);
        threads.run([&](int thread) {
          if (thread == 0) threads.run([](int) {});
        });
      },
      "running_");
}

}  // namespace
}  // namespace tidar
