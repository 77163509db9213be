#pragma once
// The other processes of a run, where mpirun began this one.

#include <memory>
#include <optional>

#include "base/result.h"
#include "comm/communicator.h"

namespace tidar {

/// This process by itself, unless mpirun began it together with others. To be called once. An Error
/// when it did and this program cannot talk to them.
Result<std::unique_ptr<Communicator>> open_ranks();

/// How this rank ends, once all are done with the same: the exit code kFailed without a word where
/// another rank is the one to say what went wrong, nothing where none failed. To be called on all
/// ranks.
std::optional<Result<int>> failure_of_all(Communicator& ranks, const Error* here);

}  // namespace tidar
