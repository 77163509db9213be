// What is done to a row on its own: normalising, rotating, and reading logits.

#include <cmath>

#include "ops/cpu/kernels.h"
#include "ops/cpu/simd.h"

namespace tidar::cpu::TIDAR_ISA {

namespace {

// philox4x32-10 of base/rng.h for kLanes counters at once: the words of tokens [first_token,
// first_token + 4 kLanes), in their order. first_token is a multiple of 4.
void noise_words(uint64_t seed, uint64_t draw, int64_t first_token, Ints (&words)[4]) {
  const auto low = [](uint64_t v) { return all_ints(static_cast<int32_t>(v)); };
  const auto high = [](uint64_t v) { return all_ints(static_cast<int32_t>(v >> 32)); };
  words[0] = add(low(static_cast<uint64_t>(first_token) / 4), counter_order());
  words[1] = all_ints(0);
  words[2] = low(draw);
  words[3] = high(draw);
  Ints key0 = low(seed), key1 = high(seed);
  for (int round = 0; round < 10; ++round) {
    const Product p0 = multiply_wide(words[0], all_ints(static_cast<int32_t>(0xD2511F53u)));
    const Product p1 = multiply_wide(words[2], all_ints(static_cast<int32_t>(0xCD9E8D57u)));
    words[0] = exclusive_or(exclusive_or(p1.high, words[1]), key0);
    words[1] = p1.low;
    words[2] = exclusive_or(exclusive_or(p0.high, words[3]), key1);
    words[3] = p0.low;
    key0 = add(key0, all_ints(static_cast<int32_t>(0x9E3779B9u)));
    key1 = add(key1, all_ints(static_cast<int32_t>(0xBB67AE85u)));
  }
  interleave(words);
}

// log of E = -log(1 - v), v = (bits + 1/2) / 2^32. With u = 1 - v as rounded, log(u) v / (1 - u) is
// log(1 - v) to full precision (Higham, "Accuracy and Stability of Numerical Algorithms", 1.14.1).
Floats log_exponential(Ints bits) {
  const Floats v =
      min(mul(add(from_unsigned(bits), all(0.5f)), all(0x1p-32f)), all(1.0f - 0x1p-24f));
  const Floats u = sub(all(1.0f), v);
  const Floats rest = sub(all(1.0f), u);
  const Floats minus_log = mul(sub(zero(), log(u)), div(v, select(less(zero(), rest), rest, v)));
  return log(select(less(zero(), rest), minus_log, v));
}

// The largest of values that come in order of their ids, and the lowest id that has it.
class Best {
 public:
  void take(Floats values, Ints ids) {
    const Mask better = less(values_, values);
    values_ = select(better, values, values_);
    ids_ = select(better, ids, ids_);
  }
  float value() const { return largest(values_); }
  int32_t id() const {
    float values[kLanes];
    int32_t ids[kLanes];
    store(values, values_);
    store(ids, ids_);
    int best = 0;
    for (int i = 1; i < kLanes; ++i) {
      if (values[i] > values[best] || (values[i] == values[best] && ids[i] < ids[best])) best = i;
    }
    return ids[best];
  }

 private:
  Floats values_ = all(-INFINITY);
  Ints ids_ = all_ints(0);
};

}  // namespace

void rms_norm(const float* x, const float* weight, double eps, int64_t count, void* out,
              DType out_dtype) {
  Floats squares = zero();
  for (int64_t i = 0; i < count; i += kLanes) {
    const Floats value = load_first(x + i, lanes_left(count, i));
    squares = fma(value, value, squares);
  }
  const double mean = static_cast<double>(sum(squares)) / static_cast<double>(count);
  const Floats factor = all(static_cast<float>(1.0 / std::sqrt(mean + eps)));
  for (int64_t i = 0; i < count; i += kLanes) {
    const int left = lanes_left(count, i);
    const Floats value = mul(mul(load_first(x + i, left), factor), load_first(weight + i, left));
    store_first(out, out_dtype, i, value, left);
  }
}

void swiglu(const float* gate, const float* up, int64_t count, void* out, DType out_dtype) {
  for (int64_t i = 0; i < count; i += kLanes) {
    const int left = lanes_left(count, i);
    const Floats value = mul(silu(load_first(gate + i, left)), load_first(up + i, left));
    store_first(out, out_dtype, i, value, left);
  }
}

void add_scaled(const float* x, float scale, int64_t count, float* out) {
  const Floats factor = all(scale);
  for (int64_t i = 0; i < count; i += kLanes) {
    const int left = lanes_left(count, i);
    store_first(out + i, fma(factor, load_first(x + i, left), load_first(out + i, left)), left);
  }
}

void rope(float* head, const float* cosines, const float* sines, int64_t half) {
  for (int64_t i = 0; i < half; i += kLanes) {
    const int left = lanes_left(half, i);
    const Floats first_half = load_first(head + i, left);
    const Floats second_half = load_first(head + half + i, left);
    const Floats c = load_first(cosines + i, left), s = load_first(sines + i, left);
    store_first(head + i, sub(mul(first_half, c), mul(second_half, s)), left);
    store_first(head + half + i, add(mul(second_half, c), mul(first_half, s)), left);
  }
}

void mix(const float* a, const float* b, float trust, int64_t count, float* out) {
  const Floats ours = all(trust), others = all(1 - trust);
  for (int64_t i = 0; i < count; i += kLanes) {
    const int left = lanes_left(count, i);
    const Floats value =
        add(mul(ours, load_first(a + i, left)), mul(others, load_first(b + i, left)));
    store_first(out + i, value, left);
  }
}

LogitSummary summarize(const float* logits, int64_t count) {
  Best best;
  const Floats nothing = all(-INFINITY);
  for (int64_t i = 0; i < count; i += kLanes) {
    const int left = lanes_left(count, i);
    const Floats values = select(first(left), load_first(logits + i, left), nothing);
    best.take(values, add(all_ints(static_cast<int32_t>(i)), iota()));
  }
  LogitSummary summary;
  summary.best = best.id();
  summary.best_logit = best.value();
  const Floats shift = all(summary.best_logit);
  // Further below exp() is 0, and 0 times -infinity would be no number.
  const Floats bottom = all(-200.0f);
  Floats total = zero(), moment = zero();
  for (int64_t i = 0; i < count; i += kLanes) {
    const int left = lanes_left(count, i);
    const Floats shifted = sub(load_first(logits + i, left), shift);
    const Floats terms = select(first(left), exp(shifted), zero());
    total = add(total, terms);
    moment = fma(terms, max(shifted, bottom), moment);
  }
  const float log_total = std::log(sum(total));
  summary.log_sum = summary.best_logit + log_total;
  summary.entropy = log_total - sum(moment) / sum(total);
  return summary;
}

float log_weight(const float* logits, float largest, float inverse_temperature, int64_t count) {
  const Floats shift = all(largest), scale = all(inverse_temperature);
  Floats total = zero();
  for (int64_t i = 0; i < count; i += kLanes) {
    const int left = lanes_left(count, i);
    const Floats shifted = mul(sub(load_first(logits + i, left), shift), scale);
    total = add(total, select(first(left), exp(shifted), zero()));
  }
  return std::log(sum(total));
}

int32_t race(const float* logits, float inverse_temperature, uint64_t seed, uint64_t draw,
             int64_t count) {
  Best best;
  const Floats nothing = all(-INFINITY);
  for (int64_t block = 0; block < count; block += 4 * kLanes) {
    Ints words[4];
    noise_words(seed, draw, block, words);
    for (int w = 0; w < 4; ++w) {
      const int64_t at = block + w * kLanes;
      const int left = lanes_left(count, at);
      if (left <= 0) break;
      const Floats score = sub(mul(load_first(logits + at, left), all(inverse_temperature)),
                               log_exponential(words[w]));
      best.take(select(first(left), score, nothing),
                add(all_ints(static_cast<int32_t>(at)), iota()));
    }
  }
  return best.id();
}

}  // namespace tidar::cpu::TIDAR_ISA
