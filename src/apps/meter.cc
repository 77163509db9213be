#include "apps/meter.h"

namespace tidar {

Meter::Meter(Network& network, int64_t key_bytes) : network_(network), key_bytes_(key_bytes) {}

void Meter::evaluate(const Pass& pass, std::span<Answer> answers) {
  if (on_pass) on_pass(pass);
  pass_bytes_ = network_.weight_bytes(!pass.asks.empty());
  for (const PassSequence& sequence : pass.sequences) pass_bytes_ += sequence.cached * key_bytes_;
  network_.evaluate(pass, answers);
}

void Meter::answer(const Asks& asks, std::span<Answer> answers) {
  if (!asks.empty()) pass_bytes_ += network_.weight_bytes(true) - network_.weight_bytes(false);
  network_.answer(asks, answers);
}

}  // namespace tidar
