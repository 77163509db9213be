#include "serve/server.h"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <csignal>
#include <utility>
#include <vector>

#include "serve/connection.h"
#include "serve/engine_thread.h"
#include "serve/log_writer.h"
#include "serve/worker.h"

namespace tidar {
namespace {

namespace asio = boost::asio;
using Failure = boost::system::error_code;
using Tcp = asio::ip::tcp;

/// For clients to hear why their answers end, when the grace is over.
constexpr std::chrono::seconds kFarewell{2};

/// Where the system has no more files to give, some will be closed soon.
constexpr std::chrono::milliseconds kPause{100};

Result<void> bind(Tcp::acceptor& acceptor, const ServerOptions& options, asio::io_context& io) {
  Failure failure;
  const auto found = Tcp::resolver(io).resolve(options.host, std::to_string(options.port),
                                               Tcp::resolver::passive, failure);
  if (failure) return error("--host {}: {}", options.host, failure.message());
  const Tcp::endpoint endpoint = found.begin()->endpoint();
  acceptor.open(endpoint.protocol(), failure);
  if (!failure) acceptor.set_option(Tcp::acceptor::reuse_address(true), failure);
  if (!failure) acceptor.bind(endpoint, failure);
  if (!failure) acceptor.listen(Tcp::acceptor::max_listen_connections, failure);
  if (failure) {
    return error("{}:{}: {}; another --port or --host may be free", options.host, options.port,
                 failure.message());
  }
  return {};
}

}  // namespace

struct Server::Impl {
  Impl(ServedModel served, Engine& engine, const ServerOptions& given)
      : options(given),
        model(std::move(served)),
        thread(engine, options.most_outputs, post()),
        worker(static_cast<size_t>(options.most_connections), post()),
        routes({model, thread, worker, metrics}, options.access),
        log(options.log_file,
            [style = options.log](int64_t lost) { return lost_line(style, lost); }),
        journal(
            options.log, [this](std::string_view line) { log.write(line); }, metrics) {}
  ~Impl() {
    worker.stop();
    thread.stop();
  }

  Post post() {
    return [this](std::function<void()> call) { asio::post(io, std::move(call)); };
  }

  void let_in();
  void let_in_later();
  void welcome(Tcp::socket socket);
  void wait_for_signal();
  void drain();
  void wait_for_the_last();
  void give_up();

  const ServerOptions options;
  const ServedModel model;
  Connections connections;
  Metrics metrics;
  EngineThread thread;
  Worker worker;
  Routes routes;
  LogWriter log;
  Journal journal;
  // Connections live in its callbacks, and cancel what they wait for as they go: it goes first.
  asio::io_context io{1};
  Tcp::acceptor acceptor{io};
  asio::steady_timer pause{io};
  asio::steady_timer grace{io};
  asio::signal_set signals{io};
  bool draining = false;
};

void Server::Impl::let_in() {
  acceptor.async_accept([this](Failure failure, Tcp::socket socket) {
    if (draining) return;
    if (failure) return let_in_later();
    welcome(std::move(socket));
    let_in();
  });
}

void Server::Impl::let_in_later() {
  pause.expires_after(kPause);
  pause.async_wait([this](Failure) {
    if (!draining) let_in();
  });
}

void Server::Impl::welcome(Tcp::socket socket) {
  const bool full = static_cast<int>(connections.size()) >= options.most_connections;
  const auto connection =
      std::make_shared<Connection>(std::move(socket), routes, journal, options.http, connections);
  if (!full) return connection->start();
  connection->turn_away({.status = 503,
                         .message = fmt::format("{} connections are open, of {} at most; try again "
                                                "later",
                                                connections.size() - 1, options.most_connections)});
}

void Server::Impl::wait_for_signal() {
  signals.async_wait([this](Failure failure, int) {
    if (failure) return;
    if (draining) return io.stop();
    drain();
    wait_for_signal();
  });
}

void Server::Impl::drain() {
  journal.say(
      fmt::format("ends when {} connections have ended, or in {} s; at once when it is told "
                  "again",
                  connections.size(), options.grace.count()));
  draining = true;
  acceptor.close();
  pause.cancel();
  const std::vector<Connection*> open(connections.begin(), connections.end());
  for (Connection* const connection : open) connection->drain();
  wait_for_the_last();
}

void Server::Impl::wait_for_the_last() {
  grace.expires_after(options.grace);
  grace.async_wait([this](Failure failure) {
    if (!failure) give_up();
  });
}

void Server::Impl::give_up() {
  const std::vector<Connection*> open(connections.begin(), connections.end());
  for (Connection* const connection : open) {
    connection->give_up({.status = 503, .message = "the server ends; ask again later"});
  }
  grace.expires_after(kFarewell);
  grace.async_wait([this](Failure failure) {
    if (!failure) io.stop();
  });
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::Server(Server&&) noexcept = default;
Server& Server::operator=(Server&&) noexcept = default;
Server::~Server() = default;

Result<Server> Server::listen(ServedModel model, Engine& engine, const ServerOptions& options) {
  auto impl = std::make_unique<Impl>(std::move(model), engine, options);
  TIDAR_TRY_VOID(bind(impl->acceptor, options, impl->io));
  impl->signals.add(SIGINT);
  impl->signals.add(SIGTERM);
  return Server(std::move(impl));
}

int Server::port() const { return impl_->acceptor.local_endpoint().port(); }

void Server::run() {
  impl_->let_in();
  impl_->wait_for_signal();
  const auto ended = [&] { return impl_->draining && impl_->connections.empty(); };
  while (!ended() && impl_->io.run_one() > 0) {
  }
  impl_->journal.say("ended");
}

}  // namespace tidar
