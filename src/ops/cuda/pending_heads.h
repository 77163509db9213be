#pragma once
// Verbs on heads that wait for the one that stores keys and values, so that all of it is one kernel
// (heads.cu). A network calls them one behind another in every layer: norms of q and k, rotations
// of q and k, the store.

#include <optional>
#include <vector>

#include "ops/cuda/kernels.h"

namespace tidar::cuda {

class PendingHeads {
 public:
  /// What was asked of one matrix: its norm, then its rotation.
  struct Verb {
    HeadsPart part;
    const int32_t* positions = nullptr;
  };

  /// Whether the verb waits now. If not, the caller carries out take_all(), and then the verb.
  bool take_norm(const View& x, int heads, const float* weight, float eps);
  bool take_rotation(const View& x, int heads, const int32_t* positions, const Angles& angles);

  /// All that waits and the store of keys k, as one call, which lacks what the store alone knows;
  /// then nothing waits. Nothing, if that is not all that waits.
  std::optional<HeadsCall> take_store(const View& k, const int32_t* positions);

  /// In the order in which they must be carried out; then nothing waits.
  std::vector<Verb> take_all();

 private:
  // The entry of x, which is new if need be; nullptr: there is no room, or its heads are too large.
  Verb* add(const View& x, int heads);

  std::vector<Verb> verbs_;  // of q, then of k
};

}  // namespace tidar::cuda
