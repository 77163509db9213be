#include "net/label_chunks.h"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <unordered_map>

namespace tidar {

namespace {

bool has_target(const Label& label) { return label.target.row >= 0; }

// A chunk under way.
class Gathering {
 public:
  bool empty() const { return chunk_.labels.empty(); }

  /// Rows that the chunk would have with this label.
  int64_t rows_with(const Label& label) const {
    const bool is_new =
        has_target(label) && !index_of_.contains(label.target.row) &&
        std::find(targets_.begin(), targets_.end(), label.target.row) == targets_.end();
    return std::ssize(chunk_.labels) + std::ssize(targets_) + 1 + (is_new ? 1 : 0);
  }

  void add(const Label& label, size_t number) {
    if (rows_with(label) > std::ssize(chunk_.labels) + std::ssize(targets_) + 1) {
      targets_.push_back(label.target.row);
    }
    if (!has_target(label)) index_of_[label.row] = static_cast<int32_t>(chunk_.rows.size());
    chunk_.rows.push_back(label.row);
    chunk_.labels.push_back(label);
    chunk_.numbers.push_back(number);
  }

  LabelChunk finish() {
    for (const int32_t target : targets_) {
      index_of_[target] = static_cast<int32_t>(chunk_.rows.size());
      chunk_.rows.push_back(target);
    }
    for (Label& label : chunk_.labels) {
      if (has_target(label)) label.target.row = index_of_.at(label.target.row);
    }
    LabelChunk done = std::move(chunk_);
    *this = {};
    return done;
  }

 private:
  LabelChunk chunk_;
  std::vector<int32_t> targets_;                   // without a label in the chunk
  std::unordered_map<int32_t, int32_t> index_of_;  // in rows, of rows of the pass without a target
};

}  // namespace

std::vector<LabelChunk> chunks_of(std::span<const Label> labels, int64_t most) {
  std::vector<size_t> order(labels.size());
  std::iota(order.begin(), order.end(), size_t{0});
  if (std::any_of(labels.begin(), labels.end(), has_target)) {
    most = std::max<int64_t>(most, 2);
    const auto key = [&](size_t i) {
      const Label& label = labels[i];
      return std::tuple(has_target(label) ? label.target.row : label.row, has_target(label));
    };
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return key(a) < key(b); });
  }
  std::vector<LabelChunk> chunks;
  Gathering chunk;
  for (const size_t number : order) {
    if (!chunk.empty() && chunk.rows_with(labels[number]) > most) chunks.push_back(chunk.finish());
    chunk.add(labels[number], number);
  }
  if (!chunk.empty()) chunks.push_back(chunk.finish());
  return chunks;
}

}  // namespace tidar
