// How far the fields of a request go: the last values that are taken, and the first that are not.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "serve/api_request.h"

namespace tidar {
namespace {

struct Borders {
  std::string field;
  std::vector<std::string> taken, refused;
};

std::string stops(size_t count) { return OrderedJson(std::vector<std::string>(count, "a")).dump(); }

std::vector<Borders> all_borders() {
  return {
      {"n", {"1", "128"}, {"0", "129"}},
      {"max_tokens", {"1", "1073741824"}, {"-1", "1073741825"}},
      {"logprobs", {"0", "20"}, {"-1", "21"}},
      {"stop", {stops(1), stops(16)}, {stops(17), R"("")"}},
      {"temperature", {"0", "1000000"}, {"-0.001", "1000001"}},
      {"top_p", {"0", "1"}, {"-0.001", "1.001"}},
      {"top_k", {"-1", "0", "2147483647"}, {"-2", "2147483648"}},
      {"min_p", {"0", "1"}, {"-0.001", "1.001"}},
      {"seed", {"-1", "0", "18446744073709551615"}, {"0.5", "1e3"}},
      {"repetition_penalty", {"1e-37", "1000000"}, {"0", "-1", "1000001"}},
      {"presence_penalty", {"-100", "100"}, {"-100.5", "100.5"}},
      {"frequency_penalty", {"-100", "100"}, {"-100.5", "100.5"}},
      {"logit_bias",
       {"{}", R"({"0": -100, "2147483647": 100})"},
       {R"({"0": -100.5})", R"({"0": 100.5})", R"({"-1": 0})", R"({"2147483648": 0})", R"({"": 0})",
        R"({" 1": 0})"}},
      {"priority", {"-1000", "1000"}, {"-1001", "1001"}},
      {"timeout", {"0.001", "86400"}, {"0.0009", "86401"}},
      {"draft_length", {"1", "64"}, {"0", "65"}},
      {"trust", {"0", "1"}, {"-0.1", "1.1"}},
  };
}

std::optional<Refusal> refusal_of(const std::string& field, const std::string& value) {
  const Body body = parse_body(fmt::format(R"({{"prompt": "a", "{}": {}}})", field, value));
  if (body.refusal) return body.refusal;
  BodyReader reader(body.json);
  read_completion_request(reader);
  return reader.refusal();
}

TEST(ApiRequestBorders, ValuesAreTakenUpToThemAndNoFurther) {
  for (const Borders& borders : all_borders()) {
    for (const std::string& value : borders.taken) {
      const auto refusal = refusal_of(borders.field, value);
      EXPECT_FALSE(refusal) << borders.field << ": " << value << ": " << refusal->message;
    }
    for (const std::string& value : borders.refused) {
      const auto refusal = refusal_of(borders.field, value);
      ASSERT_TRUE(refusal) << borders.field << ": " << value;
      EXPECT_EQ(refusal->param, borders.field);
    }
  }
}

}  // namespace
}  // namespace tidar
