#pragma once
// One request on its way: its decoder, and what its committed tokens become.

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "base/stopwatch.h"
#include "cache/prefix_cache.h"
#include "engine/request.h"
#include "engine/stop_strings.h"
#include "text/tokenizer.h"

namespace tidar {

class Running {
 public:
  Running(RequestId id, Request request, std::unique_ptr<Decoder> decoder,
          const Tokenizer* tokenizer);

  RequestId id() const { return id_; }
  std::chrono::steady_clock::time_point deadline() const { return request_.deadline; }
  /// Whether it is let in before the other.
  bool goes_before(const Running& other) const {
    return std::pair(request_.priority, id_) < std::pair(other.request_.priority, other.id_);
  }
  /// Whether the prompt is being read, or the text again.
  bool reads() const { return decoder_->phase() == Phase::reading; }
  /// Steps in a row in which it found no room.
  int waited() const { return waited_; }
  bool finished() const { return update_.finish != FinishReason::none; }

  // Keys. Of one that waits there are none.

  bool keeps_keys() const { return facts_.keeps_keys; }
  int cached_keys() const { return decoder_->cache().length(); }
  bool holds_pages() const { return !decoder_->cache().pages().empty(); }
  /// Tokens whose keys could be those of others.
  int64_t adoptable() const;
  /// Takes the keys that others left of its text; returns how many.
  int adopt_keys(PrefixCache& prefixes);
  /// Leaves keys to others.
  void share_keys(PrefixCache& prefixes);
  /// Makes room for those of its next pass. False: pages lack, and it holds what it held.
  bool reserve(const EvaluatorLimits& limits);
  /// Pages that it can still come to need beside those that it holds.
  int pages_to_come(const EvaluatorLimits& limits) const;
  /// Gives all of them back. What they were made of will be read again.
  void drop_keys() { decoder_->cache().truncate(0); }

  /// It becomes active, for the first time with so many keys of others.
  void start(int adopted);
  /// It waits again.
  void suspend();
  bool active() const { return active_; }
  /// Whether it was active before.
  bool began() const { return began_; }

  // One step is begin_step(), plan(), take(), then take_more() while there are more_asks(), and
  // end_step().

  void begin_step() {
    if (request_.explain) update_.explanation.emplace();
  }

  /// Makes an offer for the next pass, if its decoder has one; grant() is told what is taken of it.
  bool make_offer(const PassOutlook& outlook, Offer& offer);
  bool offers() const { return granted_ > 0; }
  void grant(int rows);
  int min_rows() const { return decoder_->min_rows(); }

  /// Adds its rows to the pass, which has room for `left` rows and is shared with `sharers` - 1
  /// others from here on; or nothing, when that is not enough.
  void plan(Pass& pass, int left, int sharers);
  /// Takes its part of the answers to the pass's asks, and makes its update.
  void take(std::span<const Answer> answers);
  /// What it still wants to know for the next pass.
  const Asks& more_asks() const;
  void take_more(std::span<const Answer> answers);
  /// Whether the step under way made a decoding pass, and how many tokens it brought.
  bool decoded() const { return update_.stats.decoding; }
  int step_tokens() const { return update_.stats.tokens; }
  /// What the step, which took so long, brought; nullopt if nothing. `cost` is that of its pass.
  std::optional<Update> end_step(double seconds, const PassCost& cost);

  /// Ends it between steps: the update holds what was held back.
  Update end(FinishReason reason);

 private:
  /// Uses one committed token; returns whether and why the output ends with it.
  FinishReason use(const TokenLogprob& token);
  /// The update of the step, which then begins anew.
  Update finish_update();
  /// Releases the text that was held back.
  void flush_text();

  RequestId id_;
  Request request_;
  std::unique_ptr<Decoder> decoder_;
  MethodFacts facts_;
  std::optional<Detokenizer> detokenizer_;
  StopStrings stops_;
  RequestStats totals_;
  Stopwatch submitted_;

  bool active_ = false, began_ = false;
  int waited_ = 0;

  // Of the step under way.
  Update update_;
  int granted_ = 0;  // rows of its offer; 0: it made none
  bool planned_ = false;
  size_t first_ask_ = 0;  // its asks in the pass
  size_t asks_ = 0;
};

}  // namespace tidar
