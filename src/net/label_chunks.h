#pragma once
// Which labels have their logits computed together: a whole vocabulary of them is large, so there
// is room for some rows at a time.

#include <cstdint>
#include <span>
#include <vector>

#include "plan/label.h"

namespace tidar {

struct LabelChunk {
  std::vector<int32_t> rows;    ///< of the pass: that of each label, then targets without one here
  std::vector<Label> labels;    ///< target.row: index in `rows`
  std::vector<size_t> numbers;  ///< of these labels
};

/// Chunks of at most `most` rows, and of two where a label has a target. Without targets, labels
/// keep their order. With them, those that are held against a row follow its own label, so that its
/// logits are computed once, if there is room: a target that has its label in another chunk is
/// computed again.
std::vector<LabelChunk> chunks_of(std::span<const Label> labels, int64_t most);

}  // namespace tidar
