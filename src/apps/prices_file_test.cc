#include "apps/prices_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "format/files_testing.h"

namespace tidar {
namespace {

constexpr const char* kPrices = R"({"version": 1,
 "of": "a \"model\"",
 "ask_seconds": 0.000125,
 "points": [
  {"rows":1,"seconds":0.04},
  {"rows":4,"seconds":0.0425},
  {"rows":64,"seconds":0.21}
 ]}
)";

class PricesFileTest : public testing::Test {
 protected:
  std::string error_with(const std::string& part, const std::string& other) {
    std::string text = kPrices;
    const size_t at = text.find(part);
    EXPECT_NE(at, std::string::npos) << part;
    const auto found =
        read_prices(folder_.put("prices.json", text.replace(at, part.size(), other)));
    return found.ok() ? "" : found.error().message;
  }

  ScratchFolder folder_;
};

TEST_F(PricesFileTest, IsWrittenAsItIsRead) {
  const auto read = read_prices(folder_.put("prices.json", kPrices));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->of, "a \"model\"");
  EXPECT_DOUBLE_EQ(read->prices.seconds({4, 2}), 0.0425 + 2 * 0.000125);
  EXPECT_DOUBLE_EQ(read->prices.seconds({64, 0}), 0.21);
  ASSERT_TRUE(write_prices(folder_.path() / "again.json", *read).ok());
  EXPECT_EQ(bytes_of_file(folder_.path() / "again.json"), kPrices);
}

TEST_F(PricesFileTest, SaysWhatIsWrongWithIt) {
  const std::string points = std::string(kPrices).substr(std::string(kPrices).find("[\n"));
  for (const auto& [part, other, says_parts] :
       {std::tuple<std::string, std::string, std::string>  //
        {"\"version\": 1", "\"version\": 2", "prices.json|version|2"},
        {"\"version\": 1,", "", "version|missing"},
        {"ask_seconds", "ask", "'ask'"},
        {"0.000125", "-1", "ask_seconds|-1"},
        {"\"a \\\"model\\\"\"", "5", "of|5|a text"},
        {"\"points\"", "\"point\"", "'points'"},
        {points, "[]}", "points|not empty"},
        {points, "[1]}", "points|a list of objects"},
        {points, "{}}", "points|a list of objects"},
        {"\"rows\":1", "\"rows\":2", "point 1|rows|1 to 1"},
        {"\"rows\":4", "\"rows\":1", "point 2|rows|from 2"},
        {"\"seconds\":0.04}", "\"seconds\":0}", "point 1|seconds|above 0"},
        {"\"seconds\":0.21", "\"seconds\":\"long\"", "point 3|seconds|'long'"},
        {"\"rows\":64", "\"row\":64", "point 3|'row'|'rows'"},
        {"]}", "]", "ends too early"}}) {
    EXPECT_TRUE(says(error_with(part, other), says_parts)) << part << ' ' << other;
  }
  EXPECT_FALSE(read_prices(folder_.path() / "nowhere").ok());
}

}  // namespace
}  // namespace tidar
