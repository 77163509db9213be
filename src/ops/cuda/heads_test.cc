// The kernel that works on heads, and what decides that verbs wait for it.

#include <gtest/gtest.h>

#include <vector>

#include "base/rng.h"
#include "ops/cuda/host/queue.h"
#include "ops/cuda/kernels.h"
#include "ops/cuda/pending_heads.h"

namespace tidar::cuda {
namespace {

// Rows of q, k and v side by side, a store, and all that is needed to fill it.
struct Layer {
  Layer(Rng& rng, int heads_, int kv_heads_, int size_, Element type)
      : heads(heads_), kv_heads(kv_heads_), size(size_), width((heads + 2 * kv_heads) * size) {
    for (int i = 0; i < kRows * width; ++i) plane.push_back(rng.normal());
    for (auto* const weights : {&q_norm, &k_norm})
      for (int e = 0; e < size; ++e) weights->push_back(rng.normal());
    for (int i = 0; i < kPositions * size / 2; ++i) {
      cosines.push_back(rng.normal());
      sines.push_back(rng.normal());
    }
    for (int r = 0; r < kRows; ++r) {
      positions.push_back(rng.below(kPositions));
      slots.push_back(r * 70 % (2 * kPageKeys));
    }
    keys = values = std::vector<float>(
        static_cast<size_t>(int64_t{kLayers} * 2 * kPageKeys * kv_heads * size), 0.0f);
    kv = {.keys = keys.data(),
          .values = values.data(),
          .type = type,
          .layers = kLayers,
          .kv_heads = kv_heads,
          .head_size = size,
          .pages = 2};
  }
  View part(int first, int count) {
    return {plane.data() + first * size, Element::f32, kRows, int64_t{count} * size, width};
  }
  View q() { return part(0, heads); }
  View k() { return part(heads, kv_heads); }
  View v() { return part(heads + kv_heads, kv_heads); }
  Angles angles() const { return {cosines.data(), sines.data(), size / 2}; }

  static constexpr int kRows = 3, kPositions = 5, kLayers = 2;
  int heads, kv_heads, size, width;
  std::vector<float> plane, q_norm, k_norm, cosines, sines;
  std::vector<int32_t> positions, slots;
  std::vector<float> keys, values;  // half of it is used where elements are bf16
  KvView kv;
};

constexpr float kEps = 1e-5f;

void expect_same(uint64_t seed, int heads, int kv_heads, int size, Element type, bool has_norms,
                 bool has_queries) {
  Rng rng(seed);
  Layer one(rng, heads, kv_heads, size, type);
  Layer other = one;
  other.kv.keys = other.keys.data();
  other.kv.values = other.values.data();
  host::Queue queue(seed);
  const Stream stream{&queue};
  if (has_norms) {
    if (has_queries) rms_norm(stream, one.q(), one.q_norm.data(), kEps, heads, one.q());
    rms_norm(stream, one.k(), one.k_norm.data(), kEps, kv_heads, one.k());
  }
  if (has_queries) rope(stream, one.q(), heads, one.positions.data(), one.angles());
  rope(stream, one.k(), kv_heads, one.positions.data(), one.angles());
  store_kv(stream, one.k(), one.v(), one.slots.data(), one.kv, 1);

  const auto part = [&](const View& x, int count, const std::vector<float>& norm) {
    return HeadsPart{x, count, has_norms ? norm.data() : nullptr, kEps, true, other.angles()};
  };
  HeadsCall call;
  if (has_queries) call.q = part(other.q(), heads, other.q_norm);
  call.k = part(other.k(), kv_heads, other.k_norm);
  call.v = other.v();
  call.positions = other.positions.data();
  call.slots = other.slots.data();
  call.kv = other.kv;
  call.layer = 1;
  finish_heads(stream, call);
  queue.catch_up();
  EXPECT_EQ(one.plane, other.plane);
  EXPECT_EQ(one.keys, other.keys);
  EXPECT_EQ(one.values, other.values);
}

TEST(FinishHeads, IsWhatTheVerbsDoOneByOne) {
  uint64_t seed = 0;
  for (const int size : {2, 18, 64, 96, 128})
    for (const bool has_norms : {false, true}) {
      ++seed;
      expect_same(seed, 5, 3, size, seed % 3 == 0 ? Element::f32 : Element::bf16, has_norms,
                  seed % 4 != 0);
    }
}

View view_of(float* data, int64_t heads) { return {data, Element::f32, 2, heads * 8, 100}; }

TEST(PendingHeads, WaitForTheStoreOfTheirKeys) {
  float numbers[200] = {}, norm[8] = {};
  const int32_t positions[2] = {}, others[2] = {};
  const View q = view_of(numbers, 4), k = view_of(numbers + 32, 2);
  PendingHeads pending;
  EXPECT_TRUE(pending.take_norm(q, 4, norm, kEps));
  EXPECT_FALSE(pending.take_norm(q, 4, norm, kEps)) << "a second one";
  EXPECT_TRUE(pending.take_norm(k, 2, norm, kEps));
  EXPECT_TRUE(pending.take_rotation(q, 4, positions, {}));
  EXPECT_FALSE(pending.take_rotation(q, 4, positions, {})) << "a second one";
  EXPECT_FALSE(pending.take_norm(q, 4, norm, kEps)) << "behind the rotation";
  EXPECT_TRUE(pending.take_rotation(k, 2, positions, {}));
  EXPECT_FALSE(pending.take_rotation(view_of(numbers + 48, 2), 2, positions, {})) << "a third";
  EXPECT_FALSE(pending.take_store(q, positions)) << "q are no keys";
  EXPECT_FALSE(pending.take_store(k, others)) << "of another pass";
  const auto call = pending.take_store(k, positions);
  ASSERT_TRUE(call);
  EXPECT_EQ(call->q.heads, 4);
  EXPECT_EQ(call->k.heads, 2);
  EXPECT_TRUE(call->q.rotates && call->k.rotates && call->q.norm == norm && call->k.norm == norm);
  EXPECT_FALSE(pending.take_store(k, positions)) << "nothing waits any more";
}

TEST(PendingHeads, GiveBackWhatIsCarriedOutWithoutAStore) {
  float numbers[200] = {}, norm[8] = {};
  const int32_t positions[2] = {};
  const View q = view_of(numbers, 4), k = view_of(numbers + 32, 2);
  PendingHeads pending;
  EXPECT_TRUE(pending.take_norm(q, 4, norm, kEps));
  EXPECT_TRUE(pending.take_rotation(k, 2, positions, {}));
  EXPECT_FALSE(pending.take_norm(k, 2, norm, kEps)) << "behind the rotation";
  const auto verbs = pending.take_all();
  ASSERT_EQ(verbs.size(), 2u);
  EXPECT_TRUE(verbs[0].part.norm == norm && !verbs[0].part.rotates);
  EXPECT_TRUE(verbs[1].part.norm == nullptr && verbs[1].part.rotates);
  EXPECT_EQ(verbs[1].positions, positions);
  EXPECT_TRUE(pending.take_all().empty());
}

}  // namespace
}  // namespace tidar::cuda
