#pragma once
// Times passes of different sizes over one network, in turn, so that a machine that slows down for
// a while slows all of them down alike.

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "apps/meter.h"
#include "apps/samples.h"
#include "apps/session.h"
#include "base/rng.h"

namespace tidar {

/// A pass to be timed.
struct PassSpec {
  std::string name;  ///< "prefill", "decode", or the number of rows
  int rows = 1;
  int asked = 1;         ///< rows whose next token is chosen: the last ones of the pass
  int cached = 0;        ///< keys that are there before
  bool commits = false;  ///< goes on from where the last one of its kind ended
  int drafts = 0;        ///< a TiDAR step of so many, with all groups; 0: rows are read causally
};

/// The step: K (K + 1) rows, of which the drafts are asked, and then one group of masks.
PassSpec tidar_step(int drafts, int cached);

/// What passes of one kind took.
struct PassTimes {
  PassSpec spec;
  Samples seconds;
  int64_t bytes = 0;  ///< of weights, keys and values that one pass reads
  double flops = 0;   ///< of its matrix products and attention

  double bytes_per_s() const { return static_cast<double>(bytes) / seconds.median(); }
  double flops_per_s() const { return flops / seconds.median(); }
};

class PassBench {
 public:
  /// The session, whose network must have been built with room for every pass, must outlive this.
  explicit PassBench(Session& session);

  /// Runs every spec once, untimed, and then in turn, until each has taken `seconds` and has at
  /// least three samples. Short passes come several at a turn, behind an untimed one: where a model
  /// lies in caches, a pass is as fast as it is behind its like, as while texts are decoded.
  /// `on_round` is called before each round with its number.
  std::vector<PassTimes> run(const std::vector<PassSpec>& specs, double seconds,
                             const std::function<void(int)>& on_round);

  /// A sequence with so many keys. Until the next call of this, of run() or of verbs().
  const SequenceCache& cached(int keys);

  /// Carries the pass out a few times and returns TimedOps::table() of that alone. The session's
  /// verbs must be timed.
  std::string verbs(const PassSpec& spec, const Roofs& roofs);

 private:
  /// One pass; returns its seconds.
  double time(const PassSpec& spec);
  void carry_out(const PassSpec& spec, std::span<const int32_t> tokens);
  void carry_out_step(const PassSpec& spec, std::span<const int32_t> tokens);
  /// Those of one turn.
  void add_samples(PassTimes& times);
  /// Of the last pass, which was this.
  double flops(const PassSpec& spec) const;
  std::vector<int32_t> random_tokens(int count);

  Session& session_;
  Meter meter_;
  PagePool pool_;
  SequenceCache cache_;
  Rng rng_{1};
  Pass pass_;
  Asks asks_;
  std::vector<Answer> answers_;
};

}  // namespace tidar
