#include "serve/stream_client.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>

#include "serve/server_testing.h"

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

using StreamClientTest = ServerTest;

TEST_F(StreamClientTest, TimesWhatAServerStreams) {
  serve({.access = {.api_keys = {"key"}}});
  const ServerAddress address = {"127.0.0.1", std::to_string(port_), "key"};
  const auto timed = stream_completion(
      address, {{"prompt", "he"}, {"max_tokens", 30}, {"temperature", 0}, {"ignore_eos", true}});
  ASSERT_TRUE(timed.ok()) << timed.error().message;
  EXPECT_EQ(timed->tokens, 30);
  EXPECT_GT(timed->texts_s.size(), 5u);
  EXPECT_LE(timed->texts_s.size(), 30u);
  double before = 0;
  for (const double at : timed->texts_s) {
    EXPECT_GE(at, before);
    before = at;
  }
  EXPECT_GE(timed->seconds, before);
  EXPECT_LT(timed->seconds, 60);
  // Tokens without text bring none.
  const auto silent = stream_completion(
      address, {{"prompt", "he"}, {"max_tokens", 5}, {"logit_bias", {{"266", 100}}}});
  ASSERT_TRUE(silent.ok()) << silent.error().message;
  EXPECT_EQ(silent->texts_s.size(), 0u);
  EXPECT_EQ(silent->tokens, 1);
}

TEST_F(StreamClientTest, SaysWhyThereIsNoStream) {
  serve({.access = {.api_keys = {"key"}}, .http = {.answer = std::chrono::seconds(1)}});
  ServerAddress address = {"127.0.0.1", std::to_string(port_)};
  const OrderedJson body = {
      {"prompt", "he"}, {"max_tokens", 100}, {"temperature", 0}, {"ignore_eos", true}};
  EXPECT_NE(stream_completion(address, body).error().message.find("the API key is missing"),
            std::string::npos);
  address.api_key = "key";
  EXPECT_NE(stream_completion(address, {{"prompt", 1}}).error().message.find("'prompt' must be"),
            std::string::npos);
  paced_.allow(40);
  EXPECT_NE(stream_completion(address, body)
                .error()
                .message.find("the stream ends: the answer took longer than 1 s"),
            std::string::npos);
}

/// What a client makes of a server that answers with these bytes.
Result<TimedStream> stream_of(std::string_view answer) {
  using boost::asio::ip::tcp;
  boost::asio::io_context context;
  tcp::acceptor acceptor(context, {boost::asio::ip::address_v4::loopback(), 0});
  std::thread server([&] {
    tcp::socket client = acceptor.accept();
    boost::asio::streambuf request;
    boost::asio::read_until(client, request, "}}");  // where its JSON ends
    boost::asio::write(client, boost::asio::buffer(answer));
  });
  auto timed = stream_completion(
      {.host = "127.0.0.1", .port = std::to_string(acceptor.local_endpoint().port())},
      {{"prompt", "a"}});
  server.join();
  return timed;
}

TEST(StreamClient, UnderstandsWhatOtherServersStream) {
  const std::string start = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
  const auto timed =
      stream_of(start +
                ": a comment\n\n"
                "data: {\"choices\": [{\"text\": \"a\"}], \"usage\": null}\n\n"
                "data: {\"choices\": [{\"text\": \"\"}]}\n\n"
                "data: {\"choices\": [{\"text\": null}]}\n\n"
                "data: {\"choices\": [], \"usage\": {\"completion_tokens\": null}}\n\n"
                "data: {\"choices\": [], \"usage\": {\"completion_tokens\": 7}}\n\n"
                "data: [DONE]\n\n");
  ASSERT_TRUE(timed.ok()) << timed.error().message;
  EXPECT_EQ(timed->tokens, 7);
  EXPECT_EQ(timed->texts_s.size(), 1u);
  EXPECT_NE(stream_of(start + "data: {}\n\n").error().message.find("ended in the middle"),
            std::string::npos);
  EXPECT_NE(
      stream_of(start + "data: 5\n\n").error().message.find("expected events of JSON, found '5'"),
      std::string::npos);
  EXPECT_NE(stream_of("HTTP/1.1 503 Busy\r\n\r\nlater").error().message.find("refuses: later"),
            std::string::npos);
}

TEST(StreamClient, NobodyThereIsAnError) {
  const auto stream = stream_completion({.host = "127.0.0.1", .port = "1"}, {{"prompt", "a"}});
  ASSERT_FALSE(stream.ok());
  EXPECT_NE(stream.error().message.find("does not answer"), std::string::npos);
}

}  // namespace
}  // namespace tidar
