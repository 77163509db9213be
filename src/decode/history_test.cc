#include "decode/history.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "base/rng.h"

namespace tidar {
namespace {

using Tokens = std::vector<int32_t>;
constexpr float kNoLogit = std::numeric_limits<float>::infinity();

// What a token's logit becomes after a text, written down from the definitions.
double changed(double logit, int32_t token, const Penalties& penalties, int32_t forbidden,
               const Tokens& prompt, const Tokens& output) {
  if (token == forbidden) return -kNoLogit;
  const auto in_prompt = std::count(prompt.begin(), prompt.end(), token);
  const auto in_output = std::count(output.begin(), output.end(), token);
  double result = logit;
  if (in_prompt + in_output > 0)
    result = result > 0 ? result / penalties.repetition : result * penalties.repetition;
  if (in_output > 0) result -= penalties.presence;
  result -= penalties.frequency * static_cast<double>(in_output);
  for (const LogitChange& bias : penalties.bias)
    if (bias.token == token) result += bias.add;
  return result;
}

double apply(double logit, int32_t token, std::span<const LogitChange> changes,
             std::span<const LogitChange> own) {
  const LogitChange* last = nullptr;
  for (const auto list : {changes, own}) {
    int times = 0;
    for (const LogitChange& change : list) {
      if (change.token != token) continue;
      EXPECT_EQ(++times, 1) << "token " << token << " twice in one list";
      last = &change;
    }
  }
  if (last == nullptr) return logit;
  return (logit > 0 ? logit / last->scale : logit * last->scale) + last->add;
}

TEST(History, ChangesAreWhatTheTextSays) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng(seed);
    const auto tokens = [&](int most) {
      Tokens out(static_cast<size_t>(rng.below(most)));
      for (int32_t& token : out) token = rng.below(12);
      return out;
    };
    Penalties penalties;
    if (rng.below(2) == 0) penalties.repetition = 0.5f + rng.uniform();
    if (rng.below(2) == 0) penalties.presence = rng.normal();
    if (rng.below(2) == 0) penalties.frequency = rng.normal();
    for (int32_t token = 0; token < 12; ++token)
      if (rng.below(4) == 0)
        penalties.bias.push_back(
            {.token = token, .add = rng.below(4) == 0 ? -kNoLogit : rng.normal()});
    const int32_t forbidden = rng.below(13) - 1;
    const Tokens prompt = tokens(10), drafts = tokens(6);
    Tokens output = tokens(10);

    History history(penalties, forbidden, prompt);
    for (const int32_t token : output) history.append(token);
    Asks asks;
    const ChangeRange changes = history.add_changes(asks);
    const auto expect_all = [&](ChangeRange own) {
      for (int32_t token = 0; token < 12; ++token) {
        const double logit = 3.0 * rng.normal();
        const double expected = changed(logit, token, penalties, forbidden, prompt, output);
        const double found =
            apply(logit, token, changes.of(asks.changes()), own.of(asks.changes()));
        if (std::isinf(expected)) {
          EXPECT_EQ(found, expected) << "token " << token;
        } else {
          EXPECT_NEAR(found, expected, 1e-5) << "token " << token;
        }
      }
    };
    expect_all({});
    const ChangeRange own = history.add_changes_after(drafts, asks);
    output.insert(output.end(), drafts.begin(), drafts.end());
    expect_all(own);
  }
}

// Whatever way the text was told, the changes are the same bits: methods must agree.
TEST(History, ChangesDoNotDependOnTheWay) {
  const Penalties penalties{.repetition = 1.3f, .presence = 0.1f, .frequency = 0.7f};
  History drafted(penalties, 10, Tokens{1, 2});
  Asks asks;
  const auto own = drafted.add_changes_after(Tokens{3, 1, 3, 3}, asks).of(asks.changes());
  History told(penalties, 10, Tokens{1, 2});
  for (const int32_t token : {3, 1, 3, 3}) told.append(token);
  Asks others;
  told.add_changes(others);
  ASSERT_EQ(own.size(), 2u);
  for (const LogitChange& change : own) {
    int found = 0;
    for (const LogitChange& other : others.changes()) {
      if (other.token != change.token) continue;
      ++found;
      EXPECT_EQ(other.scale, change.scale);
      EXPECT_EQ(other.add, change.add);
    }
    EXPECT_EQ(found, 1);
  }
}

TEST(History, SaysNothingWithoutPenalties) {
  History history({}, -1, Tokens{1, 2, 3});
  history.append(4);
  Asks asks;
  EXPECT_TRUE(history.add_changes(asks).empty());
  EXPECT_TRUE(history.add_changes_after(Tokens{5}, asks).empty());
  EXPECT_TRUE(asks.changes().empty());
}

}  // namespace
}  // namespace tidar
