#include "engine/engine.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "base/stopwatch.h"
#include "engine/running.h"

namespace tidar {
namespace {

EvaluatorLimits limits_of_one_sequence(EvaluatorLimits limits) {
  const int64_t keys = int64_t{limits.pages} * kPageSlots;
  limits.max_position = static_cast<int>(std::min<int64_t>(limits.max_position, keys));
  return limits;
}

}  // namespace

Engine::Engine(Evaluator& evaluator, const Tokenizer* tokenizer)
    : evaluator_(evaluator),
      tokenizer_(tokenizer),
      limits_(limits_of_one_sequence(evaluator.limits())),
      pool_(evaluator.limits().pages) {}

Engine::~Engine() = default;

Result<RequestId> Engine::submit(Request request) {
  if (tokenizer_ == nullptr && !request.stop.empty()) {
    return error("stop strings need a tokenizer; this model has no tokenizer.json");
  }
  // A text without keys may be longer than the pages.
  const auto& limits = facts_of(request.method).keeps_keys ? limits_ : evaluator_.limits();
  request.sequence.experience = experience_;
  TIDAR_TRY(auto decoder, make_decoder(request, pool_, limits));
  if (decoder->min_rows() > limits_.max_rows) {
    return error("the method needs passes of at least {} rows; this engine's have {}",
                 decoder->min_rows(), limits_.max_rows);
  }
  const RequestId id = next_id_++;
  if (request.deadline != Time::max()) deadlines_.emplace(request.deadline, id);
  Requests submitted;
  submitted.emplace_back(id, std::move(request), std::move(decoder), tokenizer_);
  places_.emplace(id, submitted.begin());
  wait(submitted, submitted.begin());
  return id;
}

std::optional<Update> Engine::cancel(RequestId id) {
  const auto found = places_.find(id);
  if (found == places_.end()) return std::nullopt;
  Update update = found->second->end(FinishReason::cancelled);
  forget(found->second);
  return update;
}

// What was suspended belongs at the front, most others at the end.
void Engine::wait(Requests& from, Requests::iterator running) {
  if (!waiting_.empty() && running->goes_before(waiting_.front())) {
    waiting_.splice(waiting_.begin(), from, running);
    return;
  }
  const auto before = std::find_if(waiting_.rbegin(), waiting_.rend(), [&](const Running& other) {
    return other.goes_before(*running);
  });
  waiting_.splice(before.base(), from, running);
}

Engine::Requests::iterator Engine::forget(Requests::iterator running) {
  places_.erase(running->id());
  deadlines_.erase({running->deadline(), running->id()});
  return (running->active() ? active_ : waiting_).erase(running);
}

std::vector<Update> Engine::end_overdue() {
  std::vector<Update> updates;
  if (deadlines_.empty()) return updates;
  const Time now = now_();
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const auto running = places_.at(deadlines_.begin()->second);
    updates.push_back(running->end(FinishReason::deadline));
    forget(running);
  }
  return updates;
}

void Engine::admit() {
  while (!waiting_.empty() && active() < most_active_ && let_in(waiting_.front())) {
    active_.splice(active_.end(), waiting_, waiting_.begin());
  }
}

bool Engine::let_in(Running& running) {
  const int adopted = prefixes_ ? running.adopt_keys(*prefixes_) : 0;
  if (!running.reserve(limits_) || pool_.available() < pages_to_spare(running)) {
    running.drop_keys();
    return false;
  }
  if (prefixes_ && !running.began()) {
    stats_.prefix_queries += running.adoptable();
    stats_.prefix_hits += adopted;
  }
  running.start(adopted);
  return true;
}

// That texts can grow into: a page for each that is active, or fewer where they cannot grow so far.
int Engine::pages_to_spare(const Running& newest) const {
  if (!newest.keeps_keys()) return 0;
  int to_come = newest.pages_to_come(limits_);
  for (const Running& running : active_) to_come += running.pages_to_come(limits_);
  return std::min(to_come, active());
}

// In the order in which they would be let in. It may be a request's own turn to give its pages
// back.
void Engine::reserve_pages() {
  active_.sort([](const Running& a, const Running& b) { return a.goes_before(b); });
  auto running = active_.begin();
  while (running != active_.end()) {
    if (running->reserve(limits_)) {
      ++running;
      continue;
    }
    auto last = std::prev(active_.end());
    while (!last->holds_pages()) --last;
    TIDAR_CHECK(last != active_.begin());  // alone it has pages enough
    if (last == running) ++running;
    suspend(last);
  }
}

void Engine::suspend(Requests::iterator running) {
  running->suspend();
  wait(active_, running);
  ++stats_.preemptions;
}

void Engine::plan() {
  // Those that a prompt makes greedy come last, and get all that is left.
  const auto before = [](const Running& a, const Running& b) {
    return std::pair(-a.waited(), a.reads()) < std::pair(-b.waited(), b.reads());
  };
  active_.sort(before);
  for (Running& running : active_) running.begin_step();
  if (prices_) trade();
  pass_.clear();
  int sharers = active();
  int for_prompts = prompt_rows();
  bool first_prompt = true;
  for (Running& running : active_) {
    int left = limits_.max_rows - pass_.rows();
    if (!running.reads()) {
      running.plan(pass_, left, sharers--);
      continue;
    }
    if (std::exchange(first_prompt, false)) for_prompts = std::max(for_prompts, running.min_rows());
    left = std::min(left, for_prompts);
    const int others = pass_.rows();
    running.plan(pass_, left, sharers--);
    for_prompts -= pass_.rows() - others;
  }
}

// Those of a pass that prompts may take.
int Engine::prompt_rows() const {
  const bool alone = std::all_of(active_.begin(), active_.end(),
                                 [](const Running& running) { return running.reads(); });
  return alone ? limits_.max_rows : std::min(most_prompt_rows_, limits_.max_rows);
}

// What one of the active ones may expect of the others.
PassOutlook Engine::outlook() const {
  const int others = active() - 1;
  return {.prices = &*prices_,
          .others = {static_cast<int>(std::lround(others * share_.rows)), others * share_.asked,
                     others * share_.asked_later, others * share_.askers_later,
                     others * share_.seen_keys},
          .others_tokens = others * share_.tokens,
          .number = passes_};
}

// Those that offer rows are told how many pay; the others share what these leave.
void Engine::trade() {
  const Stopwatch watch;
  ++passes_;
  const PassOutlook outlook = this->outlook();
  PassSize others;
  const auto readers = std::count_if(active_.begin(), active_.end(),
                                     [](const Running& running) { return running.reads(); });
  const int reader_rows =
      std::min(limits_.max_rows / active(),
               prompt_rows() / static_cast<int>(std::max<ptrdiff_t>(readers, 1)));
  size_t offers = 0;
  double rates = 0;
  for (Running& running : active_) {
    if (offers_.size() == offers) offers_.emplace_back();
    if (running.make_offer(outlook, offers_[offers])) {
      rates += offers_[offers++].rate;
      continue;
    }
    // Whoever reads a prompt takes all that there is; other methods take a row at least.
    const int rows = running.reads() ? reader_rows : running.min_rows();
    others += PassSize{rows, 1}.behind(running.cached_keys());
  }
  if (offers == 0) return;
  const std::vector<int> grants = grant_rows(*prices_, rates / static_cast<double>(offers), others,
                                             std::span(offers_).first(offers), limits_.max_rows);
  auto rows = grants.begin();
  for (Running& running : active_) {
    if (running.offers()) running.grant(*rows++);
  }
  choosing_s_ += watch.seconds();
}

void Engine::evaluate() {
  answers_.resize(std::max(answers_.size(), pass_.asks.size()));
  evaluator_.evaluate(pass_, std::span(answers_).first(pass_.asks.size()));
  for (Running& running : active_) running.take(answers_);
}

void Engine::answer_more() {
  further_asks_ = further_askers_ = 0;
  for (;;) {
    asks_.clear();
    for (const Running& running : active_) {
      if (running.more_asks().empty()) continue;
      asks_.append(running.more_asks());
      ++further_askers_;
    }
    if (asks_.empty()) return;
    further_asks_ += asks_.size();
    answers_.resize(std::max(answers_.size(), asks_.size()));
    evaluator_.answer(asks_, std::span(answers_).first(asks_.size()));
    std::span<const Answer> left(answers_);
    for (Running& running : active_) {
      const size_t count = running.more_asks().size();
      if (count > 0) running.take_more(left.first(count));
      left = left.subspan(count);
    }
  }
}

PassCost Engine::cost_of_pass(double seconds) const {
  PassCost cost;
  cost.size = {pass_.rows(), static_cast<double>(pass_.asks.size()),
               static_cast<double>(further_asks_), static_cast<double>(further_askers_)};
  for (const PassSequence& sequence : pass_.sequences) {
    cost.size.seen_keys += static_cast<double>(sequence.rows) * sequence.cached;
  }
  if (prices_ && cost.size.rows > 0) cost.expected_s = prices_->seconds(cost.size);
  cost.seconds = seconds;
  return cost;
}

// What the pass cost and brought; not of one that read a prompt, whose many rows of which hardly
// any is asked say little of what decoding costs, and would drive all prices.
void Engine::settle(const PassCost& cost) {
  int tokens = 0;
  for (const Running& running : active_) {
    if (!running.decoded()) return;
    tokens += running.step_tokens();
  }
  if (price_use_ == PriceUse::follows) prices_->observe(cost.size, cost.seconds);
  const auto follow = [&](double& share, double all) {
    constexpr double kNew = 0.1;
    share += kNew * (all / active() - share);
  };
  follow(share_.rows, cost.size.rows);
  follow(share_.asked, cost.size.asked);
  follow(share_.asked_later, cost.size.asked_later);
  follow(share_.askers_later, cost.size.askers_later);
  follow(share_.seen_keys, cost.size.seen_keys);
  follow(share_.tokens, tokens);
}

std::vector<Update> Engine::step() {
  std::vector<Update> updates = end_overdue();
  const Stopwatch watch;
  admit();
  if (active_.empty()) return updates;
  reserve_pages();
  plan();
  const Stopwatch evaluating;
  evaluate();
  answer_more();

  const double seconds = watch.seconds();
  const PassCost cost = cost_of_pass(evaluating.seconds());
  if (prices_) settle(cost);
  stats_.passes += 1;
  stats_.rows += cost.size.rows;
  stats_.pass_s += cost.seconds;
  for (auto running = active_.begin(); running != active_.end();) {
    if (prefixes_) running->share_keys(*prefixes_);
    if (auto update = running->end_step(seconds, cost)) updates.push_back(std::move(*update));
    running = running->finished() ? forget(running) : std::next(running);
  }
  return updates;
}

Result<void> run_until_idle(Engine& engine, const std::function<Result<void>(const Update&)>& use,
                            const std::function<bool()>& stopped) {
  while (!engine.idle() && !(stopped && stopped())) {
    for (const Update& update : engine.step()) TIDAR_TRY_VOID(use(update));
  }
  return {};
}

}  // namespace tidar
