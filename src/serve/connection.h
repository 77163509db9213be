#pragma once
// One connection of a client, HTTP/1.1: reads requests one after another, writes their answers.
// A read is pending while an answer is under way, so a client that goes, or ends what it sends, is
// noticed at once, and what the engine does for it is cancelled; only where its next request has
// come already, not before something is written to it.

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

#include "base/stopwatch.h"
#include "serve/answering.h"
#include "serve/http_limits.h"
#include "serve/journal.h"
#include "serve/routes.h"

namespace tidar {

/// A text that grows as it comes, where Beast's would take all the room that was announced.
struct GrowingBody : boost::beast::http::string_body {
  // NOLINTNEXTLINE(readability-identifier-naming): Beast asks for it by this name
  struct reader : boost::beast::http::string_body::reader {
    using boost::beast::http::string_body::reader::reader;
    void init(const boost::optional<std::uint64_t>&, boost::system::error_code& failure) {
      boost::beast::http::string_body::reader::init(boost::none, failure);
    }
  };
};

class Connection;
/// Those that are open.
using Connections = std::unordered_set<Connection*>;

/// Kept by the callbacks that are pending, each of which shares it: when the last is gone, so is
/// the connection. Everything happens on the thread of its socket.
class Connection final : public Client, public std::enable_shared_from_this<Connection> {
 public:
  /// `routes`, `journal` and `connections`, where it stands while it lives, must outlive it.
  Connection(boost::asio::ip::tcp::socket socket, Routes& routes, Journal& journal,
             const HttpLimits& limits, Connections& connections);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start();
  /// Instead: says why no request is read.
  void turn_away(const Refusal& refusal);
  /// Closes it as soon as no answer is under way.
  void drain();
  /// Ends the answer that is under way with this, where it has not ended by itself.
  void give_up(const Refusal& refusal);

  void add_field(std::string_view name, std::string_view value) override;
  void refuse(const Refusal& refusal) override;
  void answer(const OrderedJson& json) override;
  void answer_content(int status, std::string_view type, std::string_view body) override;
  void begin_stream() override;
  void send_event(std::string event) override;
  void end_stream() override;
  bool lags() const override;

 private:
  using Parser = boost::beast::http::request_parser<GrowingBody>;
  using Failure = boost::system::error_code;

  enum class Cut : uint8_t { no, yes };

  void open();
  void read();
  void on_header(Failure failure);
  void let_body_come();
  void read_body();
  void on_read(Failure failure);
  void refuse_read(const Refusal& refusal);
  void drop_unread();
  void refuse_unread(const Refusal& refusal);
  void handle();
  void begin_exchange(std::string_view method, std::string_view target);
  void send(std::string_view bytes);
  void write();
  void on_written(Failure failure);
  void end_answer();
  void record(Cut cut);
  void linger();
  void skip_input();
  void set_deadline(std::chrono::seconds limit);
  void on_deadline();
  void set_patience();
  void lift_deadline();
  void wait_until(std::chrono::steady_clock::time_point time);
  void close();

  boost::asio::ip::tcp::socket socket_;
  boost::asio::steady_timer deadline_;  // of what is read or written next
  boost::asio::steady_timer patience_;  // of the whole answer
  Routes& routes_;
  Journal& journal_;
  const HttpLimits limits_;
  Connections& connections_;

  boost::beast::flat_buffer input_;
  std::optional<Parser> parser_;      // of the request that is being read, or that waits
  std::shared_ptr<BodyShare> share_;  // of its body
  bool reads_ = false;
  bool waits_ = false;    // a request was read while an answer is under way
  bool expects_ = false;  // its client wants to hear that its body may come

  // The request that is answered.
  bool busy_ = false;
  bool keep_ = true;       // the connection, behind it
  bool chunked_ = true;    // a stream is
  bool bodiless_ = false;  // the head of an answer alone is wanted
  bool whole_ = false;     // all of the answer has been sent or stands in output_
  std::string fields_;     // of its head, besides those that every answer has
  std::unique_ptr<Answering> answering_;
  Exchange exchange_;
  Stopwatch since_request_;

  std::string output_;   // to be written next
  std::string writing_;  // empty: nothing is
  bool lingers_ = false;
  bool closed_ = false;
};

}  // namespace tidar
