#include "serve/engine_thread.h"

#include <utility>

#include "base/check.h"

namespace tidar {
namespace {

/// Steps that the engine may be ahead of a busy owner.
constexpr size_t kBatches = 16;

}  // namespace

void PassTallies::add(int64_t rows, double seconds) {
  size_t size = 0;
  while (size + 1 < kSizes && rows > most_rows(size)) ++size;
  of_size[size].passes += 1;
  of_size[size].rows += rows;
  of_size[size].seconds += seconds;
}

EngineThread::EngineThread(Engine& engine, int most, Post post)
    : most_(most),
      post_(std::move(post)),
      // Each is handed in once and cancelled once, perhaps when it has just made room for another.
      commands_(3 * static_cast<size_t>(most)),
      batches_(kBatches),
      state_{.pages = engine.pages().capacity(), .free_pages = engine.pages().capacity()},
      engine_(engine),
      thread_(posting_thread(post_, [this] { run(); })) {}

EngineThread::~EngineThread() { stop(); }

std::optional<Ticket> EngineThread::submit(Request request, Take take) {
  if (under_way() >= most_) return std::nullopt;
  const Ticket ticket = next_ticket_++;
  if (!commands_.try_push({ticket, std::move(request)})) return std::nullopt;  // it was stopped
  takers_.emplace(ticket, Taker{std::move(take)});
  return ticket;
}

void EngineThread::cancel(Ticket ticket) {
  const auto found = takers_.find(ticket);
  if (found == takers_.end() || found->second.cancelled) return;
  found->second.cancelled = true;
  commands_.try_push({ticket, std::nullopt});
}

void EngineThread::stop() {
  if (!thread_.joinable()) return;
  commands_.close();
  batches_.close();
  thread_.join();
}

void EngineThread::deliver() {
  while (const auto batch = batches_.try_pop()) {
    for (const Delivery& delivery : *batch) {
      count(delivery.update);
      const auto found = takers_.find(delivery.ticket);
      TIDAR_CHECK(found != takers_.end());
      // It may hand in and cancel requests; its place stays where it is.
      Taker& taker = found->second;
      if (!taker.cancelled) taker.take(delivery);
      if (delivery.last()) takers_.erase(delivery.ticket);
    }
  }
}

void EngineThread::count(const Update& update) {
  totals_.sum.add(update.stats);
  if (!update.totals) return;
  totals_.finished[static_cast<size_t>(update.finish)] += 1;
  totals_.sum.prompt_tokens += update.totals->prompt_tokens;
  totals_.sum.waiting_s += update.totals->waiting_s;
}

void EngineThread::run() {
  Batch batch;
  while (auto command = commands_.pop()) {  // nothing to do until there is one
    carry_out(std::move(*command), batch);
    do {
      while (auto more = commands_.try_pop()) carry_out(std::move(*more), batch);
      step(batch);
      tell_state();
      if (!hand_over(batch)) return;
    } while (!engine_.idle());
  }
}

void EngineThread::carry_out(Command command, Batch& batch) {
  if (command.request) {
    const auto id = engine_.submit(std::move(*command.request));
    if (id.ok()) {
      ids_.emplace(command.ticket, *id);
      tickets_.emplace(*id, command.ticket);
    } else {
      batch.push_back({.ticket = command.ticket, .refused = id.error(), .update = {}});
    }
    return;
  }
  const auto found = ids_.find(command.ticket);
  if (found == ids_.end()) return;  // it has ended meanwhile
  batch.push_back({.ticket = command.ticket,
                   .refused = std::nullopt,
                   .update = engine_.cancel(found->second).value()});
  tickets_.erase(found->second);
  ids_.erase(found);
}

void EngineThread::step(Batch& batch) {
  const EngineStats before = engine_.stats();
  std::vector<Update> updates = engine_.step();
  const EngineStats& after = engine_.stats();
  if (after.passes > before.passes) {
    passes_.add(after.rows - before.rows, after.pass_s - before.pass_s);
  }
  for (Update& update : updates) {
    const auto found = tickets_.find(update.id);
    TIDAR_CHECK(found != tickets_.end());
    const Ticket ticket = found->second;
    if (update.finish != FinishReason::none) {
      ids_.erase(ticket);
      tickets_.erase(found);
    }
    batch.push_back({.ticket = ticket, .refused = std::nullopt, .update = std::move(update)});
  }
}

void EngineThread::tell_state() {
  const PagePool& pages = engine_.pages();
  const std::lock_guard lock(state_mutex_);
  state_ = {.stats = engine_.stats(),
            .passes = passes_,
            .active = engine_.active(),
            .waiting = engine_.waiting(),
            .pages = pages.capacity(),
            .free_pages = pages.available() - pages.spare(),
            .spare_pages = pages.spare()};
}

EngineState EngineThread::state() const {
  const std::lock_guard lock(state_mutex_);
  return state_;
}

// False: the owner has stopped listening.
bool EngineThread::hand_over(Batch& batch) {
  if (batch.empty()) return !batches_.closed();
  if (!batches_.push(std::exchange(batch, {}))) return false;
  post_([this] { deliver(); });
  return true;
}

}  // namespace tidar
