#include "serve/connection.h"

#include <fmt/format.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/string.hpp>
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

Connection::Connection(asio::ip::tcp::socket socket, Routes& routes, Journal& journal,
                       const HttpLimits& limits, Connections& connections)
    : socket_(std::move(socket)),
      deadline_(socket_.get_executor()),
      patience_(socket_.get_executor()),
      routes_(routes),
      journal_(journal),
      limits_(limits),
      connections_(connections) {
  connections_.insert(this);
  journal_.metrics().connections += 1;
}

Connection::~Connection() {
  connections_.erase(this);
  journal_.metrics().connections -= 1;
}

void Connection::open() {
  Failure ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  exchange_.client = socket_.remote_endpoint(ignored).address().to_string();
}

void Connection::start() {
  open();
  set_deadline(limits_.read);
  read();
}

void Connection::turn_away(const Refusal& refusal) {
  open();
  refuse_unread(refusal);
}

void Connection::drain() {
  keep_ = false;
  if (!busy_ && !lingers_) close();
}

void Connection::give_up(const Refusal& refusal) {
  if (busy_ && answering_) answering_->give_up(refusal);
}

void Connection::read() {
  reads_ = true;
  parser_.emplace();
  share_ = std::make_shared<BodyShare>(journal_.metrics().body_bytes, limits_.all_bodies_bytes);
  parser_->header_limit(limits_.header_bytes);
  parser_->body_limit(limits_.body_bytes);
  http::async_read_header(
      socket_, input_, *parser_,
      [self = shared_from_this()](Failure failure, size_t) { self->on_header(failure); });
}

void Connection::on_header(Failure failure) {
  if (failure || closed_ || lingers_) return on_read(failure);
  const auto& request = parser_->get();
  // Old clients do not know that answer (RFC 9110, section 10.1.1).
  expects_ = request.version() >= 11 &&
             boost::beast::iequals(request[http::field::expect], "100-continue");
  if (!busy_) let_body_come();
  parser_->eager(true);
  read_body();
}

// What has come is counted, not what was announced: so that nobody can take the room of others by
// words alone.
void Connection::read_body() {
  if (closed_) return;
  if (lingers_) {  // it took too long
    drop_unread();
    return skip_input();
  }
  if (!share_->grow_to(static_cast<int64_t>(parser_->get().body().size()))) {
    return refuse_read({.status = 503,
                        .message = fmt::format("the bodies of all requests that come in may have "
                                               "{} bytes together; try again later",
                                               limits_.all_bodies_bytes)});
  }
  if (parser_->is_done()) return on_read({});
  http::async_read_some(socket_, input_, *parser_,
                        [self = shared_from_this()](Failure failure, size_t) {
                          if (failure) return self->on_read(failure);
                          self->read_body();
                        });
}

void Connection::let_body_come() {
  if (std::exchange(expects_, false)) send("HTTP/1.1 100 Continue\r\n\r\n");
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
  refuse_read(*refusal);
}

void Connection::refuse_read(const Refusal& refusal) {
  reads_ = false;
  keep_ = false;  // where the next request begins is not known
  if (!busy_) refuse_unread(refusal);
  drop_unread();
}

void Connection::drop_unread() {
  parser_.reset();
  share_.reset();
}

void Connection::refuse_unread(const Refusal& refusal) {
  busy_ = true;
  keep_ = false;
  bodiless_ = false;
  fields_.clear();
  const bool known = parser_ && parser_->is_header_done();
  begin_exchange(known ? view(parser_->get().method_string()) : "",
                 known ? view(parser_->get().target()) : "");
  refuse(refusal);
}

void Connection::handle() {
  auto request = parser_->release();
  auto share = std::move(share_);
  busy_ = true;
  waits_ = false;
  expects_ = false;
  whole_ = false;
  bodiless_ = request.method_string() == "HEAD";
  fields_.clear();
  keep_ = keep_ && request.keep_alive();
  chunked_ = request.version() >= 11;
  begin_exchange(view(request.method_string()), view(request.target()));
  lift_deadline();
  set_patience();
  read();
  answering_ = routes_.handle({.method = view(request.method_string()),
                               .target = view(request.target()),
                               .authorization = view(request[http::field::authorization]),
                               .body = std::move(request.body()),
                               .share = std::move(share),
                               .encodings = view(request["Accept-Encoding"]),
                               .known_tag = view(request[http::field::if_none_match]),
                               .timeout = view(request[kTimeoutHeader])},
                              *this);
}

void Connection::begin_exchange(std::string_view method, std::string_view target) {
  const std::string_view path = target.substr(0, target.find('?'));
  exchange_.method = method;
  exchange_.path = path;
  exchange_.route = Routes::route_of(path);
  exchange_.status = Exchange::kClientWent;
  exchange_.bytes = 0;
  since_request_ = Stopwatch();
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
  constexpr int kNoContent = 204, kNotModified = 304;
  const auto reason = http::obsolete_reason(static_cast<http::status>(status));
  const std::string content =
      status == kNoContent || status == kNotModified
          ? ""
          : fmt::format("Content-Type: {}\r\nContent-Length: {}\r\n", type, body.size());
  whole_ = true;
  exchange_.status = status;
  send(fmt::format("HTTP/1.1 {} {}\r\n{}{}Connection: {}\r\n\r\n{}", status, view(reason), content,
                   fields_, keep_ ? "keep-alive" : "close", bodiless_ ? "" : body));
}

// A client of HTTP/1.0 reads a stream to the end of its connection.
void Connection::begin_stream() {
  if (!chunked_) keep_ = false;
  exchange_.status = 200;
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
  exchange_.bytes += static_cast<int64_t>(bytes.size());
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
  if (!output_.empty()) return write();
  if (!busy_) return set_deadline(limits_.read);  // it was told to go on
  lift_deadline();
  if (whole_) end_answer();
}

void Connection::end_answer() {
  record(Cut::no);
  answering_.reset();
  patience_.cancel();
  busy_ = false;
  if (!keep_) return linger();
  if (waits_) return handle();
  set_deadline(limits_.read);
  let_body_come();
}

void Connection::record(Cut cut) {
  exchange_.cut = cut == Cut::yes;
  exchange_.seconds = since_request_.seconds();
  exchange_.prompt_tokens = answering_ ? answering_->usage().prompt_tokens : 0;
  exchange_.new_tokens = answering_ ? answering_->usage().completion_tokens : 0;
  journal_.end(exchange_);
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
  wait_until(std::chrono::steady_clock::now() + limit);
}

// The engine's updates do not keep the connection, and no read is pending where another request
// waits: so there is always a time that is waited for.
void Connection::lift_deadline() { wait_until(std::chrono::steady_clock::time_point::max()); }

void Connection::wait_until(std::chrono::steady_clock::time_point time) {
  deadline_.expires_at(time);
  deadline_.async_wait([self = shared_from_this()](Failure failure) {
    // It may have been set anew after this call was on its way.
    const bool over = self->deadline_.expiry() <= std::chrono::steady_clock::now();
    if (!failure && over) self->on_deadline();
  });
}

void Connection::on_deadline() {
  const bool half_read = !busy_ && !lingers_ && parser_ && parser_->got_some();
  if (!half_read || closed_) return close();
  refuse_unread({.status = 408,
                 .message = fmt::format("the request took longer than {} s; send it faster",
                                        limits_.read.count())});
}

void Connection::set_patience() {
  if (limits_.answer.count() == 0) return;
  patience_.expires_after(limits_.answer);
  patience_.async_wait([self = shared_from_this()](Failure failure) {
    const bool over = self->patience_.expiry() <= std::chrono::steady_clock::now();
    if (failure || !over) return;
    self->give_up({.status = 504,
                   .message = fmt::format("the answer took longer than {} s; ask for fewer tokens "
                                          "at a time",
                                          self->limits_.answer.count())});
  });
}

void Connection::close() {
  if (std::exchange(closed_, true)) return;
  if (busy_) record(Cut::yes);
  answering_.reset();
  patience_.cancel();
  deadline_.cancel();
  Failure ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  socket_.close(ignored);
}

}  // namespace tidar
