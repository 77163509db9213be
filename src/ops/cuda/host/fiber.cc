#include "ops/cuda/host/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace tidar::cuda::host {

namespace {

size_t page_bytes() {
  static const auto bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

// The stacks lie in memory of ours, and are nobody else's to free.
struct KeepsStack {
  boost::context::stack_context allocate() { return {}; }
  void deallocate(boost::context::stack_context&) {}
};

}  // namespace

size_t Stack::bytes() { return size_t{128} << 10; }

Stack::Stack() {
  void* const mapped = mmap(nullptr, bytes() + page_bytes(), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  TIDAR_CHECK(mapped != MAP_FAILED);
  TIDAR_CHECK_EQ(mprotect(mapped, page_bytes(), PROT_NONE), 0);
  base_ = static_cast<std::byte*>(mapped);
}

Stack::~Stack() {
  if (base_ == nullptr) return;
#ifdef __SANITIZE_ADDRESS__
  // The last frames of fibers never returned. What is mapped here next is not theirs.
  __asan_unpoison_memory_region(bottom(), bytes());
#endif
  munmap(base_, bytes() + page_bytes());
}

std::byte* Stack::bottom() const { return base_ + page_bytes(); }

Fiber::Fiber(const Stack& stack, const std::function<void()>& body)
    : body_(body), stack_bottom_(stack.bottom()) {
  boost::context::stack_context context;
  context.size = Stack::bytes();
  context.sp = stack.bottom() + Stack::bytes();
  inside_ = boost::context::fiber(
      std::allocator_arg, boost::context::preallocated(context.sp, context.size, context),
      KeepsStack(), [this](boost::context::fiber&& owner) { return run(std::move(owner)); });
}

Fiber::~Fiber() { TIDAR_CHECK(ended_ && "a fiber that was left behind"); }

boost::context::fiber Fiber::run(boost::context::fiber&& owner) {
  owner_ = std::move(owner);
  enter();
  body_();
  ended_ = true;
  leave(/*for_good=*/true);
  return std::move(owner_);
}

void Fiber::resume() {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(&owner_fake_, stack_bottom_, Stack::bytes());
#endif
  inside_ = std::move(inside_).resume();
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(owner_fake_, nullptr, nullptr);
#endif
}

void Fiber::pause() {
  leave(/*for_good=*/false);
  owner_ = std::move(owner_).resume();
  enter();
}

// First thing on the fiber's own stack.
void Fiber::enter() {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(own_fake_, &owner_bottom_, &owner_bytes_);
#endif
}

// Last thing on it.
void Fiber::leave([[maybe_unused]] bool for_good) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(for_good ? nullptr : &own_fake_, owner_bottom_, owner_bytes_);
#endif
}

}  // namespace tidar::cuda::host
