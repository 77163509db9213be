#include "decode/reveal.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/rng.h"

namespace tidar {
namespace {

// Draws of tokens (Ask::draw) never come near this number.
constexpr uint64_t kOrderDraws = std::numeric_limits<uint64_t>::max();

// Larger comes first. What is no number comes last.
double worth(const MaskGuess& guess, RevealOrder order, uint64_t seed) {
  const auto number = [](double value) {
    return std::isnan(value) ? -std::numeric_limits<double>::infinity() : value;
  };
  switch (order) {
    case RevealOrder::confidence:
      return number(guess.logprob);
    case RevealOrder::margin:
      return number(guess.margin);
    case RevealOrder::entropy:
      return number(-guess.entropy);
    case RevealOrder::random:
      return philox(seed, kOrderDraws, static_cast<uint64_t>(guess.position))[0];
    case RevealOrder::left_to_right:
      return -guess.position;
  }
  return 0;
}

// How many of the first places keep the bound.
size_t within_bound(std::span<const MaskGuess> guesses, std::span<const size_t> order,
                    double bound) {
  double sum = 0, largest = 0;
  size_t count = 0;
  for (; count < order.size(); ++count) {
    const double entropy = guesses[order[count]].entropy;
    sum += entropy;
    largest = std::max(largest, entropy);
    if (!(sum - largest <= bound)) break;
  }
  return count;
}

}  // namespace

Result<void> check_rule(const RevealRule& rule) {
  if (rule.count < 1) return error("tokens of a pass: expected at least 1, found {}", rule.count);
  if (rule.threshold && !(*rule.threshold >= 0))
    return error("confidence threshold: expected a number of at least 0, found {}",
                 *rule.threshold);
  if (rule.entropy_bound && !(*rule.entropy_bound >= 0))
    return error("entropy bound: expected a number of at least 0, found {}", *rule.entropy_bound);
  return {};
}

std::vector<size_t> revealed(std::span<const MaskGuess> guesses, const RevealRule& rule,
                             uint64_t seed) {
  std::vector<double> worths;
  for (const MaskGuess& guess : guesses) worths.push_back(worth(guess, rule.order, seed));
  std::vector<size_t> order(guesses.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return worths[a] > worths[b]; });

  size_t first = std::min(order.size(), static_cast<size_t>(rule.count));
  if (rule.entropy_bound)
    first = std::max(first, within_bound(guesses, order, *rule.entropy_bound));
  const auto stays_masked = [&](size_t index) {
    return !(rule.threshold && std::exp(guesses[index].logprob) > *rule.threshold);
  };
  order.erase(
      std::remove_if(order.begin() + static_cast<std::ptrdiff_t>(first), order.end(), stays_masked),
      order.end());
  std::sort(order.begin(), order.end());
  return order;
}

}  // namespace tidar
