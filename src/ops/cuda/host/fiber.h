#pragma once
// A flow of control with a stack of its own, which pauses and goes on where its owner says: a
// thread of a kernel while the others of its block run. AddressSanitizer is told of every switch.

#include <boost/context/fiber.hpp>
#include <cstddef>
#include <functional>
#include <utility>

namespace tidar::cuda::host {

/// Memory for one fiber's frames. Behind its end lies a page that nobody may touch, so that a stack
/// that is too deep stops the program. Reused by one fiber after another.
class Stack {
 public:
  Stack();
  ~Stack();
  Stack(Stack&& other) noexcept : base_(std::exchange(other.base_, nullptr)) {}
  Stack& operator=(Stack&&) = delete;

  std::byte* bottom() const;  ///< lowest address
  static size_t bytes();

 private:
  std::byte* base_;
};

/// Belongs to the thread that made it. `body` and `stack` must outlive it, and it must have ended
/// before it is destroyed.
class Fiber {
 public:
  /// Runs nothing yet.
  Fiber(const Stack& stack, const std::function<void()>& body);
  Fiber(Fiber&&) = delete;
  ~Fiber();

  /// Runs it, from where it paused, until it pauses again or ends. Called by its owner, which is no
  /// fiber.
  void resume();
  /// Called by the fiber itself: back to its owner.
  void pause();
  bool ended() const { return ended_; }

 private:
  boost::context::fiber run(boost::context::fiber&& owner);
  void enter();
  void leave(bool for_good);

  const std::function<void()>& body_;
  boost::context::fiber inside_, owner_;
  bool ended_ = false;
  // What AddressSanitizer, if it is there, wants to know of both sides.
  [[maybe_unused]] const void* stack_bottom_;
  [[maybe_unused]] const void* owner_bottom_ = nullptr;
  [[maybe_unused]] size_t owner_bytes_ = 0;
  [[maybe_unused]] void* owner_fake_ = nullptr;
  [[maybe_unused]] void* own_fake_ = nullptr;
};

}  // namespace tidar::cuda::host
