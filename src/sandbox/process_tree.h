#pragma once
// A process and all that descend from it, as /proc tells.

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace tidar {

/// Children of all threads of the process; empty when it is gone.
std::vector<pid_t> children_of(pid_t process);

/// Resident bytes of the process and its descendants. Memory that several of them share counts for
/// each. Processes that come and go meanwhile may be missed.
int64_t resident_bytes(pid_t process);

}  // namespace tidar
