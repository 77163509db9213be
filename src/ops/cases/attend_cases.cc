// Cases of store_kv and attend: a sequence whose panels lie anywhere in the store, and blocks of
// their own behind it.

#include <algorithm>
#include <numeric>

#include "ops/cases/inputs.h"

namespace tidar {
namespace {

int panels_for(int keys) { return (keys + kKeyPanel - 1) / kKeyPanel; }

// What a row of the case sees: keys of the sequence, and keys of one block (-1: none).
struct RowSight {
  int prefix_from = 0, prefix_to = 0;
  int block = -1;
  int block_from = 0, block_to = 0;
};

class Attend final : public PreparedCase {
 public:
  Attend(Ops& ops, const AttendShape& shape, uint64_t seed)
      : ops_(ops),
        shape_(shape),
        rng_(seed),
        q_(rng_, ops.activation(), shape.rows, int64_t{shape.heads} * shape.head_size),
        out_(out_type(ops, seed), shape.rows, int64_t{shape.heads} * shape.head_size) {
    for (int r = 0; r < shape.rows; r += 4) q_.scale_row(r, 4);  // nearly all weight on a few keys
    if (shape.pattern == SightPattern::random) {
      for (int b = 0; b < kBlocks; ++b) block_keys_.push_back(1 + rng_.below(2 * kKeyPanel + 1));
    }
    for (int r = 0; r < shape.rows; ++r) {
      sights_.push_back(shape.pattern == SightPattern::causal ? causal_sight(r) : random_sight());
    }
    place_panels();
    fill_store();
  }

  void load(std::span<const int32_t> rows) override {
    q_.load(rows);
    plan_ = {};
    const auto sights = pick(sights_, rows);
    for (size_t first = 0; first < sights.size();) {
      size_t end = first + 1;
      while (end < sights.size() && end - first < kTileRows &&
             sights[end].block == sights[first].block) {
        ++end;
      }
      add_tile(static_cast<int32_t>(first), std::span(sights).subspan(first, end - first));
      first = end;
    }
  }

  void run() override { ops_.attend(q_.view(), *kv_, kLayer, plan_, view()); }
  Rows results() const override { return rows_of(view()); }

 private:
  static constexpr int kBlocks = 3;
  static constexpr int kLayers = 2, kLayer = 1;
  static constexpr int kSparePanels = 2;

  // Where operands are narrower than activations, attend may write either.
  static DType out_type(const Ops& ops, uint64_t seed) {
    return seed % 2 == 0 ? ops.activation() : ops.operand(DType::bf16);
  }

  RowSight causal_sight(int row) const {
    return {0, std::max(1, shape_.keys - shape_.rows + row + 1), -1, 0, 0};
  }

  RowSight random_sight() {
    RowSight sight;
    const int kind = rng_.below(8);
    if (kind != 0) {  // else: no prefix
      sight.prefix_to = rng_.below(shape_.keys + 1);
      if (kind == 1) sight.prefix_to = sight.prefix_to / kKeyPanel * kKeyPanel;
      if (kind == 2) sight.prefix_from = rng_.below(sight.prefix_to + 1);
    }
    if (sight.prefix_from == sight.prefix_to || rng_.below(2) == 0) {
      sight.block = rng_.below(kBlocks);
      sight.block_to = block_keys_[static_cast<size_t>(sight.block)];
      if (kind == 3) sight.block_from = rng_.below(sight.block_to);
    }
    return sight;
  }

  // Shuffles the panels of the store: first those of the sequence, then those of each block.
  void place_panels() {
    int panels = panels_for(shape_.keys) + kSparePanels;
    for (const int keys : block_keys_) panels += panels_for(keys);
    panels_.resize(static_cast<size_t>(panels));
    std::iota(panels_.begin(), panels_.end(), 0);
    for (int i = panels - 1; i > 0; --i) {
      std::swap(panels_[static_cast<size_t>(i)], panels_[static_cast<size_t>(rng_.below(i + 1))]);
    }
  }

  // Every slot of both layers holds numbers, so that a key too many shows. A third of the panels,
  // any third, is scratch.
  void fill_store() {
    const int64_t panels = static_cast<int64_t>(panels_.size());
    const KvShape shape = {.layers = kLayers,
                           .kv_heads = shape_.kv_heads,
                           .head_size = shape_.head_size,
                           .slots = (panels - panels / 3) * kKeyPanel,
                           .scratch_slots = panels / 3 * kKeyPanel,
                           .dtype = shape_.kv};
    kv_ = ops_.make_kv(shape);
    const int64_t all = shape.slots + shape.scratch_slots;
    std::vector<int32_t> slots(static_cast<size_t>(all));
    std::iota(slots.begin(), slots.end(), 0);
    std::reverse(slots.begin(), slots.end());
    const int64_t cols = int64_t{shape_.kv_heads} * shape_.head_size;
    for (int layer = 0; layer < kLayers; ++layer) {
      Input k(rng_, ops_.activation(), all, cols);
      Input v(rng_, ops_.activation(), all, cols);
      k.load(slots);
      v.load(slots);
      ops_.store_kv(k.view(), v.view(), slots, *kv_, layer);
    }
  }

  void add_tile(int32_t first_row, std::span<const RowSight> rows) {
    AttendTile tile;
    tile.first_row = first_row;
    tile.rows = static_cast<int32_t>(rows.size());
    tile.first_panel = static_cast<int32_t>(plan_.panels.size());
    int prefix_keys = 0;
    for (const RowSight& row : rows) prefix_keys = std::max(prefix_keys, row.prefix_to);
    tile.prefix_panels = panels_for(prefix_keys);
    append_panels(0, tile.prefix_panels);
    if (rows[0].block >= 0) {
      int before = panels_for(shape_.keys);
      for (int b = 0; b < rows[0].block; ++b) {
        before += panels_for(block_keys_[static_cast<size_t>(b)]);
      }
      tile.block_panels = panels_for(block_keys_[static_cast<size_t>(rows[0].block)]);
      append_panels(before, tile.block_panels);
    }
    plan_.tiles.push_back(tile);
    const int32_t block_start = tile.prefix_panels * kKeyPanel;
    for (const RowSight& row : rows) {
      plan_.sights.push_back({row.prefix_from, row.prefix_to, block_start + row.block_from,
                              block_start + row.block_to});
    }
  }

  void append_panels(int first, int count) {
    plan_.panels.insert(plan_.panels.end(), panels_.begin() + first,
                        panels_.begin() + first + count);
  }

  Matrix view() const { return out_.first_rows(q_.view().rows); }

  Ops& ops_;
  AttendShape shape_;
  Rng rng_;
  Input q_;
  Slice out_;
  std::vector<int> block_keys_;
  std::vector<RowSight> sights_;
  std::vector<int32_t> panels_;
  std::unique_ptr<KvStore> kv_;
  AttendPlan plan_;
};

}  // namespace

Case make_case(const AttendShape& shape, uint64_t seed) {
  return case_of<Attend>(
      Verb::attend,
      fmt::format("attend R {} H {} G {} E {} S {} {}{}", shape.rows, shape.heads, shape.kv_heads,
                  shape.head_size, shape.keys, name_of(shape.kv),
                  shape.pattern == SightPattern::causal ? " causal" : ""),
      shape.rows, shape, seed);
}

}  // namespace tidar
