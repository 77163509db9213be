// What the backward halves do to a row on its own.

#include <cmath>

#include "ops/cpu/backward_kernels.h"
#include "ops/cpu/simd.h"

namespace tidar::cpu::TIDAR_ISA {

namespace {

// All lanes of a vector, known when a body is compiled for it.
struct WholeVector {
  constexpr operator int() const { return kLanes; }
};

// Calls body(at, lanes) for all of `count` numbers, kLanes at a time and then the rest: its lanes
// are a WholeVector, for which masks cost nothing, or an int.
template <class Body>
inline void for_lanes(int64_t count, Body&& body) {
  int64_t at = 0;
  for (; at + kLanes <= count; at += kLanes) body(at, WholeVector());
  if (at < count) body(at, static_cast<int>(count - at));
}

Floats sigmoid(Floats x) { return div(all(1.0f), add(all(1.0f), exp(sub(zero(), x)))); }

}  // namespace

// silu' = s (1 + gate (1 - s)), s the sigmoid of gate.
void swiglu_backward(const float* const (&gate_up)[2], const float* d_out, int64_t count,
                     float* const (&d_gate_up)[2]) {
  const Floats one = all(1.0f);
  for_lanes(count, [&](int64_t i, auto left) {
    const Floats gate = load_first(gate_up[0] + i, left), up = load_first(gate_up[1] + i, left);
    const Floats s = sigmoid(gate);
    const Floats by_sigmoid = mul(load_first(d_out + i, left), s);
    const Floats slope = fma(gate, sub(one, s), one);
    store_first(d_gate_up[0] + i, mul(mul(by_sigmoid, up), slope), left);
    store_first(d_gate_up[1] + i, mul(by_sigmoid, gate), left);
  });
}

void backward_rms_norm(const RmsNormVector& of) {
  Floats squares = zero(), along = zero();
  for_lanes(of.size, [&](int64_t i, auto left) {
    const Floats x = load_first(of.x + i, left);
    squares = fma(x, x, squares);
    along = fma(mul(load_first(of.d_out + i, left), load_first(of.weight + i, left)), x, along);
  });
  const auto size = static_cast<float>(of.size);
  const float scale = 1 / std::sqrt(sum(squares) / size + static_cast<float>(of.eps));
  const Floats factor = all(scale), share = all(sum(along) * scale * scale / size);
  for_lanes(of.size, [&](int64_t i, auto left) {
    const Floats x = load_first(of.x + i, left), d = load_first(of.d_out + i, left);
    if (of.d_weight != nullptr) {
      const Floats before = load_first(of.d_weight + i, left);
      store_first(of.d_weight + i, fma(d, mul(x, factor), before), left);
    }
    Floats d_x = mul(factor, sub(mul(d, load_first(of.weight + i, left)), mul(x, share)));
    if (of.adds) d_x = add(d_x, load_first(of.d_x + i, left));
    store_first(of.d_x + i, d_x, left);
  });
}

void backward_rope(float* head, const float* cosines, const float* sines, int64_t half) {
  for_lanes(half, [&](int64_t i, auto left) {
    const Floats a = load_first(head + i, left), b = load_first(head + half + i, left);
    const Floats cosine = load_first(cosines + i, left), sine = load_first(sines + i, left);
    store_first(head + i, add(mul(a, cosine), mul(b, sine)), left);
    store_first(head + half + i, sub(mul(b, cosine), mul(a, sine)), left);
  });
}

void add_to(const float* from, int64_t count, float* to) {
  for_lanes(count, [&](int64_t i, auto left) {
    store_first(to + i, add(load_first(to + i, left), load_first(from + i, left)), left);
  });
}

float dot(const float* a, const void* b, DType dtype, int64_t count) {
  Floats total = zero();
  for_lanes(count, [&](int64_t i, auto left) {
    Floats other = zero();
    if (dtype == DType::f32) {
      other = load_first(static_cast<const float*>(b) + i, left);
    } else if (left == kLanes) {
      other = load_bf16(static_cast<const BFloat16*>(b) + i);
    } else {
      BFloat16 whole[kLanes] = {};
      for (int k = 0; k < left; ++k) whole[k] = static_cast<const BFloat16*>(b)[i + k];
      other = load_bf16(whole);
    }
    total = fma(load_first(a + i, left), other, total);
  });
  return sum(total);
}

double cross_entropy(float* logits, int64_t count, int32_t token, float weight) {
  const float label = logits[token];
  const Floats nothing = all(-INFINITY);
  Floats best = nothing;
  for_lanes(count, [&](int64_t i, auto left) {
    best = max(best, select(first(left), load_first(logits + i, left), nothing));
  });
  const float most = largest(best);
  Floats total = zero();
  for_lanes(count, [&](int64_t i, auto left) {
    const Floats term = exp(sub(load_first(logits + i, left), all(most)));
    total = add(total, select(first(left), term, zero()));
    store_first(logits + i, term, left);
  });
  const float sum_of_all = sum(total);
  const Floats factor = all(weight / sum_of_all);
  for_lanes(count, [&](int64_t i, auto left) {
    store_first(logits + i, mul(load_first(logits + i, left), factor), left);
  });
  logits[token] -= weight;
  return static_cast<double>(most) - static_cast<double>(label) +
         std::log(static_cast<double>(sum_of_all));
}

namespace {

// A distribution: exp(logit - most) * scale, with scale = 1 / sum.
struct Softmax {
  float most = 0;
  float sum = 0;
  Floats scale{};

  Softmax(const float* logits, int64_t count) {
    const Floats nothing = all(-INFINITY);
    Floats best = nothing, total = zero();
    for_lanes(count, [&](int64_t i, auto left) {
      best = max(best, select(first(left), load_first(logits + i, left), nothing));
    });
    most = largest(best);
    for_lanes(count, [&](int64_t i, auto left) {
      total = add(total,
                  select(first(left), exp(sub(load_first(logits + i, left), all(most))), zero()));
    });
    sum = TIDAR_ISA::sum(total);
    scale = all(1 / sum);
  }

  // 0 in lanes that do not exist. `logits` have been less `most` already.
  template <class Lanes>
  Floats of(Floats logits, Lanes left) const {
    return select(first(left), mul(exp(logits), scale), zero());
  }
  double log_sum() const { return std::log(static_cast<double>(sum)); }
};

Floats sign_of(Floats q, Floats p) {
  return select(less(p, q), all(1.0f), select(less(q, p), all(-1.0f), zero()));
}

}  // namespace

// Logits become q in the first round over them, and their gradient in the second; for l1 that is
// q (sign - sum of q sign), for kl q - p.
double soft_cross_entropy(float* logits, const float* target, int64_t count, const Label& label) {
  const Softmax own(logits, count), wanted(target, count);
  const double cross_entropy =
      static_cast<double>(own.most) - static_cast<double>(logits[label.token]) + own.log_sum();
  const bool is_l1 = label.target.distance == Distance::l1;
  const float share = label.target.share;
  Floats distances = zero(), pulls = zero();
  for_lanes(count, [&](int64_t i, auto left) {
    const Floats z = sub(load_first(logits + i, left), all(own.most));
    const Floats t = sub(load_first(target + i, left), all(wanted.most));
    const Floats q = own.of(z, left), p = wanted.of(t, left);
    if (is_l1) {
      const Floats sign = sign_of(q, p);
      distances = fma(sign, sub(q, p), distances);
      pulls = fma(sign, q, pulls);
    } else {
      distances = add(distances, select(first(left), mul(p, sub(t, z)), zero()));
    }
    store_first(logits + i, q, left);
  });
  const Floats pull = all(sum(pulls)), hard = all(label.weight * (1 - share));
  const Floats soft = all(label.weight * share);
  for_lanes(count, [&](int64_t i, auto left) {
    const Floats q = load_first(logits + i, left);
    const Floats p = wanted.of(sub(load_first(target + i, left), all(wanted.most)), left);
    const Floats slope = is_l1 ? mul(q, sub(sign_of(q, p), pull)) : sub(q, p);
    store_first(logits + i, fma(soft, slope, mul(hard, q)), left);
  });
  logits[label.token] -= label.weight * (1 - share);
  double distance = static_cast<double>(sum(distances));
  if (!is_l1) distance += own.log_sum() - wanted.log_sum();
  return static_cast<double>(1 - share) * cross_entropy + static_cast<double>(share) * distance;
}

}  // namespace tidar::cpu::TIDAR_ISA
