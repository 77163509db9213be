#pragma once
// The last norm, the head, and the answers to asks.

#include <memory>
#include <span>
#include <vector>

#include "model/config.h"
#include "net/planes.h"
#include "plan/ask.h"

namespace tidar {

/// Computes logits only of rows that are asked, at most kRows of them at a time: a whole pass of
/// logits over a vocabulary of 150,000 would be larger than the model.
class Head {
 public:
  static constexpr int kRows = 64;

  /// `weight` [V, D] is the head's own or the tied embedding, and must outlive the head.
  Head(const ModelConfig& config, Ops& ops, const PackedWeight& weight,
       std::unique_ptr<PackedVector> final_norm, int max_rows);

  /// Answers `asks` about rows of x, the residual stream [R, D] after the last block.
  void answer(Matrix x, const Asks& asks, std::span<Answer> answers);

  int64_t bytes() const { return planes_.bytes(); }
  /// Bytes of weights that answering reads.
  int64_t weight_bytes() const { return weight_.bytes + final_norm_->bytes; }

 private:
  void answer_chunk(Matrix x, std::span<const Ask> asks, std::span<Answer> answers);
  // The place of a row among those of the chunk; adds it if it is not there.
  int32_t place(int32_t row);

  Ops& ops_;
  const PackedWeight& weight_;
  std::unique_ptr<PackedVector> final_norm_;
  double norm_eps_;
  int capacity_;  // rows of a chunk
  Matrix gathered_, normed_, logits_;
  Planes planes_;
  // Of the chunk under way; kept for their memory.
  std::vector<int32_t> rows_;
  Asks asks_;  // of rows of logits_
};

}  // namespace tidar
