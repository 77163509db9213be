// Cases of store_kv, move_kv and attend: a sequence whose keys lie in pages anywhere in the store,
// and rows of the pass that others see, as a prefix and in blocks.

#include <algorithm>
#include <numeric>
#include <optional>

#include "ops/cases/inputs.h"

namespace tidar {
namespace {

class Attend final : public PreparedCase {
 public:
  // Rows of a pass are first those that others see, which are always there, then the case's own.
  Attend(Ops& ops, const AttendShape& shape, uint64_t seed)
      : ops_(ops),
        shape_(shape),
        rng_(seed),
        blocks_(random_blocks()),
        seen_rows_(blocks_.empty() ? 0 : blocks_.back().to - shape.keys),
        q_(ops, rng_, ops.activation(), rows(), int64_t{shape.heads} * shape.head_size),
        k_(ops, rng_, ops.activation(), rows(), kv_cols()),
        v_(ops, rng_, ops.activation(), rows(), kv_cols()),
        out_(ops, out_type(ops, seed), rows(), int64_t{shape.heads} * shape.head_size),
        pool_(pages_for(shape.keys) + kSparePages) {
    for (int r = 0; r < rows(); r += 4) q_.scale_row(r, 4);  // nearly all weight on a few keys
    for (const KeyRange& block : blocks_) {
      for (int key = block.from; key < block.to; ++key) sights_.push_back({{}, block});
    }
    for (int r = 0; r < shape.rows; ++r) {
      sights_.push_back(shape.pattern == SightPattern::causal ? causal_sight(r) : random_sight());
    }
    kv_ = ops.make_kv({.layers = kLayers,
                       .kv_heads = shape.kv_heads,
                       .head_size = shape.head_size,
                       .pages = pool_.capacity(),
                       .rows = std::max(rows(), kPageSlots),
                       .dtype = shape.kv});
    shuffle_pages();
    fill_pages();
    move_keys();
  }

  void load(std::span<const int32_t> rows) override {
    std::vector<int32_t> all(static_cast<size_t>(seen_rows_));
    std::iota(all.begin(), all.end(), 0);
    for (const int32_t row : rows) all.push_back(seen_rows_ + row);
    for (Input* input : {&q_, &k_, &v_}) input->load(all);
    Pass pass;
    pass.begin_sequence(*cache_);
    for (const int32_t row : all) {
      pass.add_row(0, 0, sights_[static_cast<size_t>(row)], Keep::scratch);
    }
    ops_.prepare(pass, kv_.get(), pass_);
    ops_.store_kv(k_.view(), v_.view(), *pass_, *kv_, kLayer);
  }

  void run() override { ops_.attend(q_.view(), *pass_, *kv_, kLayer, view()); }

  Rows results() const override {
    Rows all = rows_of(ops_, view());
    return {all.begin() + seen_rows_, all.end()};
  }

 private:
  static constexpr int kBlocks = 3;
  static constexpr int kLayers = 2, kLayer = 1;
  static constexpr int kSparePages = 1;

  // Where operands are narrower than activations, attend may write either.
  static DType out_type(const Ops& ops, uint64_t seed) {
    return seed % 2 == 0 ? ops.activation() : ops.operand(WeightFormat::bf16);
  }

  int rows() const { return seen_rows_ + shape_.rows; }
  int64_t kv_cols() const { return int64_t{shape_.kv_heads} * shape_.head_size; }

  // Keys of the pass, one block behind another.
  std::vector<KeyRange> random_blocks() {
    std::vector<KeyRange> blocks;
    if (shape_.pattern != SightPattern::random) return blocks;
    int next = shape_.keys;
    for (int b = 0; b < kBlocks; ++b) {
      const int size = rng_.below(3) == 0 ? 1 : 1 + rng_.below(33);
      blocks.push_back({next, next + size});
      next += size;
    }
    return blocks;
  }

  Sight causal_sight(int row) const {
    return {{0, std::max(1, shape_.keys - shape_.rows + row + 1)}, {}};
  }

  // A prefix of cached keys, or one that goes on into the first block; one of the other blocks, or
  // a block of cached keys, whole or in part.
  Sight random_sight() {
    Sight sight;
    const int kind = rng_.below(8);
    if (kind != 0) {  // else: no prefix
      sight.prefix.to = rng_.below((kind == 4 ? blocks_[0].to : shape_.keys) + 1);
      if (kind == 1) sight.prefix.to = sight.prefix.to / 16 * 16;
      if (kind == 2) sight.prefix.from = rng_.below(sight.prefix.to + 1);
    }
    if (kind == 3 && sight.prefix.to < shape_.keys) {
      sight.block = {sight.prefix.to + rng_.below(shape_.keys - sight.prefix.to), shape_.keys};
    } else if (sight.prefix.size() == 0 || rng_.below(2) == 0) {
      sight.block = blocks_[static_cast<size_t>(1 + rng_.below(kBlocks - 1))];
    }
    return sight;
  }

  // The page given back last is lent first.
  void shuffle_pages() {
    std::vector<PageId> pages;
    for (int i = 0; i < pool_.capacity(); ++i) pages.push_back(pool_.take());
    while (!pages.empty()) {
      const auto one = pages.begin() + rng_.below(static_cast<int>(pages.size()));
      pool_.give_back(*one);
      pages.erase(one);
    }
  }

  // Every slot of every page holds numbers of its own in both layers, so that a key too many shows.
  void fill_pages() {
    fill(cache_.emplace(pool_), shape_.keys);
    fill(spare_.emplace(pool_), kSparePages * kPageSlots);
  }

  // Some keys come from slots of the spare pages; no key twice.
  void move_keys() {
    std::vector<SlotMove> moves;
    for (int key = rng_.below(7); key < shape_.keys; key += 1 + rng_.below(20))
      moves.push_back({spare_->slot(rng_.below(kSparePages * kPageSlots)), cache_->slot(key)});
    ops_.move_kv(moves, *kv_);
  }

  // Commits `keys` keys, and writes the rest of their last page too.
  void fill(SequenceCache& cache, int keys) {
    const int slots = pages_for(keys) * kPageSlots;
    TIDAR_CHECK(cache.reserve(slots));
    std::vector<Input> numbers;  // keys and values of each layer
    for (int i = 0; i < 2 * kLayers; ++i) {
      numbers.emplace_back(ops_, rng_, ops_.activation(), slots, kv_cols());
    }
    std::unique_ptr<PreparedPass> prepared;
    for (int first = 0; first < slots; first += kPageSlots) {
      std::vector<int32_t> page(kPageSlots);
      std::iota(page.begin(), page.end(), first);
      for (Input& input : numbers) input.load(page);
      Pass pass;
      pass.begin_sequence(cache);
      for (const int32_t key : page) pass.add_row(0, 0, {{0, key + 1}, {}}, Keep::page);
      ops_.prepare(pass, kv_.get(), prepared);
      for (size_t layer = 0; layer < kLayers; ++layer) {
        ops_.store_kv(numbers[2 * layer].view(), numbers[2 * layer + 1].view(), *prepared, *kv_,
                      static_cast<int>(layer));
      }
      cache.commit(std::min(keys, first + kPageSlots) - first);
    }
  }

  Matrix view() const { return out_.first_rows(q_.view().rows); }

  Ops& ops_;
  AttendShape shape_;
  Rng rng_;
  std::vector<KeyRange> blocks_;  // in keys of the sequence
  int seen_rows_;
  Input q_, k_, v_;
  Slice out_;
  PagePool pool_;
  std::optional<SequenceCache> cache_, spare_;
  std::vector<Sight> sights_;
  std::unique_ptr<KvStore> kv_;
  std::unique_ptr<PreparedPass> pass_;
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
