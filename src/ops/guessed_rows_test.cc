// Rows that stand in for rows of another text, on every backend: bits are those of that text, read
// causally. Exactness of TiDAR's guessed groups rests on it.

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <vector>

#include "base/rng.h"
#include "ops/backends_testing.h"
#include "ops/wrap/grid.h"
#include "plan/layouts.h"

namespace tidar {
namespace {

constexpr int32_t kMask = 1;
constexpr int kPages = 12, kMaxRows = 300, kLayers = 2;

using Numbers = std::vector<double>;

struct Heads {
  int heads = 1, kv_heads = 1, head_size = 16;
  DType kv = DType::f32;
};

/// Query, key and value of a row in one layer.
struct RowNumbers {
  Numbers q, k, v;
};

/// A sequence of its own in a store, and the verbs of attention over it.
class Reader {
 public:
  Reader(Ops& ops, const Heads& heads)
      : ops_(ops),
        heads_(heads),
        kv_(ops.make_kv({.layers = kLayers,
                         .kv_heads = heads.kv_heads,
                         .head_size = heads.head_size,
                         .pages = kPages,
                         .rows = kMaxRows,
                         .dtype = heads.kv})) {
    // Pages in no order.
    std::vector<PageId> taken;
    for (int i = 0; i < kPages; ++i) taken.push_back(pool_.take());
    for (const int page : {3, 9, 0, 11, 5, 7, 2, 10, 4, 8, 1, 6}) pool_.give_back(page);
    TIDAR_CHECK(cache.reserve(kPages * kPageSlots));
  }

  /// Carries out a pass whose row r has the numbers rows[r] in every layer, and returns what each
  /// row gets in the last.
  std::vector<Numbers> read(const Pass& pass, const std::vector<RowNumbers>& rows) {
    pass.check();
    if (!pass.moves.empty()) ops_.move_kv(pass.moves, *kv_);
    ops_.prepare(pass, kv_.get(), prepared_);
    const int64_t q_cols = int64_t{heads_.heads} * heads_.head_size;
    const int64_t kv_cols = int64_t{heads_.kv_heads} * heads_.head_size;
    const auto count = static_cast<int64_t>(rows.size());
    Plane q(ops_, count, q_cols), k(ops_, count, kv_cols), v(ops_, count, kv_cols);
    Plane out(ops_, count, q_cols);
    for (size_t r = 0; r < rows.size(); ++r) {
      q.put(r, rows[r].q);
      k.put(r, rows[r].k);
      v.put(r, rows[r].v);
    }
    for (Plane* plane : {&q, &k, &v}) plane->load();
    for (int layer = 0; layer < kLayers; ++layer) {
      ops_.store_kv(k.view, v.view, *prepared_, *kv_, layer);
      ops_.attend(q.view, *prepared_, *kv_, layer, out.view);
    }
    return out.rows();
  }

  /// Reads a text causally and commits its keys.
  std::vector<Numbers> read_text(const std::vector<RowNumbers>& rows) {
    if (rows.empty()) return {};
    Pass pass;
    pass.begin_sequence(cache);
    add_causal(pass, std::vector<int32_t>(rows.size(), 0), Keep::page);
    auto results = read(pass, rows);
    cache.commit(static_cast<int>(rows.size()));
    return results;
  }

 private:
  struct Plane {
    Plane(Ops& own, int64_t rows, int64_t cols)
        : ops(own),
          host(own.activation(), rows, cols),
          memory(own.allocate(host->bytes())),
          view(memory->data, own.activation(), rows, cols) {}
    void put(size_t row, const Numbers& numbers) {
      for (size_t c = 0; c < numbers.size(); ++c)
        set_element(host, static_cast<int64_t>(row), static_cast<int64_t>(c), numbers[c]);
    }
    void load() { ops.write(host, view); }
    std::vector<Numbers> rows() {
      ops.read(view, host);
      std::vector<Numbers> all;
      for (int64_t r = 0; r < view.rows; ++r)
        for (int64_t c = (all.emplace_back(), 0); c < view.cols; ++c)
          all.back().push_back(element(host, r, c));
      return all;
    }
    Ops& ops;
    Grid host;
    std::unique_ptr<Memory> memory;
    Matrix view;
  };

  Ops& ops_;
  Heads heads_;
  PagePool pool_{kPages};

 public:
  SequenceCache cache{pool_};

 private:
  std::unique_ptr<KvStore> kv_;
  std::unique_ptr<PreparedPass> prepared_;
};

class GuessedRows : public testing::TestWithParam<TestedBackend> {
 protected:
  Rng rng_{20261124};

  Heads random_heads(const Ops& ops) {
    const int kv_heads = 1 + rng_.below(2);
    constexpr DType kTypes[] = {DType::f32, DType::bf16, DType::i8};
    const DType kv = kTypes[rng_.below(3)];
    return {.heads = kv_heads * (1 + rng_.below(3)),
            .kv_heads = kv_heads,
            .head_size = 16 + 2 * rng_.below(30),
            .kv = ops.supports_kv(kv) ? kv : DType::f32};
  }

  std::vector<RowNumbers> random_rows(const Heads& heads, int count) {
    const auto numbers = [&](int vectors) {
      Numbers row(static_cast<size_t>(vectors * heads.head_size));
      for (double& number : row) number = rng_.normal();
      return row;
    };
    std::vector<RowNumbers> rows;
    for (int i = 0; i < count; ++i)
      rows.push_back({numbers(heads.heads), numbers(heads.kv_heads), numbers(heads.kv_heads)});
    return rows;
  }
};

std::vector<RowNumbers> part(const std::vector<RowNumbers>& rows, int from, int count) {
  return {rows.begin() + from, rows.begin() + from + count};
}

// A guessed token gives the bits of the text that it ends; and once it is accepted and its key is
// moved to its place, so does what comes after it.
TEST_P(GuessedRows, AreThoseOfTheirTextReadCausally) {
  BothSides sides(GetParam());
  for (Ops* const ops : sides.both()) {
    for (int round = 0; round < 30; ++round) {
      SCOPED_TRACE(testing::Message() << ops->name() << ", round " << round);
      const Heads heads = random_heads(*ops);
      const int length = rng_.below(3) == 0 ? rng_.below(20) : rng_.below(220);
      const int drafts = 2 + rng_.below(20);
      std::vector<GuessedGroup> guessed;
      for (int i = 1 + rng_.below(3); i > 0; --i)
        guessed.push_back({.accepted = 1 + rng_.below(drafts - 1), .masks = rng_.below(18)});
      std::vector<MaskGroup> groups = {{.accepted = 1 + rng_.below(drafts), .masks = 5}};

      Reader reader(*ops, heads);
      const auto text = random_rows(heads, length), next = random_rows(heads, 3);
      reader.read_text(text);
      Pass pass;
      pass.begin_sequence(reader.cache);
      add_tidar_step(pass, std::vector<int32_t>(static_cast<size_t>(drafts), 0), kMask, groups,
                     guessed);
      const auto rows = random_rows(heads, pass.rows());
      const auto results = reader.read(pass, rows);
      const auto chosen = static_cast<size_t>(rng_.below(static_cast<int>(guessed.size())));
      for (size_t i = 0; i < guessed.size(); ++i) {
        const int accepted = guessed[i].accepted;
        const auto row = static_cast<size_t>(guessed[i].token_row);
        Reader plain(*ops, heads);
        plain.read_text(text);
        std::vector<RowNumbers> behind = part(rows, 0, accepted);
        behind.push_back(rows[row]);
        EXPECT_EQ(plain.read_text(behind).back(), results[row]);
        if (i != chosen) continue;
        reader.cache.commit(accepted);
        reader.cache.commit_aside(length + guessed[i].token_row);
        ASSERT_TRUE(reader.cache.pending());
        EXPECT_EQ(plain.read_text(next), reader.read_text(next));
        EXPECT_FALSE(reader.cache.pending());
        i = guessed.size();  // the others' keys may be written over now
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, GuessedRows, testing::ValuesIn(tested_backends()),
                         name_of_backend);

TEST(MoveKvDeathTest, StopsAtMovesThatNobodyCanCarryOut) {
  const auto ops = make_ref_ops(DType::f32);
  const auto kv = ops->make_kv({.layers = 1, .kv_heads = 1, .head_size = 16, .pages = 2});
  const auto move = [&](const std::vector<SlotMove>& moves) { ops->move_kv(moves, *kv); };
  move({{5, 2 * kPageSlots - 1}, {5, 0}});
  EXPECT_DEATH(move({{2 * kPageSlots, 0}}), "index < count");
  EXPECT_DEATH(move({{0, -1}}), "index >= 0");
  EXPECT_DEATH(move({{1, 0}, {2, 0}}), "adjacent_find");
  EXPECT_DEATH(move({{1, 0}, {0, 2}}), "binary_search");
}

}  // namespace
}  // namespace tidar
