#include "serve/connection.h"

#include <fmt/format.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/status.hpp>
#include <utility>

namespace tidar {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

/// What a request is told that cannot be read; nothing where the client has gone.
std::optional<Refusal> refusal_of(const boost::system::error_code& failure,
                                  const HttpLimits& limits) {
  if (failure == http::error::end_of_stream || failure == http::error::partial_message) return {};
  if (failure == http::error::body_limit) {
    return Refusal{.status = 413,
                   .message = fmt::format("the body is longer than {} bytes; send less at a time",
                                          limits.body_bytes)};
  }
  if (failure == http::error::header_limit) {
    return Refusal{.status = 431,
                   .message = fmt::format("the header is longer than {} bytes; send fewer fields",
                                          limits.header_bytes)};
  }
  if (failure.category() != http::make_error_code(http::error::end_of_stream).category()) return {};
  return Refusal{.message = fmt::format("this is no HTTP request: {}", failure.message())};
}

constexpr std::string_view kJsonType = "application/json";

/// Bytes that wait for a client which lags behind.
constexpr size_t kMuch = 4 << 20;

/// Fields that a refusal brings along.
std::string fields_of(const Refusal& refusal) {
  std::string fields;
  if (!refusal.allow.empty()) fields += fmt::format("Allow: {}\r\n", refusal.allow);
  if (refusal.status == 401) fields += "WWW-Authenticate: Bearer\r\n";
  if (refusal.status == 429 || refusal.status == 503) fields += "Retry-After: 1\r\n";
  return fields;
}

}  // namespace

Connection::Connection(asio::ip::tcp::socket socket, Routes& routes, const HttpLimits& limits,
                       Connections& connections)
    : socket_(std::move(socket)),
      deadline_(socket_.get_executor()),
      routes_(routes),
      limits_(limits),
      connections_(connections) {
  connections_.insert(this);
}

Connection::~Connection() { connections_.erase(this); }

void Connection::start() {
  Failure ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  set_deadline(limits_.read);
  read();
}

void Connection::drain() {
  keep_ = false;
  if (!busy_ && !lingers_) close();
}

void Connection::read() {
  reads_ = true;
  parser_.emplace();
  parser_->header_limit(limits_.header_bytes);
  parser_->body_limit(limits_.body_bytes);
  http::async_read(socket_, input_, *parser_, [self = shared_from_this()](Failure failure, size_t) {
    self->on_read(failure);
  });
}

void Connection::on_read(Failure failure) {
  reads_ = false;
  if (closed_) return;
  if (lingers_) return close();
  if (!failure) {
    waits_ = busy_;
    if (!busy_) handle();
    return;
  }
  const auto refusal = refusal_of(failure, limits_);
  if (!refusal) return close();
  keep_ = false;  // where the next request begins is not known
  if (busy_) return;
  busy_ = true;
  refuse(*refusal);
}

void Connection::handle() {
  const auto request = parser_->release();
  busy_ = true;
  waits_ = false;
  whole_ = false;
  fields_.clear();
  keep_ = keep_ && request.keep_alive();
  chunked_ = request.version() >= 11;
  lift_deadline();
  read();
  answering_ = routes_.handle({.method = view(request.method_string()),
                               .target = view(request.target()),
                               .authorization = view(request[http::field::authorization]),
                               .body = request.body(),
                               .encodings = view(request["Accept-Encoding"]),
                               .known_tag = view(request[http::field::if_none_match])},
                              *this);
}

void Connection::add_field(std::string_view name, std::string_view value) {
  fields_ += fmt::format("{}: {}\r\n", name, value);
}

void Connection::refuse(const Refusal& refusal) {
  fields_ += fields_of(refusal);
  answer_content(refusal.status, kJsonType, to_text(to_json(refusal)));
}

void Connection::answer(const OrderedJson& json) { answer_content(200, kJsonType, to_text(json)); }

void Connection::answer_content(int status, std::string_view type, std::string_view body) {
  constexpr int kNotModified = 304;
  const auto reason = http::obsolete_reason(static_cast<http::status>(status));
  const std::string content =
      status == kNotModified
          ? ""
          : fmt::format("Content-Type: {}\r\nContent-Length: {}\r\n", type, body.size());
  whole_ = true;
  send(fmt::format("HTTP/1.1 {} {}\r\n{}{}Connection: {}\r\n\r\n{}", status, view(reason), content,
                   fields_, keep_ ? "keep-alive" : "close", body));
}

// A client of HTTP/1.0 reads a stream to the end of its connection.
void Connection::begin_stream() {
  if (!chunked_) keep_ = false;
  send(fmt::format(
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
      "Cache-Control: no-cache\r\n{}{}Connection: {}\r\n\r\n",
      fields_, chunked_ ? "Transfer-Encoding: chunked\r\n" : "", keep_ ? "keep-alive" : "close"));
}

void Connection::send_event(std::string event) {
  send(chunked_ ? fmt::format("{:x}\r\n{}\r\n", event.size(), event) : std::move(event));
}

void Connection::end_stream() {
  whole_ = true;
  send(chunked_ ? "0\r\n\r\n" : "");
}

bool Connection::lags() const { return output_.size() > kMuch; }

// What is sent while something is being written goes out together behind it.
void Connection::send(std::string_view bytes) {
  output_ += bytes;
  if (writing_.empty()) write();
}

void Connection::write() {
  if (closed_) return;
  std::swap(writing_, output_);
  set_deadline(limits_.write);
  asio::async_write(
      socket_, asio::buffer(writing_),
      [self = shared_from_this()](Failure failure, size_t) { self->on_written(failure); });
}

void Connection::on_written(Failure failure) {
  writing_.clear();
  if (closed_) return;
  if (failure) return close();
  lift_deadline();
  if (!output_.empty()) return write();
  if (whole_) end_answer();
}

void Connection::end_answer() {
  answering_.reset();
  busy_ = false;
  if (!keep_) return linger();
  if (waits_) return handle();
  set_deadline(limits_.read);
}

// Closed at once, a client that still sends would lose the answer that it has not read yet.
void Connection::linger() {
  lingers_ = true;
  Failure ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  set_deadline(limits_.linger);
  if (!reads_) skip_input();
}

void Connection::skip_input() {
  socket_.async_read_some(input_.prepare(size_t{64} << 10),
                          [self = shared_from_this()](Failure failure, size_t) {
                            if (self->closed_) return;
                            if (failure) return self->close();
                            self->skip_input();
                          });
}

void Connection::set_deadline(std::chrono::seconds limit) {
  deadline_.expires_after(limit);
  deadline_.async_wait([self = shared_from_this()](Failure failure) {
    // It may have been set anew after this call was on its way.
    const bool over = self->deadline_.expiry() <= std::chrono::steady_clock::now();
    if (!failure && over) self->close();
  });
}

// Pending callbacks find that their time has not come.
void Connection::lift_deadline() {
  deadline_.expires_at(std::chrono::steady_clock::time_point::max());
}

void Connection::close() {
  if (std::exchange(closed_, true)) return;
  answering_.reset();
  lift_deadline();
  Failure ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  socket_.close(ignored);
}

}  // namespace tidar
