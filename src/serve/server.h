#pragma once
// The server: listens, hands connections to their routes, and ends when it is told to. One thread
// for all of them, one for the engine; nothing that a client sends blocks either for another.

#include <memory>
#include <string>

#include "base/result.h"
#include "engine/engine.h"
#include "serve/served_model.h"

namespace tidar {

struct ServerOptions {
  std::string host = "127.0.0.1";  ///< a name or an address of this machine
  int port = 8080;                 ///< 0: any that is free
  std::string api_key;             ///< "": everybody may ask
  int most_outputs = 64;           ///< under way or waiting for the engine; more are told to wait
};

class Server {
 public:
  /// Listens. `engine`, which must outlive it, is used by the server's thread alone from now on.
  static Result<Server> listen(ServedModel model, Engine& engine, const ServerOptions& options);
  Server(Server&&) noexcept;
  Server& operator=(Server&&) noexcept;
  ~Server();

  int port() const;

  /// Serves until SIGINT or SIGTERM: then nobody is let in, and what is under way ends first; a
  /// second signal ends it at once. To be called once.
  void run();

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidar
