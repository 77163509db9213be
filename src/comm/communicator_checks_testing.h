#pragma once
// For tests: what every communicator promises.

#include <gtest/gtest.h>

#include <vector>

#include "base/rng.h"
#include "comm/communicator.h"

namespace tidar {

/// To be called on every rank.
inline void check_communicator(Communicator& here) {
  const int ranks = here.ranks();
  const auto r = static_cast<size_t>(here.rank());
  std::vector<std::vector<float>> given(static_cast<size_t>(ranks));
  Rng rng(7);
  for (auto& values : given) {
    for (int i = 0; i < 300; ++i) values.push_back(rng.normal());
  }
  std::vector<float> sums = given[0];
  for (size_t other = 1; other < given.size(); ++other) {
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += given[other][i];
  }
  std::vector<float> values = given[r];
  const std::span<float> all(values);
  const auto front = parts_of({0, 100}, ranks), back = parts_of({0, 200}, ranks);
  here.begin_sum_parts(all.last(200), back);
  here.progress();
  here.begin_sum_parts(all.first(100), front);
  here.finish();
  for (int64_t i = 0; i < 300; ++i) {
    const Range part = i < 100 ? front[r] : back[r];
    const int64_t at = i < 100 ? i : i - 100;
    const bool summed = at >= part.begin && at < part.end;
    EXPECT_EQ(values[static_cast<size_t>(i)], (summed ? sums : given[r])[static_cast<size_t>(i)]);
  }
  here.share_parts(all.first(100), front);
  here.share_parts(all.last(200), back);
  EXPECT_EQ(values, sums);

  std::vector<double> numbers = {1.0 * here.rank(), 2};
  here.sum(numbers);
  EXPECT_EQ(numbers, (std::vector<double>{ranks * (ranks - 1) / 2.0, 2.0 * ranks}));
  EXPECT_TRUE(any(here, here.rank() == ranks - 1));
  EXPECT_FALSE(any(here, false));
  int number = 40 + here.rank();
  here.share(std::as_writable_bytes(std::span(&number, 1)));
  EXPECT_EQ(number, 40);
}

}  // namespace tidar
