#pragma once
// For tests: ranks that are threads of one process.

#include <algorithm>
#include <barrier>
#include <functional>
#include <thread>
#include <vector>

#include "comm/communicator.h"

namespace tidar {

/// What the ranks have in common.
struct ThreadMeeting {
  explicit ThreadMeeting(int ranks)
      : barrier(ranks), doubles(static_cast<size_t>(ranks)), floats(static_cast<size_t>(ranks)) {}
  std::barrier<> barrier;
  std::vector<std::span<double>> doubles;  ///< of each rank, while all are in one call
  std::vector<std::span<float>> floats;
  std::span<std::byte> bytes;  ///< of rank 0
};

class ThreadRank final : public Communicator {
 public:
  ThreadRank(ThreadMeeting& meeting, int rank, int ranks)
      : Communicator(rank, ranks), meeting_(meeting) {}

  void sum(std::span<double> values) override {
    meeting_.doubles[mine()] = values;
    meeting_.barrier.arrive_and_wait();
    std::vector<double> sums(values.size());
    for (const auto& of_rank : meeting_.doubles) {
      for (size_t i = 0; i < sums.size(); ++i) {
        sums[i] = &of_rank == &meeting_.doubles.front() ? of_rank[i] : sums[i] + of_rank[i];
      }
    }
    meeting_.barrier.arrive_and_wait();
    std::copy(sums.begin(), sums.end(), values.begin());
  }
  void begin_sum_parts(std::span<float> values, std::vector<Range> parts) override {
    under_way_.push_back({values, parts[mine()]});
  }
  void finish() override {
    for (const auto& [values, part] : under_way_) {
      meeting_.floats[mine()] = values;
      meeting_.barrier.arrive_and_wait();
      std::vector<float> sums;
      for (int64_t i = part.begin; i < part.end; ++i) {
        float sum = meeting_.floats[0][static_cast<size_t>(i)];
        for (size_t rank = 1; rank < meeting_.floats.size(); ++rank) {
          sum += meeting_.floats[rank][static_cast<size_t>(i)];
        }
        sums.push_back(sum);
      }
      meeting_.barrier.arrive_and_wait();
      std::copy(sums.begin(), sums.end(), values.begin() + part.begin);
    }
    under_way_.clear();
  }
  void share_parts(std::span<float> values, std::span<const Range> parts) override {
    meeting_.floats[mine()] = values;
    meeting_.barrier.arrive_and_wait();
    std::vector<float> all(values.begin(), values.end());
    for (size_t rank = 0; rank < parts.size(); ++rank) {
      std::copy(meeting_.floats[rank].begin() + parts[rank].begin,
                meeting_.floats[rank].begin() + parts[rank].end, all.begin() + parts[rank].begin);
    }
    meeting_.barrier.arrive_and_wait();
    std::copy(all.begin(), all.end(), values.begin());
  }
  void share(std::span<std::byte> bytes) override {
    if (first()) meeting_.bytes = bytes;
    meeting_.barrier.arrive_and_wait();
    if (!first()) std::copy(meeting_.bytes.begin(), meeting_.bytes.end(), bytes.begin());
    meeting_.barrier.arrive_and_wait();
  }

 private:
  size_t mine() const { return static_cast<size_t>(rank()); }
  struct Sum {
    std::span<float> values;
    Range part;
  };
  ThreadMeeting& meeting_;
  std::vector<Sum> under_way_;
};

/// Calls body(communicator) on each of so many threads, and returns when all have returned.
inline void run_as_ranks(int ranks, const std::function<void(Communicator&)>& body) {
  ThreadMeeting meeting(ranks);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      ThreadRank here(meeting, rank, ranks);
      body(here);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace tidar
