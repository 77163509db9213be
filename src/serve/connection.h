#pragma once
// One connection of a client, HTTP/1.1: reads requests one after another, writes their answers.
// A read is pending while an answer is under way, so a client that goes is noticed at once, and
// what the engine does for it is cancelled.

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

#include "serve/answering.h"
#include "serve/routes.h"

namespace tidar {

/// What a client may send, and how long it may take.
struct HttpLimits {
  uint32_t header_bytes = 16 << 10;
  uint64_t body_bytes = 8 << 20;
  std::chrono::seconds read{60};   ///< from the end of an answer to the end of the next request
  std::chrono::seconds write{30};  ///< until the client takes what was sent
  std::chrono::seconds linger{2};  ///< until it has read why it is refused
};

class Connection;
/// Those that are open.
using Connections = std::unordered_set<Connection*>;

/// Kept by the callbacks that are pending, each of which shares it: when the last is gone, so is
/// the connection. Everything happens on the thread of its socket.
class Connection final : public Client, public std::enable_shared_from_this<Connection> {
 public:
  /// `routes` and `connections`, where it stands while it lives, must outlive it.
  Connection(boost::asio::ip::tcp::socket socket, Routes& routes, const HttpLimits& limits,
             Connections& connections);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start();
  /// Closes it as soon as no answer is under way.
  void drain();

  void add_field(std::string_view name, std::string_view value) override;
  void refuse(const Refusal& refusal) override;
  void answer(const OrderedJson& json) override;
  void answer_content(int status, std::string_view type, std::string_view body) override;
  void begin_stream() override;
  void send_event(std::string event) override;
  void end_stream() override;
  bool lags() const override;

 private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  using Failure = boost::system::error_code;

  void read();
  void on_read(Failure failure);
  void handle();
  void send(std::string_view bytes);
  void write();
  void on_written(Failure failure);
  void end_answer();
  void linger();
  void skip_input();
  void set_deadline(std::chrono::seconds limit);
  void lift_deadline();
  void close();

  boost::asio::ip::tcp::socket socket_;
  boost::asio::steady_timer deadline_;
  Routes& routes_;
  const HttpLimits limits_;
  Connections& connections_;

  boost::beast::flat_buffer input_;
  std::optional<Parser> parser_;  // of the request that is being read, or that waits
  bool reads_ = false;
  bool waits_ = false;  // a request was read while an answer is under way

  // The request that is answered.
  bool busy_ = false;
  bool keep_ = true;     // the connection, behind it
  bool chunked_ = true;  // a stream is
  bool whole_ = false;   // all of the answer has been sent or stands in output_
  std::string fields_;   // of its head, besides those that every answer has
  std::unique_ptr<Answering> answering_;

  std::string output_;   // to be written next
  std::string writing_;  // empty: nothing is
  bool lingers_ = false;
  bool closed_ = false;
};

}  // namespace tidar
