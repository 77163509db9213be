#include "comm/communicator.h"

#include <dlfcn.h>

#include <algorithm>

#include "comm/mpi_library.h"

namespace tidar {

namespace {

class Solo final : public Communicator {
 public:
  Solo() : Communicator(0, 1) {}
  void sum(std::span<double>) override {}
  void begin_sum_parts(std::span<float>, std::vector<Range>) override {}
  void finish() override {}
  void share_parts(std::span<float>, std::span<const Range>) override {}
  void share(std::span<std::byte>) override {}
};

}  // namespace

std::vector<Range> parts_of(Range range, int ranks) {
  constexpr int64_t kGrain = 16;
  const int64_t grains = (range.size() + kGrain - 1) / kGrain;
  std::vector<Range> parts;
  int64_t begin = 0;
  for (int64_t rank = 0; rank < ranks; ++rank) {
    const int64_t end = begin + grains / ranks + (rank < grains % ranks);
    parts.push_back({std::min(range.begin + begin * kGrain, range.end),
                     std::min(range.begin + end * kGrain, range.end)});
    begin = end;
  }
  return parts;
}

bool any(Communicator& ranks, bool here) {
  double count = here ? 1 : 0;
  ranks.sum({&count, 1});
  return count > 0;
}

std::unique_ptr<Communicator> make_solo() { return std::make_unique<Solo>(); }

Result<std::unique_ptr<Communicator>> join_mpi(const std::filesystem::path& program) {
  const std::filesystem::path path = program / kMpiLibrary;
  // Never closed: what it makes lives in it.
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  void* const join = library == nullptr ? nullptr : dlsym(library, kMpiEntry);
  if (join == nullptr) {
    const char* const why = dlerror();
    return error(
        "this process was begun by mpirun, but the library that knows MPI cannot be used: {}; "
        "install libopenmpi-dev and build again, or begin one process without mpirun",
        why == nullptr ? path.string() : why);
  }
  return std::unique_ptr<Communicator>(reinterpret_cast<JoinMpi*>(join)());
}

}  // namespace tidar
