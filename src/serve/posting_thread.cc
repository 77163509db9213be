#include "serve/posting_thread.h"

#include <exception>
#include <utility>

namespace tidar {

std::thread posting_thread(Post post, std::function<void()> work) {
  return std::thread([post = std::move(post), work = std::move(work)] {
    try {
      work();
    } catch (...) {
      post([failure = std::current_exception()] { std::rethrow_exception(failure); });
    }
  });
}

}  // namespace tidar
