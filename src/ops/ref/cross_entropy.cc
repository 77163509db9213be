#include <algorithm>
#include <cmath>

#include "ops/ref/backward_verbs.h"

namespace tidar::ref {

// The sum is kept in double, as in read_logits.cc.
template <class T>
double cross_entropy(T* logits, int64_t count, const Label& label) {
  const T largest = *std::max_element(logits, logits + count);
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += std::exp(static_cast<double>(logits[i] - largest));
  const double log_sum = static_cast<double>(largest) + std::log(sum);
  const double loss = log_sum - static_cast<double>(logits[label.token]);
  for (int64_t i = 0; i < count; ++i) {
    const double probability = std::exp(static_cast<double>(logits[i]) - log_sum);
    const double one_hot = i == label.token ? 1 : 0;
    logits[i] = static_cast<T>(static_cast<double>(label.weight) * (probability - one_hot));
  }
  return loss;
}

template double cross_entropy<float>(float*, int64_t, const Label&);
template double cross_entropy<double>(double*, int64_t, const Label&);

}  // namespace tidar::ref
