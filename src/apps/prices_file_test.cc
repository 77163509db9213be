#include "apps/prices_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "format/files_testing.h"

namespace tidar {
namespace {

constexpr const char* kPrices = R"({"version": 1,
 "of": "a \"model\"",
 "passes": [
  {"rows":1,"seconds":0.04},
  {"rows":4,"seconds":0.0425},
  {"rows":64,"seconds":0.21}
 ],
 "asks": [
  {"rows":1,"seconds":0.0125},
  {"rows":3,"seconds":0.0135}
 ],
 "key": {"cached":256,"seconds":2.5e-07}}
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
  const PassSize four = {4, 2};
  EXPECT_DOUBLE_EQ(read->prices.seconds(four.behind(256)), 0.0425 + 0.013);
  EXPECT_DOUBLE_EQ(read->prices.seconds(four.behind(1256)), 0.0425 + 0.013 + 0.001);
  EXPECT_DOUBLE_EQ(read->prices.seconds(PassSize{64, 0}.behind(256)), 0.21);
  ASSERT_TRUE(write_prices(folder_.path() / "again.json", *read).ok());
  EXPECT_EQ(bytes_of_file(folder_.path() / "again.json"), kPrices);
}

TEST_F(PricesFileTest, MayLeaveOutWhatKeysCost) {
  std::string text = kPrices;
  const std::string key = ",\n \"key\": {\"cached\":256,\"seconds\":2.5e-07}";
  text.erase(text.find(key), key.size());
  const auto read = read_prices(folder_.put("prices.json", text));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->prices.key().cached, 0);
  EXPECT_EQ(read->prices.key().seconds, 0);
}

TEST_F(PricesFileTest, SaysWhatIsWrongWithIt) {
  const std::string text = kPrices;
  const size_t from = text.find('[');
  const std::string passes = text.substr(from, text.find(']') + 1 - from);
  struct Wrong {
    std::string part, other, says_parts;
  };
  for (const auto& [part, other, says_parts] :
       std::vector<Wrong>{{"\"version\": 1", "\"version\": 2", "prices.json|version|2"},
                          {"\"version\": 1,", "", "version|missing"},
                          {"\"a \\\"model\\\"\"", "5", "of|5|a text"},
                          {"\"passes\"", "\"pass\"", "'pass'|passes"},
                          {"\"asks\"", "\"ask\"", "'ask'|'asks'"},
                          {passes, "[]", "passes|not empty"},
                          {passes, "[1]", "passes|a list of objects"},
                          {passes, "{}", "passes|a list of objects"},
                          {"\"rows\":1", "\"rows\":2", "passes 1|rows|1 to 1"},
                          {"\"rows\":4", "\"rows\":1", "passes 2|rows|from 2"},
                          {"0.0135", "-1", "asks 2|seconds|-1"},
                          {"\"seconds\":0.21", "\"seconds\":0", "passes 3|seconds"},
                          {"\"seconds\":0.21", "\"seconds\":\"long\"", "passes 3|seconds|'long'"},
                          {"\"rows\":64", "\"row\":64", "passes 3|'row'|'rows'"},
                          {"{\"cached\":256,\"seconds\":2.5e-07}", "3", "key|an object"},
                          {"256", "-1", "key|cached|-1"},
                          {"2.5e-07", "-1", "key|seconds|-1"},
                          {"\"cached\":256", "\"keys\":256", "key|'keys'|cached"},
                          {"}}", "}", "ends too early"}}) {
    EXPECT_TRUE(says(error_with(part, other), says_parts)) << part << ' ' << other;
  }
  EXPECT_FALSE(read_prices(folder_.path() / "nowhere").ok());
}

}  // namespace
}  // namespace tidar
