#pragma once
// The library that knows MPI lies beside the program and is opened by processes that mpirun began:
// others neither need Open MPI nor wait for it.

#include "comm/communicator.h"

namespace tidar {

constexpr const char* kMpiLibrary = "libtidar_mpi.so";

/// Its one function: MPI_Init, and what stands for this process. The caller's.
constexpr const char* kMpiEntry = "tidar_join_mpi";
using JoinMpi = Communicator*();

}  // namespace tidar
