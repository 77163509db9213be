#include "comm/communicator.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "comm/communicator_checks_testing.h"
#include "comm/thread_ranks_testing.h"

namespace tidar {
namespace {

TEST(Communicator, PartsCoverTheRangeInOrder) {
  Rng rng(1);
  for (int i = 0; i < 2000; ++i) {
    const Range range = {rng.below(100), 0};
    const Range whole = {range.begin, range.begin + rng.below(rng.below(2) == 0 ? 20 : 1000)};
    const int ranks = 1 + rng.below(9);
    const std::vector<Range> parts = parts_of(whole, ranks);
    ASSERT_EQ(std::ssize(parts), ranks);
    int64_t at = whole.begin;
    for (const Range& part : parts) {
      ASSERT_EQ(part.begin, at);
      ASSERT_LE(part.begin, part.end);
      ASSERT_LE(part.size(), parts.front().size());
      ASSERT_TRUE(part.end == whole.end || (part.end - whole.begin) % 16 == 0);
      at = part.end;
    }
    ASSERT_EQ(at, whole.end);
  }
}

TEST(Communicator, OneRankIsAllThereIs) {
  const auto solo = make_solo();
  EXPECT_EQ(solo->ranks(), 1);
  EXPECT_TRUE(solo->first());
  std::vector<double> values = {1, 2};
  solo->sum(values);
  EXPECT_EQ(values, (std::vector<double>{1, 2}));
  EXPECT_TRUE(any(*solo, true));
  EXPECT_FALSE(any(*solo, false));
}

TEST(Communicator, RanksGetTheSumsInOrder) {
  for (const int ranks : {2, 3, 5}) run_as_ranks(ranks, check_communicator);
}

TEST(Communicator, WithoutItsLibraryMpiCannotBeJoined) {
  const auto refused = join_mpi("/nowhere");
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("libtidar_mpi.so"), std::string::npos);
  EXPECT_NE(refused.error().message.find("libopenmpi-dev"), std::string::npos);
}

}  // namespace
}  // namespace tidar
