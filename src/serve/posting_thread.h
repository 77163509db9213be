#pragma once
// A thread that tells its owner's thread things, and one of them is what it threw.

#include <functional>
#include <thread>

namespace tidar {

/// Has the owner's thread call a function soon; itself called from any thread.
using Post = std::function<void(std::function<void()>)>;

/// Does `work` on a thread of its own; what it throws, a posted call throws. The caller joins.
std::thread posting_thread(Post post, std::function<void()> work);

}  // namespace tidar
