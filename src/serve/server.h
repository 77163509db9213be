#pragma once
// The server: listens, hands connections to their routes, and ends when it is told to. One thread
// for all of them, one for the engine, one that reads bodies, and one that writes the log; nothing
// that a client sends, and no log that nobody reads, blocks them for another.

#include <chrono>
#include <memory>
#include <string>

#include "base/result.h"
#include "engine/engine.h"
#include "serve/http_limits.h"
#include "serve/journal.h"
#include "serve/routes.h"
#include "serve/served_model.h"

namespace tidar {

struct ServerOptions {
  std::string host = "127.0.0.1";  ///< a name or an address of this machine
  int port = 8080;                 ///< 0: any that is free
  Access access{};
  HttpLimits http{};
  int most_connections = 4096;     ///< who comes then is told to come again
  int most_outputs = 64;           ///< under way or waiting for the engine; more are told to wait
  std::chrono::seconds grace{30};  ///< for what is under way when the server is told to end
  LogStyle log = LogStyle::none;
  int log_file = -1;  ///< descriptor that the log is written to, as far as that takes it
};

class Server {
 public:
  /// Listens. `engine`, which must outlive it, is used by the server's thread alone until the
  /// server has gone.
  static Result<Server> listen(ServedModel model, Engine& engine, const ServerOptions& options);
  Server(Server&&) noexcept;
  Server& operator=(Server&&) noexcept;
  ~Server();

  /// To be asked before run().
  int port() const;

  /// Serves until SIGINT or SIGTERM: then nobody is let in, and what is under way ends first, by
  /// itself or when the grace is over; a second signal ends it at once. To be called once.
  void run();

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidar
