#pragma once
// Ranks: processes that carry out one run together, each its part of every step. All ranks call the
// same functions in the same order. Sums are added up in the order of ranks: every rank gets the
// same bits, in every run with as many ranks.
//
//   make_solo()             one process by itself
//   join_mpi()              processes that mpirun began (mpi/, a library of its own)
//   thread_ranks_testing.h  threads of one process, for tests

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/threads.h"

namespace tidar {

/// One for each rank; used by one thread.
class Communicator {
 public:
  virtual ~Communicator() = default;

  int rank() const { return rank_; }  ///< from 0
  int ranks() const { return ranks_; }
  bool first() const { return rank_ == 0; }

  /// values[i] becomes the sum of what all ranks have there; they have equally many.
  virtual void sum(std::span<double> values) = 0;

  /// Begins to sum up long vectors of which each rank needs a part: behind finish(), the elements
  /// parts[rank()] of `values` are sums, and the others what they were. The caller may compute
  /// meanwhile, but not touch `values`. Several may be under way, of other values each.
  virtual void begin_sum_parts(std::span<float> values, std::vector<Range> parts) = 0;
  /// A good moment to look after what is under way.
  virtual void progress() {}
  /// Returns when all that was begun is summed up.
  virtual void finish() = 0;

  /// The elements parts[r] of `values` become what rank r has there, on all ranks.
  virtual void share_parts(std::span<float> values, std::span<const Range> parts) = 0;

  /// What rank 0 has becomes what all have; they have equally many.
  virtual void share(std::span<std::byte> bytes) = 0;

 protected:
  Communicator(int rank, int ranks) : rank_(rank), ranks_(ranks) {}

 private:
  int rank_ = 0, ranks_ = 1;
};

/// Range cut into as many parts as there are ranks, of which the first ones are the larger ones;
/// they begin at multiples of 16 elements from its beginning.
std::vector<Range> parts_of(Range range, int ranks);

/// Whether any rank says so. The same on all.
bool any(Communicator& ranks, bool here);

std::unique_ptr<Communicator> make_solo();

/// Takes this process's place among those that mpirun began. To be called once. `program` is the
/// folder of the running program, where the library lies that knows MPI. An Error when it was built
/// without.
Result<std::unique_ptr<Communicator>> join_mpi(const std::filesystem::path& program);

}  // namespace tidar
