#pragma once
// A client of a server like this one: asks for a stream, and times what comes.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "format/json.h"

namespace tidar {

struct ServerAddress {
  std::string host;
  std::string port;
  std::string api_key{};  ///< "": none is brought
};

/// Of "http://127.0.0.1:8080", with port 80 where there is none.
Result<ServerAddress> parse_server_url(std::string_view url);

/// What came when, in seconds since the connection was asked for.
struct TimedStream {
  std::vector<double> texts_s;  ///< events that brought text
  double seconds = 0;           ///< the end
  int64_t tokens = 0;           ///< as its usage has it
};

/// Streams a completion; "stream" and "stream_options" of the body are set here. Blocks until the
/// stream has ended. An Error where the server does not answer, refuses, or ends it with an error.
Result<TimedStream> stream_completion(const ServerAddress& address, OrderedJson body);

}  // namespace tidar
