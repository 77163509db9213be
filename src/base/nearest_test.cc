#include "base/nearest.h"

#include <gtest/gtest.h>

namespace tidar {
namespace {

TEST(Nearest, CountsEdits) {
  EXPECT_EQ(edit_distance("", ""), 0);
  EXPECT_EQ(edit_distance("model", "model"), 0);
  EXPECT_EQ(edit_distance("modle", "model"), 1);  // neighbours swapped
  EXPECT_EQ(edit_distance("mdel", "model"), 1);
  EXPECT_EQ(edit_distance("moddel", "model"), 1);
  EXPECT_EQ(edit_distance("nodel", "model"), 1);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
  EXPECT_EQ(edit_distance("abc", ""), 3);
}

TEST(Nearest, NamesOnlyWhatCouldBeMeant) {
  const std::vector<std::string> flags = {"--model", "--max-new", "--mask-token", "--kv"};
  EXPECT_EQ(nearest("--modle", flags), "--model");
  EXPECT_EQ(nearest("--maxnew", flags), "--max-new");
  EXPECT_EQ(nearest("--mask-tokne", flags), "--mask-token");
  EXPECT_EQ(nearest("--temperature", flags), "");
  EXPECT_EQ(nearest("x", {}), "");
}

}  // namespace
}  // namespace tidar
