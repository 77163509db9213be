#pragma once
// How much a client may send, and how long it may take.

#include <chrono>
#include <cstdint>

namespace tidar {

struct HttpLimits {
  uint32_t header_bytes = 16 << 10;
  uint64_t body_bytes = 8 << 20;
  int64_t all_bodies_bytes = 256 << 20;  ///< of all connections together (serve/body_share.h)
  std::chrono::seconds read{60};   ///< from the end of an answer to the end of the next request
  std::chrono::seconds answer{0};  ///< from the end of a request to that of its answer; 0: any
  std::chrono::seconds write{30};  ///< until the client takes what was sent
  std::chrono::seconds linger{2};  ///< until it has read why it is refused
};

}  // namespace tidar
