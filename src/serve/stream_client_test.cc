#include "serve/stream_client.h"

#include <gtest/gtest.h>

namespace tidar {
namespace {

TEST(StreamClient, AServerIsNamedByItsUrl) {
  const auto named = [](std::string_view url) {
    const auto address = parse_server_url(url);
    return address.ok() ? address->host + " " + address->port : address.error().message;
  };
  EXPECT_EQ(named("http://127.0.0.1:8080"), "127.0.0.1 8080");
  EXPECT_EQ(named("http://localhost:1/"), "localhost 1");
  EXPECT_EQ(named("http://host"), "host 80");
  for (const char* wrong : {"", "localhost:80", "https://a:1", "http://", "http://:80", "http://a:",
                            "http://a:x", "http://a:65536", "http://a:1/v1", "http://a/b:1"}) {
    EXPECT_NE(named(wrong).find("expected http://HOST:PORT"), std::string::npos) << wrong;
  }
}

TEST(StreamClient, NobodyThereIsAnError) {
  const auto stream = stream_completion({.host = "127.0.0.1", .port = "1"}, {{"prompt", "a"}});
  ASSERT_FALSE(stream.ok());
  EXPECT_NE(stream.error().message.find("does not answer"), std::string::npos);
}

}  // namespace
}  // namespace tidar
