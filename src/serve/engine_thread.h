#pragma once
// The engine on a thread of its own: the thread that owns this hands requests in and is handed what
// they bring. The two share nothing but two queues and a few numbers.

#include <array>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"
#include "serve/bounded_queue.h"
#include "serve/posting_thread.h"

namespace tidar {

/// A request that was handed in; each has its own.
using Ticket = int64_t;

/// What one step brought one request.
struct Delivery {
  Ticket ticket = 0;
  std::optional<Error> refused;  ///< the engine did not take it; nothing else comes
  Update update;

  bool last() const { return refused || update.finish != FinishReason::none; }
};

/// Passes of about as many rows.
struct PassTally {
  int64_t passes = 0;
  int64_t rows = 0;    ///< of all of them
  double seconds = 0;  ///< that they took
};

/// Passes by their rows: up to 1, 2, 4, 8 … of them; those of more than 4096 come last.
struct PassTallies {
  static constexpr size_t kSizes = 14;
  static constexpr int most_rows(size_t size) { return 1 << size; }

  std::array<PassTally, kSizes> of_size{};
  void add(int64_t rows, double seconds);
};

/// The engine between two steps.
struct EngineState {
  EngineStats stats{};
  PassTallies passes{};
  int active = 0, waiting = 0;  ///< requests
  int pages = 0;
  int free_pages = 0;
  int spare_pages = 0;  ///< kept for texts that begin alike
};

inline constexpr size_t kFinishReasons = static_cast<size_t>(FinishReason::deadline) + 1;

/// What all requests brought so far, those that were cancelled included.
struct EngineTotals {
  RequestStats sum;                                ///< prompts count when their requests end
  std::array<int64_t, kFinishReasons> finished{};  ///< requests, by FinishReason
};

/// All calls, and those of what is passed to it, come from one thread: its owner's. What the engine
/// throws, for lack of memory say, a posted call throws there, and nothing more comes.
class EngineThread {
 public:
  using Take = std::function<void(const Delivery&)>;

  /// Starts the thread, which alone uses the engine until stop(). At most `most` requests are
  /// under way at a time.
  EngineThread(Engine& engine, int most, Post post);
  /// stop(). What was posted must not be called any more.
  ~EngineThread();
  EngineThread(const EngineThread&) = delete;
  EngineThread& operator=(const EngineThread&) = delete;

  /// Hands a request in; `take` is called with all that it brings, never before this returns.
  /// Nothing when so many are under way.
  std::optional<Ticket> submit(Request request, Take take);
  /// Ends a request: nothing more is taken of it, and it counts until the engine has let go of it.
  /// One that has ended is none of its business.
  void cancel(Ticket ticket);

  int under_way() const { return static_cast<int>(takers_.size()); }
  int most() const { return most_; }
  /// After the last step.
  EngineState state() const;
  const EngineTotals& totals() const { return totals_; }

  /// Ends the thread after the step under way. Requests that have not ended bring nothing more.
  void stop();

 private:
  struct Command {
    Ticket ticket = 0;
    std::optional<Request> request;  ///< none: cancel
  };
  struct Taker {
    Take take;
    bool cancelled = false;
  };
  using Batch = std::vector<Delivery>;

  void deliver();
  void count(const Update& update);

  // The engine's thread.
  void run();
  void carry_out(Command command, Batch& batch);
  void step(Batch& batch);
  bool hand_over(Batch& batch);
  void tell_state();

  const int most_;
  Post post_;
  BoundedQueue<Command> commands_;
  BoundedQueue<Batch> batches_;
  mutable std::mutex state_mutex_;
  EngineState state_;

  // The owner's.
  Ticket next_ticket_ = 1;
  std::unordered_map<Ticket, Taker> takers_;
  EngineTotals totals_;

  // The engine's thread alone uses these.
  Engine& engine_;
  PassTallies passes_;
  std::unordered_map<Ticket, RequestId> ids_;
  std::unordered_map<RequestId, Ticket> tickets_;

  std::thread thread_;
};

}  // namespace tidar
