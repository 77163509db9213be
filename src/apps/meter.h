#pragma once
// An evaluator around the network that keeps accounts of the memory that passes read. Beside the
// seconds that they took, that says how near decoding comes to what the machine's memory delivers.

#include <functional>

#include "net/network.h"
#include "plan/evaluator.h"

namespace tidar {

/// Answers as the network does. `network` must outlive it. Not thread-safe.
class Meter final : public Evaluator {
 public:
  /// `key_bytes`: bytes of keys and values that one cached key stands for.
  Meter(Network& network, int64_t key_bytes);

  /// Called with every pass before it is carried out, if set; it may set it anew.
  std::function<void(const Pass&)> on_pass;

  /// Bytes of weights, keys and values that the last pass, and what was asked after it, had to read
  /// at least once each.
  int64_t pass_bytes() const { return pass_bytes_; }

  const EvaluatorLimits& limits() const override { return network_.limits(); }
  void evaluate(const Pass& pass, std::span<Answer> answers) override;
  void answer(const Asks& asks, std::span<Answer> answers) override;

 private:
  Network& network_;
  int64_t key_bytes_;
  int64_t pass_bytes_ = 0;
};

}  // namespace tidar
