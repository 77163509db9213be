#include "net/head.h"

#include <algorithm>

namespace tidar {

// A chunk must hold both rows of a mixed ask.
Head::Head(const ModelConfig& config, Ops& ops, const PackedWeight& weight,
           std::unique_ptr<PackedVector> final_norm, int max_rows)
    : ops_(ops),
      weight_(weight),
      final_norm_(std::move(final_norm)),
      norm_eps_(config.norm_eps),
      capacity_(std::clamp(max_rows, 2, kRows)),
      planes_(ops, capacity_,
              {{&gathered_, ops.activation(), config.hidden},
               {&normed_, ops.operand(weight.format), config.hidden},
               {&logits_, ops.activation(), config.vocabulary}}) {}

void Head::answer(Matrix x, const Asks& asks, std::span<Answer> answers) {
  TIDAR_CHECK_EQ(asks.size(), answers.size());
  for (size_t begin = 0; begin < asks.size();) {
    // An ask adds two rows at most.
    rows_.clear();
    asks_.begin_part_of(asks);
    size_t end = begin;
    for (; end < asks.size() && static_cast<int>(rows_.size()) + 2 <= capacity_; ++end) {
      place(asks[end].row);
      if (asks[end].other_row >= 0) place(asks[end].other_row);
    }
    answer_chunk(x, asks.list().subspan(begin, end - begin), answers.subspan(begin, end - begin));
    begin = end;
  }
}

int32_t Head::place(int32_t row) {
  const auto found = std::find(rows_.begin(), rows_.end(), row);
  if (found != rows_.end()) return static_cast<int32_t>(found - rows_.begin());
  rows_.push_back(row);
  return static_cast<int32_t>(rows_.size()) - 1;
}

void Head::answer_chunk(Matrix x, std::span<const Ask> asks, std::span<Answer> answers) {
  const auto rows = static_cast<int64_t>(rows_.size());
  const Matrix gathered = gathered_.row_range(0, rows);
  const Matrix normed = normed_.row_range(0, rows);
  const Matrix logits = logits_.row_range(0, rows);
  ops_.gather(x, rows_, gathered);
  ops_.rms_norm(gathered, *final_norm_, norm_eps_, 1, normed);
  ops_.linear(normed, weight_, nullptr, logits);

  for (Ask ask : asks) {
    ask.row = place(ask.row);
    if (ask.other_row >= 0) ask.other_row = place(ask.other_row);
    asks_.add(ask);
  }
  ops_.read_logits(logits, asks_, answers);
}

}  // namespace tidar
