// With a GPU: every case of ops/cases on it. Without one: the sentence that says so. A program of
// its own, since it is linked with the kernels for devices.

#include "ops/cuda/open_cuda.h"

#include <gtest/gtest.h>

#include "ops/cases/suite.h"

namespace tidar::cuda {
namespace {

constexpr int kNoSuchGpu = 1000;
constexpr std::span kPlainFormats = std::span(kWeightFormats).first(2);

TEST(OpenCuda, RunsOrSaysWhatToDo) {
  auto backend = open_cuda(0, {.exact_rows = true});
  if (!backend.ok()) {
    std::printf("    not run on a GPU: %s\n", backend.error().message.c_str());
    EXPECT_NE(backend.error().message.find("compute on the CPU"), std::string::npos);
    return;
  }
  for (const auto& failure : run_all_cases(**backend, 1, {.formats = kPlainFormats}))
    ADD_FAILURE() << failure;
}

TEST(OpenCuda, NumbersThatThereAreNot) {
  EXPECT_FALSE(open_cuda(kNoSuchGpu, {}).ok());
  EXPECT_FALSE(open_cuda(-1, {}).ok());
}

}  // namespace
}  // namespace tidar::cuda
