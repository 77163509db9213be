// Ranks over MPI. Sums are made here and not by MPI_Allreduce, which may add up in any order.

#include <mpi.h>

#include <algorithm>
#include <climits>
#include <cstdio>

#include "comm/mpi_library.h"

namespace tidar {
namespace {

/// MPI counts in ints.
int count_of(int64_t elements) {
  if (elements > INT_MAX) {
    std::fputs("tidar: a message between ranks has more than 2^31 elements\n", stderr);
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
  return static_cast<int>(elements);
}

class MpiRanks final : public Communicator {
 public:
  MpiRanks(int rank, int ranks) : Communicator(rank, ranks) {}
  ~MpiRanks() override { MPI_Finalize(); }

  void sum(std::span<double> values) override {
    const size_t count = values.size();
    std::vector<double> all(count * static_cast<size_t>(ranks()));
    MPI_Allgather(values.data(), count_of(values.size()), MPI_DOUBLE, all.data(),
                  count_of(values.size()), MPI_DOUBLE, MPI_COMM_WORLD);
    for (size_t i = 0; i < count; ++i) {
      values[i] = all[i];
      for (size_t at = i + count; at < all.size(); at += count) values[i] += all[at];
    }
  }

  void begin_sum_parts(std::span<float> values, std::vector<Range> parts) override {
    Sum& sum = under_way_.emplace_back();
    const Range mine = parts[static_cast<size_t>(rank())];
    sum.mine = values.subspan(static_cast<size_t>(mine.begin), static_cast<size_t>(mine.size()));
    sum.others.resize(sum.mine.size() * static_cast<size_t>(ranks()));
    const int tag = static_cast<int>(under_way_.size());
    for (int other = 0; other < ranks(); ++other) {
      if (other == rank()) continue;
      MPI_Irecv(sum.others.data() + static_cast<size_t>(other) * sum.mine.size(),
                count_of(mine.size()), MPI_FLOAT, other, tag, MPI_COMM_WORLD,
                &requests_.emplace_back());
    }
    for (int other = 0; other < ranks(); ++other) {
      if (other == rank()) continue;
      const Range theirs = parts[static_cast<size_t>(other)];
      MPI_Isend(values.data() + theirs.begin, count_of(theirs.size()), MPI_FLOAT, other, tag,
                MPI_COMM_WORLD, &requests_.emplace_back());
    }
  }

  void progress() override {
    int done = 0;
    if (!requests_.empty()) {
      MPI_Testall(count_of(std::ssize(requests_)), requests_.data(), &done, MPI_STATUSES_IGNORE);
    }
  }

  void finish() override {
    MPI_Waitall(count_of(std::ssize(requests_)), requests_.data(), MPI_STATUSES_IGNORE);
    requests_.clear();
    for (Sum& sum : under_way_) {
      const size_t size = sum.mine.size();
      std::copy(sum.mine.begin(), sum.mine.end(),
                sum.others.begin() + static_cast<std::ptrdiff_t>(size) * rank());
      for (size_t i = 0; i < size; ++i) {
        float total = sum.others[i];
        for (size_t at = i + size; at < sum.others.size(); at += size) total += sum.others[at];
        sum.mine[i] = total;
      }
    }
    under_way_.clear();
  }

  void share_parts(std::span<float> values, std::span<const Range> parts) override {
    std::vector<int> counts, begins;
    for (const Range& part : parts) {
      counts.push_back(count_of(part.size()));
      begins.push_back(count_of(part.begin));
    }
    MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, values.data(), counts.data(), begins.data(),
                   MPI_FLOAT, MPI_COMM_WORLD);
  }

  void share(std::span<std::byte> bytes) override {
    MPI_Bcast(bytes.data(), count_of(std::ssize(bytes)), MPI_BYTE, 0, MPI_COMM_WORLD);
  }

 private:
  /// One of begin_sum_parts().
  struct Sum {
    std::span<float> mine;
    std::vector<float> others;  ///< [ranks, mine], of all ranks
  };
  std::vector<Sum> under_way_;
  std::vector<MPI_Request> requests_;
};

}  // namespace
}  // namespace tidar

extern "C" [[gnu::visibility("default")]] tidar::Communicator* tidar_join_mpi() {
  MPI_Init(nullptr, nullptr);
  int rank = 0, ranks = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  return new tidar::MpiRanks(rank, ranks);
}
