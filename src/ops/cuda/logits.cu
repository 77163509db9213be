// What rows of logits say to those that choose the most probable token, or score a given one: a
// vocabulary's numbers are read once, and a few numbers leave the device.
//
// In two kernels: of parts of a row, and of the row. Sums are kept in double, as the reference's.

#include "ops/cuda/gpu.h"
#include "ops/cuda/warp.h"

namespace tidar::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kLanes;
constexpr int kEach = 16;  // logits of a thread
constexpr int64_t kPart = int64_t{kThreads} * kEach;

__device__ LogitFacts of_nothing() {
  LogitFacts facts = {};
  facts.largest = -INFINITY;
  facts.first = facts.second = {-INFINITY, -INFINITY, -1};
  return facts;
}

// Larger logit first, lower id first on ties; -1 stands behind all.
__device__ bool stands_before(const BestLogit& a, const BestLogit& b) {
  if (a.token < 0 || b.token < 0) return b.token < 0 && a.token >= 0;
  return a.changed != b.changed ? a.changed > b.changed : a.token < b.token;
}

__device__ void insert(LogitFacts& facts, const BestLogit& other) {
  if (stands_before(other, facts.first)) {
    facts.second = facts.first;
    facts.first = other;
  } else if (stands_before(other, facts.second)) {
    facts.second = other;
  }
}

// Moves sums to another largest logit, which is not smaller.
__device__ void rescale(LogitFacts& facts, float largest) {
  if (facts.largest == largest || facts.largest == -INFINITY) return;
  const double shift = static_cast<double>(facts.largest) - static_cast<double>(largest);
  const double scale = exp(shift);
  facts.weighted = scale * (facts.weighted + shift * facts.sum);
  facts.sum *= scale;
}

__device__ LogitFacts both(LogitFacts a, LogitFacts b) {
  const float largest = a.largest > b.largest ? a.largest : b.largest;
  rescale(a, largest);
  rescale(b, largest);
  a.largest = largest;
  a.sum += b.sum;
  a.weighted += b.weighted;
  a.is_odd |= b.is_odd;
  a.choice_is_odd |= b.choice_is_odd;
  insert(a, b.first);
  insert(a, b.second);
  return a;
}

__device__ BestLogit from_lane(BestLogit best, int bit) {
  return {__shfl_xor_sync(kAllLanes, best.changed, bit),
          __shfl_xor_sync(kAllLanes, best.logit, bit), __shfl_xor_sync(kAllLanes, best.token, bit)};
}

// Over the lanes of a warp, in every lane.
__device__ LogitFacts of_warp(LogitFacts facts) {
  for (int bit = kLanes / 2; bit > 0; bit /= 2) {
    LogitFacts other = {};
    other.largest = __shfl_xor_sync(kAllLanes, facts.largest, bit);
    other.sum = __shfl_xor_sync(kAllLanes, facts.sum, bit);
    other.weighted = __shfl_xor_sync(kAllLanes, facts.weighted, bit);
    other.is_odd = __shfl_xor_sync(kAllLanes, facts.is_odd, bit);
    other.choice_is_odd = __shfl_xor_sync(kAllLanes, facts.choice_is_odd, bit);
    other.first = from_lane(facts.first, bit);
    other.second = from_lane(facts.second, bit);
    facts = both(facts, other);
  }
  return facts;
}

// The mixed logit of a question; operations as in the reference.
__device__ float mixed(const View& logits, const LogitQuestion& question, int64_t token) {
  const float own = logits.row<float>(question.row)[token];
  if (question.other_row < 0) return own;
  const float other = logits.row<float>(question.other_row)[token];
  return question.trust * own + (1.0f - question.trust) * other;
}

__device__ float changed(float logit, const LogitQuestion& question, const LogitChange* changes,
                         int64_t token) {
  for (int i = 0; i < question.changes; ++i) {
    const LogitChange& change = changes[question.first_change + i];
    if (change.token == token)
      return (logit > 0 ? logit / change.scale : logit * change.scale) + change.add;
  }
  return logit;
}

// NaN or +infinity
__device__ bool is_odd(float logit) { return !(logit <= FLT_MAX); }

struct FactsShared {
  Array<LogitFacts, kWarps> of_warps;
};

// Block (part, question).
__global__ void __launch_bounds__(kThreads)
    part_kernel(View logits, const LogitQuestion* questions, const LogitChange* changes,
                LogitFacts* parts) {
  TIDAR_SHARED(FactsShared, shared);
  let_next_begin();
  wait_for_earlier();
  const LogitQuestion question = questions[blockIdx.y];
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kPart;
  LogitFacts facts = of_nothing();
  float values[kEach];
  TIDAR_UNROLL
  for (int i = 0; i < kEach; ++i) {
    const int64_t token = first + i * kThreads + threadIdx.x;
    values[i] = token < logits.cols ? mixed(logits, question, token) : -INFINITY;
    if (token >= logits.cols) continue;
    const float after = changed(values[i], question, changes, token);
    if (is_odd(values[i])) facts.is_odd = 1;
    if (is_odd(after)) facts.choice_is_odd = 1;
    insert(facts, {after, values[i], static_cast<int32_t>(token)});
    facts.largest = values[i] > facts.largest ? values[i] : facts.largest;
  }
  if (facts.largest > -INFINITY) {
    TIDAR_UNROLL
    for (int i = 0; i < kEach; ++i) {
      if (!(values[i] > -INFINITY)) continue;
      const float below = values[i] - facts.largest;
      const auto term = static_cast<double>(expf(below));
      facts.sum += term;
      facts.weighted += term * static_cast<double>(below);
    }
  }
  facts = of_warp(facts);
  if (lane_index() == 0) shared.of_warps[warp_index()] = facts;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int warp = 1; warp < kWarps; ++warp) facts = both(facts, shared.of_warps[warp]);
  parts[static_cast<int64_t>(blockIdx.y) * gridDim.x + blockIdx.x] = facts;
}

// Block (question), a warp: lanes take parts lane, lane + 32, …
__global__ void __launch_bounds__(kLanes)
    row_kernel(View logits, const LogitQuestion* questions, const LogitFacts* parts, int count,
               LogitFacts* rows) {
  let_next_begin();
  wait_for_earlier();
  LogitFacts facts = of_nothing();
  for (int i = lane_index(); i < count; i += kLanes)
    facts = both(facts, parts[static_cast<int64_t>(blockIdx.x) * count + i]);
  facts = of_warp(facts);
  if (lane_index() != 0) return;
  const LogitQuestion question = questions[blockIdx.x];
  facts.scored = question.token < 0 ? 0.0f : mixed(logits, question, question.token);
  rows[blockIdx.x] = facts;
}

}  // namespace

int64_t logit_parts(int64_t vocabulary) { return blocks_for(vocabulary, kPart); }

void find_facts(Stream stream, const View& logits, const LogitQuestion* questions, int64_t count,
                const LogitChange* changes, LogitFacts* parts, LogitFacts* rows) {
  if (count == 0) return;
  const int64_t part_count = logit_parts(logits.cols);
  launch(stream, {.x = part_count, .y = count, .threads = kThreads}, part_kernel, logits, questions,
         changes, parts);
  launch(stream, {.x = count, .threads = kLanes}, row_kernel, logits, questions, parts,
         static_cast<int>(part_count), rows);
}

}  // namespace tidar::cuda
