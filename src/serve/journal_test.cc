#include "serve/journal.h"

#include <gtest/gtest.h>

#include "format/json.h"

namespace tidar {
namespace {

const Exchange kExchange = {.client = "127.0.0.1",
                            .method = "POST",
                            .path = "/v1/completions",
                            .route = "/v1/completions",
                            .status = 200,
                            .seconds = 0.01234,
                            .bytes = 345,
                            .prompt_tokens = 12,
                            .new_tokens = 40};

TEST(Journal, LinesTellWhoAskedForWhatAndWhatBecameOfIt) {
  EXPECT_EQ(log_line(LogStyle::text, "now", kExchange),
            "now 127.0.0.1 POST /v1/completions 200 12.34 ms, 345 bytes, 12 + 40 tokens");
  EXPECT_EQ(log_line(LogStyle::text, "now", Exchange{.client = "::1", .cut = true}),
            "now ::1 - - 499 0 ms, 0 bytes, cut");
  EXPECT_EQ(log_line(LogStyle::text, "now", "hello"), "now hello");
  EXPECT_EQ(Json::parse(log_line(LogStyle::json, "now", kExchange)),
            Json::parse(R"({"time": "now", "client": "127.0.0.1", "method": "POST",
                            "path": "/v1/completions", "status": 200, "cut": false, "ms": 12.34,
                            "bytes": 345, "prompt_tokens": 12, "new_tokens": 40})"));
  EXPECT_EQ(Json::parse(log_line(LogStyle::json, "now", "hello")),
            Json::parse(R"({"time": "now", "message": "hello"})"));
}

TEST(Journal, ALineStaysOneShortLineWhateverClientsWrite) {
  for (const LogStyle style : {LogStyle::text, LogStyle::json}) {
    Exchange exchange = kExchange;
    exchange.path = "/\n\x1b[31m\xff \"";
    exchange.path.append(5000, 'x');
    const std::string line = log_line(style, "now", exchange);
    EXPECT_LT(line.size(), 500u);
    for (const char c : line) EXPECT_TRUE(c >= ' ' && c <= '~') << int{c};
    if (style == LogStyle::json) {
      EXPECT_TRUE(Json::parse(line)["path"].get<std::string>().starts_with("/??[31m??\"xxx"));
    }
  }
}

TEST(Journal, SaysHowManyLinesAreMissing) {
  EXPECT_NE(lost_line(LogStyle::text, 17).find("Z 17 lines"), std::string::npos);
  const std::string line = lost_line(LogStyle::json, 17);
  EXPECT_TRUE(Json::parse(line)["message"].get<std::string>().starts_with("17 lines"));
  EXPECT_TRUE(line.ends_with("}\n"));
}

TEST(Journal, CountsAnswersAndWritesThemAsLines) {
  Metrics metrics;
  std::string written;
  Journal silent(LogStyle::none, nullptr, metrics);
  Journal loud(
      LogStyle::json, [&](std::string_view lines) { written += lines; }, metrics);
  silent.end(kExchange);
  silent.say("nobody hears");
  loud.end(kExchange);
  loud.say("hello");
  EXPECT_EQ((metrics.answers[{"/v1/completions", 200}]), 2);
  EXPECT_EQ(std::count(written.begin(), written.end(), '\n'), 2);
  EXPECT_TRUE(written.ends_with("\"message\":\"hello\"}\n")) << written;
}

TEST(Journal, WritesOfWhoWatchesOnlyWhatIsWrong) {
  Metrics metrics;
  int lines = 0;
  Journal journal(
      LogStyle::text, [&](std::string_view) { ++lines; }, metrics);
  for (const char* const route : {"/health", "/metrics"}) {
    for (const int status : {200, 401}) {
      Exchange exchange = kExchange;
      exchange.route = route;
      exchange.status = status;
      journal.end(exchange);
      EXPECT_EQ((metrics.answers[{route, status}]), 1);
    }
  }
  EXPECT_EQ(lines, 2);
}

}  // namespace
}  // namespace tidar
