#pragma once
// Many requests at once on one evaluator: each step builds one pass of all active sequences, lets
// the evaluator carry it out, and hands each request its new tokens and text.
//
//     Engine engine(network, &tokenizer);
//     TIDAR_TRY(RequestId id, engine.submit(request));
//     TIDAR_TRY_VOID(run_until_idle(engine, [&](const Update& update) -> Result<void> { … }));

#include <chrono>
#include <functional>
#include <limits>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "cache/pages.h"
#include "cache/prefix_cache.h"
#include "engine/market.h"
#include "engine/request.h"
#include "plan/evaluator.h"
#include "text/tokenizer.h"

namespace tidar {

class Running;

/// What becomes of prices that an engine was told.
enum class PriceUse : uint8_t {
  fixed,    ///< they stay, so that passes are the same in every run
  follows,  ///< they follow what passes take in which all that are active decode
};

/// A request gets the same tokens alone and in company, whatever shares its passes, as far as the
/// evaluator is row-invariant (ops/ops.h).
///
/// Requests are admitted by priority (Request::priority), those of one in the order in which they
/// came, each as soon as there are pages for its prompt, and one more for each that is active and
/// can grow. They take pages as their texts grow. Where pages lack, the active request that is last
/// in this order gives back its own; it waits in its place again, reads its text anew once it is
/// admitted, and goes on with the very tokens that it would have had. The first one is never made
/// to wait. Pages suffice for any request that submit() takes, when it is alone.
///
/// The rows of a pass are shared evenly; what one does not use goes to the others, and to those
/// that still read their prompts last. Whoever finds no room in a pass is first in the next.
///
/// A request whose deadline has passed ends as the next step begins, with what it has; wherever it
/// is, and whatever waits before it.
///
/// To submit, admit, end or cancel a request costs the same however many there are (of those with
/// deadlines, the logarithm of it; one that goes before others that wait looks at each of those); a
/// step costs what those cost that are active.
///
/// Not thread-safe: one thread drives it, and calls submit() and cancel() between steps.
class Engine {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// Both must outlive the engine. Without a tokenizer there is no text and there are no stop
  /// strings.
  explicit Engine(Evaluator& evaluator, const Tokenizer* tokenizer = nullptr);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// What passes cost. From then on the rows of a pass go to those that bring more with them than
  /// they cost, where a method offers any (engine/market.h).
  void set_prices(Prices prices, PriceUse use) {
    prices_ = std::move(prices);
    price_use_ = use;
  }
  const std::optional<Prices>& prices() const { return prices_; }

  /// From then on requests whose texts begin alike share the pages of their beginnings, and such
  /// pages are kept as long as no request needs them (cache/prefix_cache.h).
  void share_prefixes() { prefixes_.emplace(pool_); }

  /// So many, at least 1, are active at the same time at most; without it, as many as there are
  /// pages for.
  void limit_active(int most) { most_active_ = most; }

  /// While texts grow, a pass holds so many rows of prompts at most, or as many as the first of
  /// them needs; so that a long prompt does not hold up the others for long at a time. Without it,
  /// as many as a pass has room for.
  void limit_prompt_rows(int most) { most_prompt_rows_ = most; }

  /// What tells whether deadlines have passed, in the place of the steady clock.
  void use_clock(std::function<Time()> now) { now_ = std::move(now); }

  /// Takes a request in, or says what is wrong with it: an empty prompt or one that leaves no room
  /// for an answer, a token that is not in the vocabulary, options out of range, passes too small
  /// for the method. Costs no pass.
  Result<RequestId> submit(Request request);

  /// Ends a request. The update holds the text that was held back; nullopt if there is no such
  /// request any more.
  std::optional<Update> cancel(RequestId id);

  /// One pass for everything that is active. One update for each request that has something new,
  /// be it only a decoding pass that brought no token; a request that finishes is forgotten.
  std::vector<Update> step();

  /// Whether there is nothing to do.
  bool idle() const { return waiting_.empty() && active_.empty(); }
  int active() const { return static_cast<int>(active_.size()); }
  int waiting() const { return static_cast<int>(waiting_.size()); }
  const EngineStats& stats() const { return stats_; }
  const PagePool& pages() const { return pool_; }
  /// Spent on choosing which offered rows passes carry.
  double choosing_seconds() const { return choosing_s_; }

 private:
  using Requests = std::list<Running>;

  std::vector<Update> end_overdue();
  void admit();
  bool let_in(Running& running);
  int pages_to_spare(const Running& newest) const;
  void reserve_pages();
  void suspend(Requests::iterator running);
  void wait(Requests& from, Requests::iterator running);
  void plan();
  int prompt_rows() const;
  void trade();
  PassOutlook outlook() const;
  PassCost cost_of_pass(double seconds) const;
  void settle(const PassCost& cost);
  void evaluate();
  void answer_more();
  /// Gives back what it holds; returns the one after it.
  Requests::iterator forget(Requests::iterator running);

  Evaluator& evaluator_;
  const Tokenizer* tokenizer_;
  EvaluatorLimits limits_;  // of a sequence with keys: its max_position is at most what pages hold
  PagePool pool_;
  std::optional<PrefixCache> prefixes_;
  int most_active_ = std::numeric_limits<int>::max();
  int most_prompt_rows_ = std::numeric_limits<int>::max();
  EngineStats stats_;
  RequestId next_id_ = 1;
  Requests waiting_;  // in the order in which they will be let in
  Requests active_;   // in the order in which the next pass serves them
  std::unordered_map<RequestId, Requests::iterator> places_;  // of both
  std::set<std::pair<Time, RequestId>> deadlines_;            // of those that have one
  std::function<Time()> now_ = std::chrono::steady_clock::now;

  std::optional<Prices> prices_;
  PriceUse price_use_ = PriceUse::fixed;
  std::shared_ptr<Experience> experience_ = std::make_shared<Experience>();  // of all requests
  // What a sequence has in a pass that reads no prompt, on average of late.
  struct Share {
    double rows = 1, asked = 1, asked_later = 0, askers_later = 0, seen_keys = 0, tokens = 1;
  };
  Share share_;
  int64_t passes_ = 0;  // that prices had a say in
  double choosing_s_ = 0;

  // Of the step under way; members only to keep their memory.
  Pass pass_;
  Asks asks_;
  std::vector<Answer> answers_;
  size_t further_asks_ = 0, further_askers_ = 0;
  std::vector<Offer> offers_;
};

/// Steps until there is nothing left to do, or `stopped` says so between two steps. Every update
/// goes to `use`, whose first Error ends it; the updates behind it of the same step are lost. What
/// is active then stays so: step on, or cancel it.
Result<void> run_until_idle(Engine& engine, const std::function<Result<void>(const Update&)>& use,
                            const std::function<bool()>& stopped = nullptr);

}  // namespace tidar
