// Ranks over MPI keep the promises of communicator.h. To be begun by mpirun.

#include <gtest/gtest.h>

#include "comm/communicator_checks_testing.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}

namespace tidar {
namespace {

TEST(MpiRanks, GetTheSumsInOrder) {
  const auto here = join_mpi(TIDAR_PROGRAM_FOLDER);
  ASSERT_TRUE(here.ok()) << here.error().message;
  EXPECT_GT((*here)->ranks(), 1) << "begun without mpirun";
  for (int round = 0; round < 20; ++round) check_communicator(**here);
}

}  // namespace
}  // namespace tidar
