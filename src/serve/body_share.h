#pragma once
// The memory that bodies of requests may take, all connections together: from their first byte
// until they have been read into what they mean.

#include <atomic>
#include <cstdint>

namespace tidar {

/// What one body takes of it; given back when this goes, on whatever thread that is.
class BodyShare {
 public:
  /// `used` counts the bytes of all shares, of which there are `most`; it must outlive them.
  BodyShare(std::atomic<int64_t>& used, int64_t most) : used_(used), most_(most) {}
  ~BodyShare() { used_ -= bytes_; }
  BodyShare(const BodyShare&) = delete;
  BodyShare& operator=(const BodyShare&) = delete;

  /// Its body has so many bytes by now. False: there is no room for them, and it stays as it was.
  bool grow_to(int64_t bytes) {
    const int64_t more = bytes - bytes_;
    if ((used_ += more) > most_) {
      used_ -= more;
      return false;
    }
    bytes_ = bytes;
    return true;
  }

 private:
  std::atomic<int64_t>& used_;
  const int64_t most_;
  int64_t bytes_ = 0;
};

}  // namespace tidar
