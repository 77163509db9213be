#include "constrain/token_language.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "constrain/automaton.h"

namespace tidar {
namespace {

constexpr size_t kMostSetBytes = size_t{16} << 20;

using State = Automaton::State;

/// States that were met, and what is allowed in them.
struct Table {
  explicit Table(const Grammar& grammar) : automaton(grammar) {}

  Automaton automaton;
  std::vector<std::shared_ptr<const TokenSet>> allowed;  // by state; nullptr: not looked for yet
  size_t set_bytes = 0;

  bool full() const { return automaton.full() || set_bytes > kMostSetBytes; }
};

/// Where a text stands: a state of one of the tables.
struct Place {
  std::shared_ptr<Table> table;
  State state = Automaton::kDead;
};

class TokenLanguage {
 public:
  TokenLanguage(Grammar grammar, std::shared_ptr<const TokenTrie> trie, std::vector<int32_t> eos)
      : grammar_(std::move(grammar)), trie_(std::move(trie)), eos_(std::move(eos)) {
    for (const int32_t token : eos_) limit_ = std::max(limit_, token + 1);
    limit_ = std::max(limit_, trie_->vocabulary());
    table_ = std::make_shared<Table>(grammar_);
  }

  const TokenTrie& trie() const { return *trie_; }
  bool ends(int32_t token) const {
    return std::find(eos_.begin(), eos_.end(), token) != eos_.end();
  }

  Place begin() {
    const std::lock_guard lock(mutex_);
    return {table_, table_->automaton.begin()};
  }
  bool may_end(const Place& place) {
    const std::lock_guard lock(mutex_);
    return place.table->automaton.may_end(place.state);
  }
  std::shared_ptr<const TokenSet> allowed(Place place);
  /// Automaton::kDead where no text goes on with the bytes.
  Place after(Place place, std::string_view bytes);

 private:
  void bring_up_to_date(Place& place);
  std::shared_ptr<const TokenSet> find_allowed(State begin);
  void renew(std::vector<State>& path);

  const Grammar grammar_;
  const std::shared_ptr<const TokenTrie> trie_;
  const std::vector<int32_t> eos_;
  int32_t limit_ = 0;  // of sets

  std::mutex mutex_;              // of all tables
  std::shared_ptr<Table> table_;  // that grows; places in older ones move when they are used
};

void TokenLanguage::bring_up_to_date(Place& place) {
  if (table_->full()) table_ = std::make_shared<Table>(grammar_);
  if (place.table == table_) return;
  place.state = table_->automaton.adopt(place.table->automaton, place.state);
  place.table = table_;
}

std::shared_ptr<const TokenSet> TokenLanguage::allowed(Place place) {
  const std::lock_guard lock(mutex_);
  bring_up_to_date(place);
  const auto state = static_cast<size_t>(place.state);
  if (state < table_->allowed.size() && table_->allowed[state] != nullptr) {
    return table_->allowed[state];
  }
  return find_allowed(place.state);
}

// The first states of the path go on in a new table.
void TokenLanguage::renew(std::vector<State>& path) {
  auto table = std::make_shared<Table>(grammar_);
  for (State& state : path) state = table->automaton.adopt(table_->automaton, state);
  table_ = std::move(table);
}

std::shared_ptr<const TokenSet> TokenLanguage::find_allowed(State begin) {
  auto allowed = std::make_shared<TokenSet>(limit_);
  const auto nodes = trie_->nodes();
  std::vector<State> path = {begin};  // [d]: behind d bytes
  for (size_t i = 0; i + 1 < nodes.size();) {
    const TokenTrie::Node& node = nodes[i];
    path.resize(size_t{node.depth} + 1);
    if (table_->full()) renew(path);
    const State next = table_->automaton.next(path.back(), node.byte);
    if (next == Automaton::kDead) {
      i = static_cast<size_t>(node.end);
      continue;
    }
    path.push_back(next);
    for (const int32_t token : trie_->tokens_of(i)) allowed->insert(token);
    ++i;
  }
  for (const int32_t token : eos_) {
    allowed->erase(token);
    if (table_->automaton.may_end(path[0])) allowed->insert(token);
  }
  const auto state = static_cast<size_t>(path[0]);
  if (table_->allowed.size() <= state) table_->allowed.resize(state + 1);
  table_->allowed[state] = allowed;
  table_->set_bytes += allowed->words().size_bytes();
  return allowed;
}

Place TokenLanguage::after(Place place, std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  bring_up_to_date(place);
  for (const char byte : bytes) {
    place.state = table_->automaton.next(place.state, static_cast<uint8_t>(byte));
  }
  return place;
}

/// What follows an end-of-text token: nothing.
class Ended final : public Constraint {
 public:
  std::shared_ptr<const TokenSet> allowed() const override { return std::make_shared<TokenSet>(0); }
  std::shared_ptr<const Constraint> after(int32_t /*token*/) const override { return nullptr; }
};

class Constrained final : public Constraint {
 public:
  Constrained(std::shared_ptr<TokenLanguage> language, Place place, bool at_begin)
      : language_(std::move(language)), place_(std::move(place)), at_begin_(at_begin) {}

  std::shared_ptr<const TokenSet> allowed() const override {
    auto allowed = language_->allowed(place_);
    if (!at_begin_) return allowed;
    const TokenSet& changed = language_->trie().changed_at_begin();
    if (changed.empty()) return allowed;
    auto first = std::make_shared<TokenSet>(*allowed);
    for (int32_t token = 0; token < changed.limit(); ++token) {
      if (changed.contains(token) && !language_->ends(token)) first->erase(token);
    }
    return first;
  }

  std::shared_ptr<const Constraint> after(int32_t token) const override {
    if (language_->ends(token)) {
      if (!language_->may_end(place_)) return nullptr;
      return std::make_shared<Ended>();
    }
    const std::string_view bytes = language_->trie().bytes(token);
    if (bytes.empty()) return nullptr;
    if (at_begin_ && language_->trie().changed_at_begin().contains(token)) return nullptr;
    Place next = language_->after(place_, bytes);
    if (next.state == Automaton::kDead) return nullptr;
    return std::make_shared<Constrained>(language_, std::move(next), false);
  }

 private:
  std::shared_ptr<TokenLanguage> language_;
  Place place_;
  bool at_begin_;
};

}  // namespace

std::shared_ptr<const Constraint> constrain(Grammar grammar, std::shared_ptr<const TokenTrie> trie,
                                            std::vector<int32_t> eos) {
  auto language =
      std::make_shared<TokenLanguage>(std::move(grammar), std::move(trie), std::move(eos));
  Place place = language->begin();
  return std::make_shared<Constrained>(std::move(language), std::move(place), true);
}

}  // namespace tidar
