#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/ref/backward_verbs.h"

namespace tidar::ref {

namespace {

// The sum is kept in double, as in read_logits.cc.
template <class T>
double log_sum_exp(const T* logits, int64_t count) {
  const T largest = *std::max_element(logits, logits + count);
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += std::exp(static_cast<double>(logits[i] - largest));
  return static_cast<double>(largest) + std::log(sum);
}

// d distance / d logit: for l1, q (sign(q - p) - sum of q sign(q - p)); for kl, q - p.
double distance_and_slopes(Distance distance, const std::vector<double>& log_q,
                           const std::vector<double>& log_p, std::vector<double>& slopes) {
  double value = 0, pull = 0;
  for (size_t i = 0; i < log_q.size(); ++i) {
    const double q = std::exp(log_q[i]), p = std::exp(log_p[i]);
    if (distance == Distance::kl) {
      slopes[i] = q - p;
      value += p * (log_p[i] - log_q[i]);
      continue;
    }
    const double sign = q > p ? 1 : q < p ? -1 : 0;
    value += std::abs(q - p);
    pull += q * sign;
    slopes[i] = q * sign;
  }
  for (size_t i = 0; i < log_q.size(); ++i) slopes[i] -= std::exp(log_q[i]) * pull;
  return value;
}

}  // namespace

template <class T>
double cross_entropy(T* logits, int64_t count, const Label& label) {
  const double log_sum = log_sum_exp(logits, count);
  const double loss = log_sum - static_cast<double>(logits[label.token]);
  for (int64_t i = 0; i < count; ++i) {
    const double probability = std::exp(static_cast<double>(logits[i]) - log_sum);
    const double one_hot = i == label.token ? 1 : 0;
    logits[i] = static_cast<T>(static_cast<double>(label.weight) * (probability - one_hot));
  }
  return loss;
}

template <class T>
double soft_cross_entropy(T* logits, const T* target, int64_t count, const Label& label) {
  const double log_sum = log_sum_exp(logits, count), target_sum = log_sum_exp(target, count);
  const double cross_entropy = log_sum - static_cast<double>(logits[label.token]);
  std::vector<double> log_q, log_p, slopes(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    log_q.push_back(static_cast<double>(logits[i]) - log_sum);
    log_p.push_back(static_cast<double>(target[i]) - target_sum);
  }
  const double distance = distance_and_slopes(label.target.distance, log_q, log_p, slopes);
  const auto share = static_cast<double>(label.target.share);
  for (int64_t i = 0; i < count; ++i) {
    const auto at = static_cast<size_t>(i);
    const double one_hot = i == label.token ? 1 : 0;
    const double slope = (1 - share) * (std::exp(log_q[at]) - one_hot) + share * slopes[at];
    logits[i] = static_cast<T>(static_cast<double>(label.weight) * slope);
  }
  return (1 - share) * cross_entropy + share * distance;
}

template double cross_entropy<float>(float*, int64_t, const Label&);
template double cross_entropy<double>(double*, int64_t, const Label&);
template double soft_cross_entropy<float>(float*, const float*, int64_t, const Label&);
template double soft_cross_entropy<double>(double*, const double*, int64_t, const Label&);

}  // namespace tidar::ref
