#include "ops/cuda/open_cuda.h"

#include <gtest/gtest.h>

namespace tidar::cuda {
namespace {

TEST(NoCuda, SaysHowToHaveIt) {
  const auto backend = open_cuda(0, {});
  ASSERT_FALSE(backend.ok());
  EXPECT_NE(backend.error().message.find("-DTIDAR_CUDA=ON"), std::string::npos);
}

}  // namespace
}  // namespace tidar::cuda
