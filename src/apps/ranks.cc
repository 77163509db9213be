#include "apps/ranks.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <vector>

#include "apps/command.h"

namespace tidar {

namespace {

/// What mpirun sets for the processes that it begins: Open MPI's, and that of MPICH and Slurm.
bool is_begun_by_mpirun() {
  for (const char* const name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}) {
    const char* const size = std::getenv(name);
    if (size != nullptr && std::string_view(size) != "1") return true;
  }
  return false;
}

}  // namespace

Result<std::unique_ptr<Communicator>> open_ranks() {
  if (!is_begun_by_mpirun()) return make_solo();
  std::error_code ignored;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", ignored);
  return join_mpi(program.parent_path());
}

std::optional<Result<int>> failure_of_all(Communicator& ranks, const Error* here) {
  const auto own = static_cast<size_t>(ranks.rank());
  // Failed, and able to say why.
  std::vector<double> failed(static_cast<size_t>(ranks.ranks())), speaks = failed;
  failed[own] = here != nullptr;
  speaks[own] = here != nullptr && !here->message.empty();
  ranks.sum(failed);
  ranks.sum(speaks);
  if (std::find(failed.begin(), failed.end(), 1.0) == failed.end()) return std::nullopt;
  const auto speaker = std::find(speaks.begin(), speaks.end(), 1.0) - speaks.begin();
  if (speaker != ranks.rank()) return kFailed;
  return ranks.first() ? *here : error("rank {}: {}", ranks.rank(), here->message);
}

}  // namespace tidar
