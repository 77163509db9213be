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

/// The L2 norm of all gradients together. Not finite if one of them is not. The same for every
/// number of threads, to the bit.
double gradient_norm(const Parameters& parameters, Threads& threads);

/// What gradients of this norm are multiplied with so that it does not exceed `limit`; a limit of 0
/// means none.
double clip_scale(double norm, double limit);

/// One update: with t counted from 1,
///   g = scale * gradient    m = beta1 m + (1 - beta1) g    v = beta2 v + (1 - beta2) g^2
///   w -= rate * (m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon) + weight_decay * w)
/// in float32, element by element: results do not depend on the number of threads.
class AdamW {
 public:
  /// Running means of one parameter's gradients and of their squares: f32, shaped as it.
  struct Moments {
    Matrix first, second;
  };

  /// `parameters` is only looked at for its shapes; `threads` must outlive the result.
  AdamW(const Parameters& parameters, const AdamWOptions& options, Threads& threads);

  /// Changes the masters of those parameters; leaves their gradients. Gradients must be finite.
  void update(Parameters& parameters, double rate, double gradient_scale = 1);

  /// The state, for checkpoints: the number of updates so far, and the moments in the order of
  /// Parameters::all(), which may be written to when a state is restored.
  int64_t updates() const { return updates_; }
  void set_updates(int64_t updates) { updates_ = updates; }
  std::span<const Moments> moments() const { return moments_; }

  int64_t bytes() const { return static_cast<int64_t>(memory_.bytes()); }

 private:
  AdamWOptions options_;
  Threads& threads_;
  int64_t updates_ = 0;
  Buffer memory_;
  std::vector<Moments> moments_;
};

}  // namespace tidar
