#include "ops/cuda/open_cuda.h"

#include <gtest/gtest.h>

#include "ops/cuda/roofs.h"

namespace tidar::cuda {
namespace {

TEST(NoCuda, SaysHowToHaveIt) {
  const auto backend = open_cuda(0, {});
  ASSERT_FALSE(backend.ok());
  EXPECT_NE(backend.error().message.find("-DTIDAR_CUDA=ON"), std::string::npos);
}

TEST(NoCuda, HasNoRoofs) {
  const auto roofs = measure_gpu_roofs(0);
  ASSERT_FALSE(roofs.ok());
  EXPECT_NE(roofs.error().message.find("without CUDA"), std::string::npos);
}

}  // namespace
}  // namespace tidar::cuda
