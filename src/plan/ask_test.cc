#include "plan/ask.h"

#include <gtest/gtest.h>

#include <array>

namespace tidar {
namespace {

std::vector<int32_t> tokens_of(const ChangeRange& range, const Asks& asks) {
  std::vector<int32_t> tokens;
  for (const LogitChange& change : range.of(asks.changes())) tokens.push_back(change.token);
  return tokens;
}

using Tokens = std::vector<int32_t>;

TEST(Asks, ShareChanges) {
  Asks asks;
  const ChangeRange shared = asks.add_changes(std::array<LogitChange, 2>{{{1}, {2}}});
  const ChangeRange own = asks.add_changes(std::array<LogitChange, 1>{{{3}}});
  EXPECT_EQ(asks.add({.row = 0, .changes = shared}), 0u);
  EXPECT_EQ(asks.add({.row = 1, .changes = shared, .own_changes = own}), 1u);
  EXPECT_EQ(asks.changes().size(), 3u);
  EXPECT_EQ(tokens_of(asks[1].changes, asks), (Tokens{1, 2}));
  EXPECT_EQ(tokens_of(asks[1].own_changes, asks), (Tokens{3}));
  asks.check(2);
  asks.clear();
  EXPECT_TRUE(asks.empty());
  EXPECT_TRUE(asks.changes().empty());
}

TEST(Asks, AppendedOnesKeepTheirChanges) {
  Asks all, other;
  all.add({.row = 4, .changes = all.add_changes(std::array<LogitChange, 2>{{{1}, {2}}})});
  const ChangeRange shared = other.add_changes(std::array<LogitChange, 1>{{{3}}});
  other.add({.row = 5});
  other.add({.row = 6,
             .changes = shared,
             .own_changes = other.add_changes(std::array<LogitChange, 2>{{{3}, {4}}})});
  all.append(other);
  all.append({});
  all.check(7);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(tokens_of(all[0].changes, all), (Tokens{1, 2}));
  EXPECT_EQ(all[1].row, 5);
  EXPECT_TRUE(all[1].changes.empty());
  EXPECT_EQ(all[2].row, 6);
  EXPECT_EQ(tokens_of(all[2].changes, all), (Tokens{3}));
  EXPECT_EQ(tokens_of(all[2].own_changes, all), (Tokens{3, 4}));
}

std::shared_ptr<const TokenSet> set_of(const Tokens& tokens) {
  auto set = std::make_shared<TokenSet>(100);
  for (const int32_t token : tokens) set->insert(token);
  return set;
}

TEST(Asks, AppendedOnesKeepWhatTheyAllow) {
  Asks all, other;
  all.add({.row = 0, .allowed = all.add_allowed(set_of({1}))});
  other.add({.row = 1, .allowed = other.add_allowed(nullptr)});
  other.add({.row = 2, .allowed = other.add_allowed(set_of({2}))});
  all.append(other);
  all.check(3);
  EXPECT_EQ(*all.allowed(all[0]), *set_of({1}));
  EXPECT_EQ(all.allowed(all[1]), nullptr);
  EXPECT_EQ(*all.allowed(all[2]), *set_of({2}));
  const Asks copy = all;
  all.clear();
  EXPECT_EQ(*copy.allowed(copy[2]), *set_of({2}));
}

TEST(Asks, APartRefersToWhatTheWholeDoes) {
  Asks whole, part = {{.row = 9}};
  whole.add({.row = 1});
  whole.add({.row = 2,
             .changes = whole.add_changes(std::array<LogitChange, 1>{{{3}}}),
             .allowed = whole.add_allowed(set_of({4}))});
  part.begin_part_of(whole);
  EXPECT_TRUE(part.empty());
  part.add(whole[1]);
  part.check(3);
  EXPECT_EQ(tokens_of(part[0].changes, part), (Tokens{3}));
  EXPECT_EQ(*part.allowed(part[0]), *set_of({4}));
}

TEST(AsksDeathTest, CheckFindsASetThatIsNotThere) {
  Asks asks = {{.row = 0, .allowed = 0}};
  EXPECT_DEATH(asks.check(1), "sets_there");
  asks.add_allowed(set_of({}));
  asks.check(1);
}

TEST(AsksDeathTest, CheckFindsChangesThatAreNotThere) {
  Asks asks = {{.row = 0}};
  asks.add_changes(std::array<LogitChange, 2>{{{1}, {2}}});
  const auto with = [&](ChangeRange changes, ChangeRange own) {
    asks[0].changes = changes;
    asks[0].own_changes = own;
    asks.check(1);
  };
  with({0, 2}, {2, 2});
  EXPECT_DEATH(with({-1, 1}, {}), "range.from >= 0");
  EXPECT_DEATH(with({2, 1}, {}), "range.from <= range.to");
  EXPECT_DEATH(with({}, {0, 3}), "pool");
}

}  // namespace
}  // namespace tidar
