// What all connections of a server share: its limits, its log, its end.

#include "serve/server.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "serve/server_testing.h"

namespace tidar {
namespace {

/// Each token has its event where it is streamed.
const OrderedJson kLongAnswer = {{"prompt", "he"},
                                 {"max_tokens", 100},
                                 {"temperature", 0},
                                 {"logprobs", 0},
                                 {"ignore_eos", true}};

OrderedJson streamed(OrderedJson body) {
  body["stream"] = true;
  return body;
}

TEST_F(ServerTest, SoManyConnectionsAreOpenAtMost) {
  serve({.most_connections = 3});
  std::vector<std::unique_ptr<SocketClient>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<SocketClient>(port_));
    clients.back()->send(get("/metrics"));
    EXPECT_EQ(samples_of(clients.back()->read_answer().body)["tidar:connections"], i + 1);
  }
  for (int i = 0; i < 5; ++i) {
    SocketClient another(port_);
    const HttpAnswer answer = another.read_answer();
    EXPECT_EQ(answer.status, 503);
    EXPECT_EQ(answer.fields.at("Retry-After"), "1");
    EXPECT_NE(answer.message().find("of 3 at most"), std::string::npos);
    EXPECT_EQ(another.read_to_the_end(), "");
  }
  clients[0]->send(get("/health"));
  EXPECT_EQ(clients[0]->read_answer().status, 200);
  clients.pop_back();
  int status = 0;
  while (status != 200) status = ask(get("/health", kClose)).status;
}

TEST_F(ServerTest, SoManyOutputsAreUnderWayAtMost) {
  serve({.most_outputs = 2});
  paced_.allow(0);
  SocketClient first(port_);
  OrderedJson two = kLongAnswer;
  two["n"] = 2;
  first.send(completion(two));
  paced_.await_pass();
  const HttpAnswer answer = ask(completion(kLongAnswer));
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.fields.at("Retry-After"), "1");
  EXPECT_EQ(answer.json()["error"]["type"], "rate_limit_error");
  EXPECT_EQ(ask(get("/health")).status, 200);
  paced_.allow_all();
  EXPECT_EQ(first.read_answer().status, 200);
  EXPECT_EQ(ask(completion(kLongAnswer)).status, 200);
  two["n"] = 3;
  EXPECT_EQ(ask(completion(two)).status, 400) << "they never fit";
}

TEST_F(ServerTest, ToldToEndItEndsWithTheLastAnswer) {
  serve({.log = LogStyle::text});
  paced_.allow(4);
  SocketClient idle(port_), half(port_), stream(port_), whole(port_);
  idle.send(get("/health"));
  idle.read_answer();
  half.send("GET /hea");
  stream.send(completion(streamed(kLongAnswer)));
  stream.read_until("data: {");
  whole.send(completion(kLongAnswer));
  EXPECT_EQ(ask(get("/health")).status, 200);  // by now it has read what came before
  signal();
  EXPECT_EQ(idle.read_to_the_end(), "");
  EXPECT_EQ(half.read_to_the_end(), "");
  EXPECT_FALSE(SocketClient(port_).connected()) << "nobody is let in any more";
  paced_.allow_all();
  EXPECT_TRUE(stream.read_to_the_end().ends_with("data: [DONE]\n\n\r\n0\r\n\r\n"));
  const HttpAnswer answer = whole.read_answer();
  EXPECT_EQ(answer.json()["usage"]["completion_tokens"], 100);
  EXPECT_EQ(whole.read_to_the_end(), "");
  for (SocketClient* const client : {&stream, &whole}) client->close();
  await_end();
  const std::string log = logged();
  EXPECT_NE(log.find(" connections have ended, or in 30 s"), std::string::npos) << log;
  EXPECT_TRUE(log.ends_with("Z ended\n")) << log;
}

TEST_F(ServerTest, WhatTakesLongerThanTheGraceEndsWithAReason) {
  serve({.grace = std::chrono::seconds(0)});
  paced_.allow(4);
  SocketClient whole(port_), stream(port_);
  stream.send(completion(streamed(kLongAnswer)));
  stream.read_until("data: {");
  whole.send(completion(kLongAnswer));
  EXPECT_EQ(ask(get("/health")).status, 200);
  signal();
  const HttpAnswer answer = whole.read_answer();
  EXPECT_EQ(answer.status, 503);
  EXPECT_NE(answer.message().find("the server ends"), std::string::npos);
  EXPECT_EQ(answer.fields.at("Retry-After"), "1");
  EXPECT_NE(stream.read_to_the_end().find("the server ends"), std::string::npos);
  for (SocketClient* const client : {&stream, &whole}) client->close();
  paced_.allow_all();
  await_end();
}

TEST_F(ServerTest, ASecondSignalEndsItAtOnce) {
  serve();
  paced_.allow(4);
  SocketClient stream(port_);
  stream.send(completion(streamed(kLongAnswer)));
  stream.read_until("data: {");
  const Stopwatch watch;
  signal();
  signal();
  paced_.allow_all();
  await_end();
  EXPECT_LT(watch.seconds(), 20) << "the grace is 30 s";
  end();
  EXPECT_EQ(stream.read_to_the_end().find("[DONE]"), std::string::npos);
}

TEST_F(ServerTest, EachAnswerHasALineAndThoseOfWhoWatchesHaveNone) {
  serve({.log = LogStyle::text});
  OrderedJson body = kLongAnswer;
  body["max_tokens"] = 5;
  ask(completion(body));
  ask(get("/health"));
  ask(get("/metrics"));
  ask(get("/nothing?secret"));
  ask("hello\r\n\r\n");
  std::istringstream lines(logged());
  const auto next = [&] {
    std::string line;
    std::getline(lines, line);
    return line;
  };
  const std::string first = next();
  EXPECT_NE(first.find("Z 127.0.0.1 POST /v1/completions 200 "), std::string::npos) << first;
  EXPECT_TRUE(first.ends_with(" bytes, 1 + 5 tokens")) << first;
  EXPECT_NE(next().find(" GET /nothing 404 "), std::string::npos);
  EXPECT_NE(next().find(" - - 400 "), std::string::npos);
  EXPECT_NE(next().find(" ends when "), std::string::npos);
}

TEST_F(ServerTest, SaysWhereItCannotListen) {
  serve();
  const auto other = Server::listen(model_, engine_, {.port = port_});
  ASSERT_FALSE(other.ok());
  EXPECT_TRUE(other.error().message.starts_with(fmt::format("127.0.0.1:{}: ", port_)));
  EXPECT_NE(other.error().message.find("another --port or --host may be free"), std::string::npos);
}

}  // namespace
}  // namespace tidar
