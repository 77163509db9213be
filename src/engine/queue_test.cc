// Who is admitted when, and who gives pages back, beside a plain model of the queue: requests come,
// end and are cancelled in any order, by the thousand.

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "decode/mock_evaluator_testing.h"
#include "engine/engine.h"

namespace tidar {
namespace {

constexpr int kNever = std::numeric_limits<int>::max();

/// A request of AR, which brings one token a step. Its text fits any pass beside the others'.
struct Plain {
  RequestId id = 0;
  int priority = 0;
  int text = 1;   ///< tokens, of which the prompt is one
  int left = 0;   ///< tokens to come
  int pages = 0;  ///< that it holds
  int deadline = kNever;
};

/// Who is let in first.
bool goes_before(const Plain& a, const Plain& b) {
  return std::pair(a.priority, a.id) < std::pair(b.priority, b.id);
}

/// The queue written down plainly.
struct PlainQueue {
  std::vector<Plain> waiting{}, active{};
  int free_pages = 0;
  int preempted = 0, overdue = 0;

  bool reserve(Plain& plain, int to_be_left) {
    const int more = std::max(0, pages_for(plain.text) - plain.pages);
    if (free_pages - more < to_be_left) return false;
    free_pages -= more;
    plain.pages += more;
    return true;
  }

  /// Pages that texts can grow into: one for each that is active, or fewer.
  int to_spare() const {
    int to_come =
        pages_for(waiting.front().text + waiting.front().left) - pages_for(waiting.front().text);
    for (const Plain& plain : active) to_come += pages_for(plain.text + plain.left) - plain.pages;
    return std::min(to_come, static_cast<int>(active.size()));
  }

  void admit() {
    while (!waiting.empty() && reserve(waiting.front(), to_spare())) {
      active.push_back(waiting.front());
      waiting.erase(waiting.begin());
    }
  }

  void wait(const Plain& plain) {
    waiting.push_back(plain);
    std::sort(waiting.begin(), waiting.end(), goes_before);
  }

  std::vector<RequestId> end_overdue(std::vector<Plain>& those, int now) {
    std::vector<RequestId> ended;
    for (Plain& plain : those) {
      if (plain.deadline > now) continue;
      give_back(plain);
      ended.push_back(plain.id);
    }
    std::erase_if(those, [now](const Plain& plain) { return plain.deadline <= now; });
    return ended;
  }

  void give_back(Plain& plain) { free_pages += std::exchange(plain.pages, 0); }

  /// Those that this step ends or brings a token, by id.
  std::vector<RequestId> step(int now) {
    std::vector<RequestId> told = end_overdue(active, now);
    for (const RequestId id : end_overdue(waiting, now)) told.push_back(id);
    overdue += static_cast<int>(told.size());
    admit();
    std::sort(active.begin(), active.end(), goes_before);
    for (size_t i = 0; i < active.size();) {
      if (reserve(active[i], 0)) {
        ++i;
        continue;
      }
      give_back(active.back());
      wait(active.back());
      active.pop_back();
      ++preempted;
    }
    for (Plain& plain : active) {
      plain.text += 1;
      plain.left -= 1;
      told.push_back(plain.id);
      if (plain.left == 0) give_back(plain);
    }
    std::erase_if(active, [](const Plain& plain) { return plain.left == 0; });
    std::sort(told.begin(), told.end());
    return told;
  }

  bool cancel(RequestId id) {
    const auto is_it = [id](const Plain& plain) { return plain.id == id; };
    for (const Plain& plain : active) free_pages += is_it(plain) ? plain.pages : 0;
    return std::erase_if(active, is_it) + std::erase_if(waiting, is_it) > 0;
  }
};

/// One engine and its model.
class Both {
 public:
  Both() {
    engine_.use_clock([this] { return at(now_); });
  }

  void submit(Rng& rng) {
    Request request;
    request.method = ArOptions{};
    request.sequence.prompt = {rng.below(9)};
    request.max_new = 1 + rng.below(rng.below(4) == 0 ? 380 : 12);
    request.priority = rng.below(4) == 0 ? rng.below(3) - 1 : 0;
    const int deadline = rng.below(4) == 0 ? now_ + rng.below(60) : kNever;
    if (deadline != kNever) request.deadline = at(deadline);
    const RequestId id = engine_.submit(request).value();
    queue_.wait(
        {.id = id, .priority = request.priority, .left = request.max_new, .deadline = deadline});
    ids_.push_back(id);
  }

  /// Perhaps of a request that has ended.
  void cancel(Rng& rng) {
    if (ids_.empty()) return;
    const RequestId id = ids_[static_cast<size_t>(rng.below(static_cast<int>(ids_.size())))];
    const auto update = engine_.cancel(id);
    ASSERT_EQ(update.has_value(), queue_.cancel(id));
    if (!update) return;
    EXPECT_EQ(update->id, id);
    EXPECT_EQ(update->finish, FinishReason::cancelled);
    EXPECT_EQ(update->totals.value().new_tokens, tokens_[id]);
    ++cancelled_;
  }

  void step() {
    ++now_;
    std::vector<RequestId> told;
    for (const Update& update : engine_.step()) {
      told.push_back(update.id);
      tokens_[update.id] += static_cast<int64_t>(update.tokens.size());
      ended_ += update.finish == FinishReason::length ? 1 : 0;
      overdue_ += update.finish == FinishReason::deadline ? 1 : 0;
      ASSERT_EQ(update.totals.value_or(RequestStats{}).new_tokens,
                update.totals ? tokens_[update.id] : 0);
    }
    std::sort(told.begin(), told.end());
    ASSERT_EQ(told, queue_.step(now_));
    ASSERT_EQ(overdue_, queue_.overdue);
    ASSERT_EQ(engine_.stats().preemptions, queue_.preempted);
    ASSERT_EQ(engine_.pages().available(), queue_.free_pages);
  }

  void expect_same() const {
    ASSERT_EQ(engine_.waiting(), static_cast<int>(queue_.waiting.size()));
    ASSERT_EQ(engine_.active(), static_cast<int>(queue_.active.size()));
    ASSERT_EQ(engine_.idle(), queue_.waiting.empty() && queue_.active.empty());
  }

  bool idle() const { return engine_.idle(); }
  int submitted() const { return static_cast<int>(ids_.size()); }
  int cancelled() const { return cancelled_; }
  int ended() const { return ended_; }
  int overdue() const { return overdue_; }
  int preempted() const { return queue_.preempted; }

 private:
  static Engine::Time at(int turn) { return Engine::Time{} + std::chrono::seconds(turn); }

  static constexpr int kPages = 12;

  MockEvaluator evaluator_{
      {.seed = 1}, {.max_rows = 6000, .pages = kPages, .max_position = 400, .vocabulary = 11}};
  Engine engine_{evaluator_};
  PlainQueue queue_{.free_pages = kPages};
  std::vector<RequestId> ids_;  // all that ever were
  std::map<RequestId, int64_t> tokens_;
  int now_ = 0;
  int cancelled_ = 0, ended_ = 0, overdue_ = 0;
};

TEST(Queue, AdmitsAndForgetsAsAPlainOneDoes) {
  Both both;
  Rng rng(7);
  // Many come at first, few later.
  for (int turn = 0; turn < 9000 && !testing::Test::HasFatalFailure(); ++turn) {
    const int choice = rng.below(10);
    if (choice < (turn < 5000 ? 5 : 1)) {
      both.submit(rng);
    } else if (choice < 7) {
      both.cancel(rng);
    } else {
      both.step();
    }
    both.expect_same();
  }
  while (!both.idle() && !testing::Test::HasFatalFailure()) both.step();
  both.expect_same();
  EXPECT_GT(both.submitted(), 2500);
  EXPECT_GT(both.cancelled(), 500);
  EXPECT_GT(both.ended(), 500);
  EXPECT_GT(both.overdue(), 100);
  EXPECT_GT(both.preempted(), 50);
}

}  // namespace
}  // namespace tidar
