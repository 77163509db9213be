#pragma once
// AdamW: how gradients become changes of weights (Loshchilov and Hutter, arXiv 1711.05101).

#include <cstdint>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "base/matrix.h"
#include "base/threads.h"
#include "net/parameters.h"

namespace tidar {

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0.1;  ///< of matrices; vectors (norms, biases) do not decay
};

/// How the update of one parameter differs from the others'.
struct ParameterUpdate {
  double rate = 1;     ///< what its learning rate is multiplied with
  bool decays = true;  ///< vectors never do
};

/// Which elements, counted over all parameters that are not frozen, one of several ranks updates
/// (comm/communicator.h). Ascending.
using Shard = std::vector<Range>;

/// The sum of the squares of all gradients of a shard. Not finite if one of them is not. The same
/// for every number of threads, to the bit.
double gradient_squares(const Parameters& parameters, const Shard& shard, Threads& threads);

/// The L2 norm of all gradients together; likewise.
double gradient_norm(const Parameters& parameters, Threads& threads);

/// All elements.
Shard whole_shard(const Parameters& parameters);

/// What gradients of this norm are multiplied with so that it does not exceed `limit`; a limit of 0
/// means none.
double clip_scale(double norm, double limit);

/// Running means of one parameter's gradients and of their squares: f32, shaped as it; without data
/// where it is frozen.
struct AdamMoments {
  Matrix first, second;
};

/// Those of all parameters.
struct AllMoments {
  Buffer memory;
  std::vector<AdamMoments> of_parameters;
  std::span<float> first, second;  ///< of all elements that are not frozen
};

/// One update: with t counted from 1,
///   g = scale * gradient    m = beta1 m + (1 - beta1) g    v = beta2 v + (1 - beta2) g^2
///   w -= rate * (m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon) + weight_decay * w)
/// in float32, element by element: results do not depend on the number of threads. Frozen
/// parameters stay as they are.
class AdamW {
 public:
  /// `parameters` is only looked at for its shapes; `threads` must outlive the result. `own`: one
  /// for each of them, or none.
  AdamW(const Parameters& parameters, const AdamWOptions& options, Threads& threads,
        std::vector<ParameterUpdate> own = {});
  /// One that updates the elements of `shard` alone, and has moments for them alone.
  AdamW(const Parameters& parameters, const AdamWOptions& options, Threads& threads,
        std::vector<ParameterUpdate> own, Shard shard);

  /// Changes the masters of those parameters; leaves their gradients. Gradients must be finite.
  void update(Parameters& parameters, double rate, double gradient_scale = 1);

  /// The state, for checkpoints: the number of updates so far, and the moments in the order of
  /// Parameters::all(), which may be written to when a state is restored. Of a shard that is not
  /// whole there are none to be viewed.
  int64_t updates() const { return updates_; }
  void set_updates(int64_t updates) { updates_ = updates; }
  std::span<const AdamMoments> moments() const { return moments_; }

  /// AdamMoments of all elements: the shard's, and 0 elsewhere.
  AllMoments all_moments(const Parameters& parameters) const;
  /// Takes over those of the shard.
  void take(const AllMoments& all);

  int64_t bytes() const { return static_cast<int64_t>(memory_.bytes()); }

 private:
  AdamWOptions options_;
  std::vector<ParameterUpdate> own_;
  Threads& threads_;
  Shard shard_;
  int64_t updates_ = 0;
  Buffer memory_;  ///< first moments of the shard's elements, then second ones
  std::vector<AdamMoments> moments_;
};

}  // namespace tidar
