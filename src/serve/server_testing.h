#pragma once
// For tests over sockets: a server of a mock model on a thread of its own, and clients that say and
// hear bytes.

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "base/stopwatch.h"
#include "serve/answering_testing.h"
#include "serve/server.h"

namespace tidar {

/// An answer as it comes.
struct HttpAnswer {
  int status = 0;
  std::string reason;
  std::map<std::string, std::string> fields;
  std::string body;

  OrderedJson json() const { return OrderedJson::parse(body); }
  std::string message() const { return json().at("error").at("message").get<std::string>(); }
};

/// A connection to a server. Whoever waits too long for something has failed.
class SocketClient {
 public:
  /// `room` for what was not read yet, in bytes; 0: as the system has it.
  explicit SocketClient(int port, int room = 0) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    if (room > 0) setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
    const timeval patience = {.tv_sec = 60, .tv_usec = 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ =
        connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~SocketClient() { close(); }
  SocketClient(const SocketClient&) = delete;
  SocketClient& operator=(const SocketClient&) = delete;

  bool connected() const { return connected_; }

  /// Who is refused early may find that nobody listens to the rest any more.
  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
  }

  /// All that comes up to this, and it; less where the connection ends before.
  std::string read_until(std::string_view end) {
    size_t found = std::string::npos;
    while ((found = heard_.find(end)) == std::string::npos && hear()) {
    }
    return take(found == std::string::npos ? heard_.size() : found + end.size());
  }
  std::string read_to_the_end() {
    while (hear()) {
    }
    return take(heard_.size());
  }
  std::string read_bytes(size_t count) {
    while (heard_.size() < count && hear()) {
    }
    return take(std::min(count, heard_.size()));
  }
  /// Its body is as long as its head says; with `bodiless` there is none.
  HttpAnswer read_answer(bool bodiless = false) {
    HttpAnswer answer;
    std::istringstream head(read_until("\r\n\r\n"));
    std::string word;
    head >> word >> answer.status;
    EXPECT_EQ(word, "HTTP/1.1");
    std::getline(head, answer.reason, '\r');
    for (std::string line; std::getline(head, line, '\r');) {
      const size_t colon = line.find(": ");
      if (colon == std::string::npos) continue;
      EXPECT_TRUE(answer.fields.emplace(line.substr(1, colon - 1), line.substr(colon + 2)).second)
          << line;
    }
    if (!bodiless && answer.fields.contains("Content-Length")) {
      answer.body = read_bytes(std::stoul(answer.fields["Content-Length"]));
    }
    return answer;
  }
  /// What comes in chunks, joined.
  std::string read_chunks() {
    std::string all;
    while (const size_t size = std::stoul(read_until("\r\n"), nullptr, 16)) {
      all += read_bytes(size);
      EXPECT_EQ(read_bytes(2), "\r\n");
    }
    EXPECT_EQ(read_bytes(2), "\r\n");
    return all;
  }

  void close_sending() { shutdown(socket_, SHUT_WR); }
  void close() {
    if (const int own = std::exchange(socket_, -1); own >= 0) ::close(own);
  }
  /// With a reset instead of an end.
  void reset() {
    const linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close();
  }

 private:
  bool hear() {
    std::array<char, 1 << 16> part;
    const ssize_t size = recv(socket_, part.data(), part.size(), 0);
    EXPECT_FALSE(size < 0 && errno == EAGAIN) << "nothing came for a minute behind " << heard_;
    if (size <= 0) return false;
    heard_.append(part.data(), static_cast<size_t>(size));
    return true;
  }
  std::string take(size_t count) {
    std::string taken = heard_.substr(0, count);
    heard_.erase(0, count);
    return taken;
  }

  int socket_;
  bool connected_ = false;
  std::string heard_;  // and not taken yet
};

/// A request as it is sent.
inline std::string get(std::string_view path, std::string_view fields = "") {
  return fmt::format("GET {} HTTP/1.1\r\n{}\r\n", path, fields);
}
inline std::string post(std::string_view path, std::string_view body,
                        std::string_view fields = "") {
  return fmt::format("POST {} HTTP/1.1\r\nContent-Length: {}\r\n{}\r\n{}", path, body.size(),
                     fields, body);
}
inline std::string completion(const OrderedJson& body, std::string_view fields = "") {
  return post("/v1/completions", body.dump(), fields);
}

inline constexpr std::string_view kClose = "Connection: close\r\n";

/// A server for each test, which calls serve().
class ServerTest : public MockModelTest {
 public:
  ~ServerTest() override { end(); }

 protected:
  using MockModelTest::MockModelTest;

  void serve(ServerOptions options = {}) {
    options.port = 0;
    log_.reset(std::tmpfile());
    if (options.log != LogStyle::none) options.log_file = fileno(log_.get());
    server_.emplace(Server::listen(model_, engine_, options).value());
    port_ = server_->port();
    running_ = std::thread([this] { server_->run(); });
  }
  /// As a system tells it to end.
  static void signal() { std::raise(SIGTERM); }
  /// Until it has ended by itself.
  void await_end() {
    if (running_.joinable()) running_.join();
  }
  void end() {
    if (!server_) return;
    paced_.allow_all();
    if (running_.joinable()) {
      signal();
      signal();
    }
    await_end();
    server_.reset();
  }
  /// What the log has, once the server has ended.
  std::string logged() {
    end();
    std::rewind(log_.get());
    std::string text;
    for (int c = std::fgetc(log_.get()); c != EOF; c = std::fgetc(log_.get())) {
      text += static_cast<char>(c);
    }
    return text;
  }

  /// The answer on a connection of its own.
  HttpAnswer ask(const std::string& request) const {
    SocketClient client(port_);
    client.send(request);
    return client.read_answer();
  }
  /// 0 where it is not told of yet.
  double metric(const std::string& name) const {
    const auto samples = samples_of(ask(get("/metrics")).body);
    const auto found = samples.find("tidar:" + name);
    return found == samples.end() ? 0 : found->second;
  }
  void await_metric(const std::string& name, double value) const {
    const Stopwatch watch;
    while (watch.seconds() < 300) {  // with sanitizers, on a busy machine
      if (metric(name) == value) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ADD_FAILURE() << name << " is " << metric(name) << ", and not " << value;
  }

  int port_ = 0;

 private:
  struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, Closer> log_;
  std::optional<Server> server_;
  std::thread running_;
};

}  // namespace tidar
