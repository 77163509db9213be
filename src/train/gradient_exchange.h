#pragma once
// How ranks make one update of what each of them has a part of (comm/communicator.h). Gradients are
// summed up group by group while the backward goes on; every rank then updates its shard of each
// group, with moments for that alone, and the masters are shared out again (Rajbhandari et al.,
// ZeRO, arXiv 1910.02054, its first stage).

#include <vector>

#include "comm/communicator.h"
#include "net/parameters.h"
#include "train/optimizer.h"

namespace tidar {

/// With one rank nothing is to be done, and its shard is whole.
class GradientExchange {
 public:
  /// Both must outlive this. With several ranks gradients are f32. Where moments have codes, shards
  /// cut parameters between their blocks (train/moments.h).
  GradientExchange(Parameters& parameters, Communicator& ranks, MomentFormat moments);

  /// What this rank updates.
  const Shard& shard() const { return shard_; }

  /// Begins to sum up the gradients of these parameters, by index, which must not change any more:
  /// a layer's, or what stands before or behind all layers.
  void begin(Range parameters);
  /// When it returns, gradients of the shard are sums over all ranks.
  void finish() { ranks_.finish(); }

  /// Behind an update: everyone gets the others' shards of the masters.
  void share_masters();
  /// Likewise of moments of all elements.
  void share(const Moments& moments);

 private:
  /// Neighbours of one layer, or of none.
  struct Group {
    Range parameters;          ///< by index
    Range elements;            ///< of all that are not frozen
    std::vector<Range> parts;  ///< of `elements`, a rank's each
  };

  /// Calls f(index, the ranks' parts) for each parameter that is trained; parts count from its
  /// beginning.
  template <class F>
  void for_each_trained(F&& f) const;

  Parameters& parameters_;
  Communicator& ranks_;
  std::vector<Group> groups_;
  Shard shard_;
};

}  // namespace tidar
