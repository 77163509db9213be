// With a GPU: that it has roofs. Without one: the sentence that says so.

#include "ops/cuda/roofs.h"

#include <gtest/gtest.h>

#include <cstdio>

namespace tidar::cuda {
namespace {

TEST(GpuRoofs, AreMeasuredOrNot) {
  const auto roofs = measure_gpu_roofs(0);
  if (!roofs.ok()) {
    std::printf("    not run on a GPU: %s\n", roofs.error().message.c_str());
    EXPECT_NE(roofs.error().message.find("could not be measured"), std::string::npos);
    return;
  }
  EXPECT_GT(roofs->read_gbps, 0);
  EXPECT_GT(roofs->copy_gbps, 0);
  EXPECT_GE(roofs->bf16_gflops, 0);
  std::printf("    reads %.0f GB/s, copies %.0f GB/s, bf16 %.0f GFLOP/s\n", roofs->read_gbps,
              roofs->copy_gbps, roofs->bf16_gflops);
}

}  // namespace
}  // namespace tidar::cuda
