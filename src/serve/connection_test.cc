// HTTP/1.1 as clients speak it: requests and answers of one connection.

#include "serve/connection.h"

#include <gtest/gtest.h>

#include <string>

#include "serve/server_testing.h"

namespace tidar {
namespace {

using ConnectionTest = ServerTest;

const OrderedJson kShort = {{"prompt", "he"}, {"max_tokens", 5}, {"temperature", 0}};
/// Each token has its event where it is streamed.
const OrderedJson kLong = {{"prompt", "a"},
                           {"max_tokens", 190},
                           {"temperature", 0},
                           {"logprobs", 0},
                           {"ignore_eos", true}};

TEST_F(ConnectionTest, AConnectionStaysAsLongAsItsClientWants) {
  serve();
  SocketClient client(port_);
  for (int i = 0; i < 3; ++i) {
    client.send(get("/health"));
    const HttpAnswer answer = client.read_answer();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.reason, " OK");
    EXPECT_EQ(answer.fields.at("Connection"), "keep-alive");
    EXPECT_EQ(answer.fields.at("Content-Type"), "application/json");
    EXPECT_EQ(answer.body, R"({"status":"ok"})");
  }
  client.send("GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(client.read_answer().fields.at("Connection"), "keep-alive");
  client.send(get("/health", kClose) + get("/health"));
  EXPECT_EQ(client.read_answer().fields.at("Connection"), "close");
  EXPECT_EQ(client.read_to_the_end(), "");

  SocketClient old(port_);
  old.send("GET /health HTTP/1.0\r\n\r\n");
  EXPECT_EQ(old.read_answer().fields.at("Connection"), "close");
  EXPECT_EQ(old.read_to_the_end(), "");
}

TEST_F(ConnectionTest, RequestsThatComeTogetherAreAnsweredInTheirOrder) {
  serve();
  OrderedJson body = kShort;
  std::string all;
  for (int tokens = 9; tokens > 4; --tokens) {
    body["max_tokens"] = tokens;
    all += completion(body) + get("/health") + "HEAD /props HTTP/1.1\r\n\r\n";
  }
  SocketClient client(port_);
  client.send(all);
  for (int tokens = 9; tokens > 4; --tokens) {
    EXPECT_EQ(client.read_answer().json()["usage"]["completion_tokens"], tokens);
    EXPECT_EQ(client.read_answer().json()["status"], "ok");
    EXPECT_EQ(client.read_answer(true).status, 200);
  }
}

TEST_F(ConnectionTest, NothingOfOneAnswerIsInTheNext) {
  serve({.access = {.api_keys = {"key"}}});
  constexpr std::string_view kKey = "Authorization: Bearer key\r\n";
  SocketClient client(port_);
  client.send(completion(kShort, kKey) + get("/health") + get("/v1/completions", kKey) +
              get("/v1/models") + get("/nothing"));
  EXPECT_EQ(client.read_answer().fields.at("Tidar-Method"), "ar");
  EXPECT_EQ(client.read_answer().fields.size(), 3u);
  const HttpAnswer wrong = client.read_answer();
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.fields.at("Allow"), "POST");
  EXPECT_EQ(wrong.fields.size(), 4u);
  const HttpAnswer unknown = client.read_answer();
  EXPECT_EQ(unknown.status, 401);
  EXPECT_EQ(unknown.reason, " Unauthorized");
  EXPECT_EQ(unknown.fields.at("WWW-Authenticate"), "Bearer");
  EXPECT_EQ(unknown.fields.size(), 4u);
  const HttpAnswer nothing = client.read_answer();
  EXPECT_EQ(nothing.status, 404);
  EXPECT_EQ(nothing.fields.size(), 3u);
}

TEST_F(ConnectionTest, TheHeadAlone) {
  serve();
  SocketClient client(port_);
  for (const char* const path : {"/health", "/nothing", "/", "/v1/completions"}) {
    client.send(fmt::format("HEAD {} HTTP/1.1\r\n\r\n", path) + get(path) + get("/health"));
    const HttpAnswer head = client.read_answer(true), whole = client.read_answer();
    EXPECT_EQ(head.status, whole.status);
    EXPECT_EQ(head.fields, whole.fields);
    EXPECT_GT(whole.body.size(), 0u);
    EXPECT_EQ(client.read_answer().body, R"({"status":"ok"})");
  }
}

TEST_F(ConnectionTest, ABodyMayComeInChunks) {
  serve();
  const std::string body = kShort.dump();
  const HttpAnswer whole = ask(completion(kShort));
  SocketClient client(port_);
  client.send("POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
  client.send(fmt::format("{:x};name=value\r\n{}\r\n", 7, body.substr(0, 7)));
  client.send(fmt::format("{:X}\r\n{}\r\n", body.size() - 7, body.substr(7)));
  client.send("0\r\nLast: field\r\n\r\n" + get("/health"));
  EXPECT_EQ(client.read_answer().json()["choices"], whole.json()["choices"]);
  EXPECT_EQ(client.read_answer().status, 200);
}

/// A body of so many bytes.
std::string body_of(size_t size) {
  const std::string body = kShort.dump();
  return body + std::string(size - body.size(), ' ');
}

std::string in_chunks(std::string_view body) {
  std::string text = "POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (size_t from = 0; from < body.size(); from += 300) {
    const std::string_view part = body.substr(from, 300);
    text += fmt::format("{:x}\r\n{}\r\n", part.size(), part);
  }
  return text + "0\r\n\r\n";
}

TEST_F(ConnectionTest, ABodyHasSoManyBytesAtMost) {
  serve({.http = {.body_bytes = 1000}});
  EXPECT_EQ(ask(post("/v1/completions", body_of(1000))).status, 200);
  EXPECT_EQ(ask(in_chunks(body_of(1000))).status, 200);
  for (const std::string& request :
       {post("/v1/completions", body_of(1001)), in_chunks(body_of(1001))}) {
    SocketClient client(port_);
    client.send(request);
    const HttpAnswer answer = client.read_answer();
    EXPECT_EQ(answer.status, 413);
    EXPECT_NE(answer.message().find("longer than 1000 bytes"), std::string::npos);
    EXPECT_EQ(answer.json()["error"]["type"], "invalid_request_error");
    EXPECT_EQ(client.read_to_the_end(), "") << "where the next request begins is not known";
  }
}

TEST_F(ConnectionTest, AHeadHasSoManyBytesAtMost) {
  serve({.http = {.header_bytes = 1000}});
  const auto status = [&](size_t bytes) {
    const std::string without = get("/health", "X: \r\n");
    return ask(get("/health", "X: " + std::string(bytes - without.size(), 'y') + "\r\n"));
  };
  EXPECT_EQ(status(1000).status, 200);
  const HttpAnswer refused = status(1030);  // the request's line counts for itself
  EXPECT_EQ(refused.status, 431);
  EXPECT_NE(refused.message().find("longer than 1000 bytes"), std::string::npos);
  EXPECT_EQ(ask("GET /" + std::string(2000, 'a')).status, 431) << "of a line without an end";
}

TEST_F(ConnectionTest, WhoSaysWhatIsNoHttpHearsSoOnce) {
  serve();
  SocketClient client(port_);
  client.send("hello\r\n\r\n" + get("/health"));
  const HttpAnswer answer = client.read_answer();
  EXPECT_EQ(answer.status, 400);
  EXPECT_NE(answer.message().find("this is no HTTP request"), std::string::npos);
  EXPECT_EQ(answer.fields.at("Connection"), "close");
  EXPECT_EQ(client.read_to_the_end(), "");
  // Behind a request whose answer comes whole.
  SocketClient other(port_);
  other.send(completion(kShort) + "hello\r\n\r\n");
  EXPECT_EQ(other.read_answer().json()["usage"]["completion_tokens"], 5);
  EXPECT_EQ(other.read_to_the_end(), "");
}

TEST_F(ConnectionTest, WhoIsRefusedEarlyCanReadWhy) {
  serve({.http = {.body_bytes = 1000}});
  SocketClient client(port_);
  client.send("POST /v1/completions HTTP/1.1\r\nContent-Length: 100000000\r\n\r\n");
  for (int i = 0; i < 64; ++i) client.send(std::string(1 << 20, 'x'));
  EXPECT_EQ(client.read_answer().status, 413);
}

TEST_F(ConnectionTest, WhoAsksIsToldThatItsBodyMayCome) {
  constexpr std::string_view kGoOn = "HTTP/1.1 100 Continue\r\n\r\n";
  serve({.http = {.body_bytes = 1000}});
  const std::string body = kShort.dump();
  const std::string request = completion(kShort, "Expect: 100-Continue\r\n");
  const std::string head = request.substr(0, request.size() - body.size());
  SocketClient client(port_);
  for (int i = 0; i < 2; ++i) {
    client.send(head);
    EXPECT_EQ(client.read_bytes(kGoOn.size()), kGoOn);
    client.send(body);
    EXPECT_EQ(client.read_answer().status, 200);
  }
  client.send(completion(kShort));
  EXPECT_EQ(client.read_answer().status, 200) << "who does not ask is not told";
  // Not in the middle of another answer.
  paced_.allow(0);
  client.send(completion(kShort) + head);
  paced_.await_pass();
  EXPECT_EQ(ask(get("/health")).status, 200);  // by now it has read what came before
  paced_.allow_all();
  EXPECT_EQ(client.read_answer().json()["usage"]["completion_tokens"], 5);
  EXPECT_EQ(client.read_bytes(kGoOn.size()), kGoOn);
  client.send(body);
  EXPECT_EQ(client.read_answer().status, 200);
  // Old clients take it for their answer.
  SocketClient old(port_);
  old.send(
      fmt::format("POST /v1/completions HTTP/1.0\r\nExpect: 100-continue\r\n"
                  "Content-Length: {}\r\n\r\n{}",
                  body.size(), body));
  EXPECT_EQ(old.read_answer().status, 200);
  // What is refused whatever the body is, is not asked for it.
  EXPECT_EQ(ask("POST /v1/completions HTTP/1.1\r\nContent-Length: 1001\r\n"
                "Expect: 100-continue\r\n\r\n")
                .status,
            413);
}

/// The data of server-sent events.
std::vector<std::string> events_of(std::string_view text) {
  constexpr std::string_view kBegin = "data: ", kEnd = "\n\n";
  std::vector<std::string> events;
  while (!text.empty()) {
    const size_t end = text.find(kEnd);
    const size_t begin = text.find(kBegin);
    if (begin > end || end == std::string_view::npos) {
      ADD_FAILURE() << text;
      return events;
    }
    events.emplace_back(text.substr(begin + kBegin.size(), end - begin - kBegin.size()));
    text.remove_prefix(end + kEnd.size());
  }
  return events;
}

std::string text_of(const std::vector<std::string>& events) {
  std::string text;
  for (const std::string& event : events) {
    if (event == "[DONE]") continue;
    const OrderedJson json = OrderedJson::parse(event);
    for (const OrderedJson& choice : json.at("choices")) {
      text += choice.at("text").get<std::string>();
    }
  }
  return text;
}

TEST_F(ConnectionTest, AStreamComesInChunksAndToOldClientsAsItIs) {
  serve();
  OrderedJson body = kShort;
  body["max_tokens"] = 40;
  const std::string wanted = ask(completion(body)).json()["choices"][0]["text"];
  body["stream"] = true;
  SocketClient client(port_);
  for (int i = 0; i < 2; ++i) {
    client.send(completion(body));
    const HttpAnswer answer = client.read_answer();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.fields.at("Content-Type"), "text/event-stream");
    EXPECT_EQ(answer.fields.at("Cache-Control"), "no-cache");
    EXPECT_EQ(answer.fields.at("Transfer-Encoding"), "chunked");
    EXPECT_EQ(answer.fields.at("Tidar-Equals-AR"), "true");
    const auto events = events_of(client.read_chunks());
    EXPECT_EQ(text_of(events), wanted);
    EXPECT_EQ(events.back(), "[DONE]");
  }
  const std::string text = body.dump();
  for (const char* const fields : {"", "Connection: keep-alive\r\n"}) {
    SocketClient old(port_);
    old.send(fmt::format("POST /v1/completions HTTP/1.0\r\nContent-Length: {}\r\n{}\r\n{}",
                         text.size(), fields, text));
    const HttpAnswer answer = old.read_answer();
    EXPECT_FALSE(answer.fields.contains("Transfer-Encoding"));
    EXPECT_EQ(answer.fields.at("Connection"), "close");
    const auto events = events_of(old.read_to_the_end());
    EXPECT_EQ(text_of(events), wanted);
    EXPECT_EQ(events.back(), "[DONE]");
  }
}

TEST_F(ConnectionTest, ARequestHasSoMuchTimeToArriveAndAnIdleConnectionAsMuch) {
  serve({.http = {.read = std::chrono::seconds(1)}});
  SocketClient half_head(port_), half_body(port_), silent(port_), idle(port_), waits(port_);
  paced_.allow(0);
  const Stopwatch watch;
  half_head.send("GET /health HTT");
  half_body.send("POST /v1/completions HTTP/1.1\r\nContent-Length: 100\r\n\r\n{");
  idle.send(get("/health"));
  waits.send(completion(kShort));
  EXPECT_EQ(idle.read_answer().status, 200);
  for (SocketClient* const client : {&half_head, &half_body}) {
    const HttpAnswer answer = client->read_answer();
    EXPECT_EQ(answer.status, 408);
    EXPECT_NE(answer.message().find("longer than 1 s"), std::string::npos);
    EXPECT_EQ(client->read_to_the_end(), "");
  }
  EXPECT_EQ(silent.read_to_the_end(), "");
  EXPECT_EQ(idle.read_to_the_end(), "");
  EXPECT_GE(watch.seconds(), 0.9);
  // Who waits for an answer does so as long as that takes.
  while (watch.seconds() < 1.5) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  paced_.allow_all();
  EXPECT_EQ(waits.read_answer().json()["usage"]["completion_tokens"], 5);
}

TEST_F(ConnectionTest, AnAnswerHasSoMuchTime) {
  serve({.http = {.answer = std::chrono::seconds(1)}});
  paced_.allow(3);
  OrderedJson body = kLong;
  body["stream"] = true;
  SocketClient streamed(port_), whole(port_);
  streamed.send(completion(body));
  EXPECT_EQ(streamed.read_answer().status, 200);
  whole.send(completion(kLong));
  const HttpAnswer answer = whole.read_answer();
  EXPECT_EQ(answer.status, 504);
  EXPECT_NE(answer.message().find("longer than 1 s"), std::string::npos);
  EXPECT_NE(events_of(streamed.read_chunks()).back().find("longer than 1 s"), std::string::npos);
  paced_.allow_all();
  await_metric("request_success_total{finished_reason=\"cancelled\"}", 2);
  // The connections are as good as before, and a quick answer has nothing to fear.
  for (SocketClient* const client : {&whole, &streamed}) {
    client->send(completion(kShort));
    EXPECT_EQ(client->read_answer().status, 200);
  }
}

// Whatever it had asked for: what is done for it ends within a pass.
TEST_F(ConnectionTest, AClientThatGoesIsNoticed) {
  serve({.log = LogStyle::text});
  OrderedJson body = kLong;
  int gone = 0;
  for (const bool stream : {false, true}) {
    body["stream"] = stream;
    for (const auto leave :
         {&SocketClient::close, &SocketClient::reset, &SocketClient::close_sending}) {
      paced_.allow(stream ? 4 : 0);
      SocketClient client(port_);
      client.send(completion(body));
      if (stream) {
        EXPECT_NE(client.read_until("data: {"), "");
      }
      paced_.await_pass();
      (client.*leave)();
      await_metric("connections", 1);
      paced_.allow(10);
      await_metric("request_success_total{finished_reason=\"cancelled\"}", ++gone);
      EXPECT_EQ(metric("pages{state=\"held\"}"), 0);
    }
  }
  EXPECT_EQ(metric("http_requests_total{route=\"/v1/completions\",status=\"499\"}"), 3);
  EXPECT_EQ(metric("http_requests_total{route=\"/v1/completions\",status=\"200\"}"), 3);
  std::istringstream lines(logged());
  for (int i = 0; i < 6; ++i) {
    std::string line;
    std::getline(lines, line);
    EXPECT_NE(line.find(i < 3 ? " POST /v1/completions 499 " : " POST /v1/completions 200 "),
              std::string::npos)
        << line;
    EXPECT_TRUE(line.ends_with(", cut")) << line;
  }
}

TEST(GrowingBody, TakesNoRoomByWordsAlone) {
  namespace http = boost::beast::http;
  http::request_header<> header;
  std::string body;
  GrowingBody::reader reader(header, body);
  boost::system::error_code failure;
  reader.init(uint64_t{1} << 40, failure);
  EXPECT_FALSE(failure);
  reader.put(boost::asio::buffer("abc", 3), failure);
  EXPECT_EQ(body, "abc");
  EXPECT_LT(body.capacity(), 100u);
}

TEST_F(ConnectionTest, AllBodiesHaveSoManyBytesTogether) {
  serve({.http = {.body_bytes = 1000, .all_bodies_bytes = 2000}});
  const auto part = [](std::string_view fields) {
    return fmt::format("POST /v1/completions HTTP/1.1\r\n{}\r\n", fields);
  };
  SocketClient first(port_), second(port_);
  first.send(part("Content-Length: 1000\r\n") + body_of(1000).substr(0, 999));
  second.send(part("Transfer-Encoding: chunked\r\n") + "3e8\r\n" + body_of(1000).substr(0, 900));
  await_metric("request_body_bytes", 1899);
  const HttpAnswer refused = ask(post("/v1/completions", body_of(102)));
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.fields.at("Retry-After"), "1");
  EXPECT_NE(refused.message().find("2000 bytes together"), std::string::npos);
  EXPECT_EQ(metric("request_body_bytes"), 1899);
  EXPECT_EQ(ask(post("/v1/completions", body_of(101))).status, 200);
  // What is understood, or cut, leaves room.
  first.send(" ");
  EXPECT_EQ(first.read_answer().status, 200);
  second.close();
  await_metric("request_body_bytes", 0);
}

TEST_F(ConnectionTest, WhoDoesNotReadForLongIsLeft) {
  serve({.http = {.body_bytes = 64 << 20, .write = std::chrono::seconds(1)}});
  // More than the system keeps of it on its way.
  const std::string text(size_t{12} << 20, 'x');
  SocketClient client(port_, 4096);
  client.send(post("/apply-template",
                   OrderedJson{{"messages", {{{"role", "user"}, {"content", text}}}}}.dump()));
  await_metric("http_requests_total{route=\"/apply-template\",status=\"200\"}", 1);
  EXPECT_LT(client.read_to_the_end().size(), text.size());
}

}  // namespace

/// The engine has room for much that nobody reads.
class SlowReaderTest : public ServerTest {
 protected:
  SlowReaderTest()
      : ServerTest({.max_rows = 24, .pages = 1000, .max_position = 3000, .vocabulary = 268}) {}
};

TEST_F(SlowReaderTest, WhoReadsSlowlyIsSparedSomeOfThePassesAndNoText) {
  serve({.http = {.write = std::chrono::minutes(10)}});
  OrderedJson body = {{"prompt", "a"},  {"n", 8},           {"max_tokens", 1200},
                      {"seed", 1},      {"temperature", 1}, {"ignore_eos", true},
                      {"logprobs", 20}, {"method", "ar"}};
  const OrderedJson whole = ask(completion(body)).json();
  body["stream"] = true;
  body["stream_options"] = {{"include_drafts", true}, {"include_rows", true}};
  SocketClient client(port_, 4096);
  client.send(completion(body));
  await_metric("generation_tokens_total", 2 * 8 * 1200);
  client.read_answer();
  std::vector<std::string> texts(8);
  size_t passes = 0;
  for (const std::string& event : events_of(client.read_chunks())) {
    if (event == "[DONE]") continue;
    const OrderedJson json = OrderedJson::parse(event);
    passes += json.contains("draft") ? 1 : 0;
    for (const OrderedJson& choice : json["choices"]) {
      texts[choice["index"].get<size_t>()] += choice["text"].get<std::string>();
    }
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(texts[i], whole["choices"][i]["text"]) << i;
  }
  EXPECT_GT(passes, 0u);
  EXPECT_LT(passes, 8u * 1200);
}

}  // namespace tidar
