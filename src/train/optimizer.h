#pragma once
// AdamW: how gradients become changes of weights (Loshchilov and Hutter, arXiv 1711.05101).

#include <cstdint>
#include <optional>
#include <vector>

#include "base/threads.h"
#include "net/parameters.h"
#include "train/dynamic_codes.h"
#include "train/moments.h"

namespace tidar {

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0.1;  ///< of matrices; vectors (norms, biases) do not decay
  MomentFormat moments = MomentFormat::f32;
};

/// How the update of one parameter differs from the others'.
struct ParameterUpdate {
  double rate = 1;     ///< what its learning rate is multiplied with
  bool decays = true;  ///< vectors never do
};

/// The sum of the squares of all gradients of a shard. Not finite if one of them is not. The same
/// for every number of threads, to the bit.
double gradient_squares(const Parameters& parameters, const Shard& shard, Threads& threads);

/// The L2 norm of all gradients together; likewise.
double gradient_norm(const Parameters& parameters, Threads& threads);

/// What gradients of this norm are multiplied with so that it does not exceed `limit`; a limit of 0
/// means none.
double clip_scale(double norm, double limit);

/// One update: with t counted from 1,
///   g = scale * gradient    m = beta1 m + (1 - beta1) g    v = beta2 v + (1 - beta2) g^2
///   w -= rate * (m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon) + weight_decay * w)
/// in float32, element by element: results do not depend on the number of threads. Frozen
/// parameters stay as they are. Where moments are kept in 8 bits, m and v are what was kept, this
/// update is made with the new ones as they are, and then they are rounded.
class AdamW {
 public:
  /// `parameters` is only looked at for its shapes; `threads` must outlive the result. `own`: one
  /// for each of them, or none. Updates the elements of `shard` alone, and has moments for them
  /// alone; without one all.
  AdamW(const Parameters& parameters, const AdamWOptions& options, Threads& threads,
        std::vector<ParameterUpdate> own = {}, std::optional<Shard> shard = {});

  /// Changes the masters of those parameters; leaves their gradients. Gradients must be finite.
  void update(Parameters& parameters, double rate, double gradient_scale = 1);

  /// The state, for checkpoints: the number of updates so far, and the moments.
  int64_t updates() const { return updates_; }
  void set_updates(int64_t updates) { updates_ = updates; }
  const Moments& moments() const { return moments_; }
  Moments& moments() { return moments_; }

 private:
  AdamWOptions options_;
  std::vector<ParameterUpdate> own_;
  Threads& threads_;
  Shard shard_;
  int64_t updates_ = 0;
  Moments moments_;
  MomentCodes codes_;
};

}  // namespace tidar
