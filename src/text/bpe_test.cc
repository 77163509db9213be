#include "text/bpe.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "base/rng.h"
#include "base/stopwatch.h"

namespace tidar {
namespace {

/// A random vocabulary over the first letters of the alphabet, and merges within it. Letters may be
/// missing.
struct Model {
  Vocabulary vocabulary;
  std::vector<Merge> merges;
};

int32_t add(Vocabulary& vocabulary, const std::string& token) {
  const int32_t known = vocabulary.find(token);
  if (known >= 0) return known;
  const int32_t id = vocabulary.size();
  vocabulary.add(id, token);
  EXPECT_TRUE(vocabulary.index(id));
  return id;
}

Model random_model(Rng& rng, int letters, int merges) {
  Model model;
  for (int i = 0; i < letters; ++i) {
    if (i == 0 || rng.below(6) > 0) {
      add(model.vocabulary, std::string(1, static_cast<char>('a' + i)));
    }
  }
  for (int i = 0; i < merges; ++i) {
    const int32_t left = rng.below(model.vocabulary.size());
    const int32_t right = rng.below(model.vocabulary.size());
    const auto token =
        std::string(model.vocabulary.bytes(left)) + std::string(model.vocabulary.bytes(right));
    if (token.size() > 12) continue;
    model.merges.push_back({left, right, add(model.vocabulary, token)});
  }
  if (rng.below(2) == 0) add(model.vocabulary, "abcab");  // perhaps not to be reached by merges
  return model;
}

/// The definition, step by step: look at all pairs, merge the first of the lowest rank, repeat.
std::vector<int32_t> defined(const Model& model, const BpeRules& rules, const std::string& piece) {
  const int32_t whole = model.vocabulary.find(piece);
  if (rules.ignore_merges && whole >= 0) return {whole};
  std::map<std::pair<int32_t, int32_t>, size_t> ranks;
  for (size_t i = 0; i < model.merges.size(); ++i) {
    ranks[{model.merges[i].left, model.merges[i].right}] = i;
  }
  std::vector<int32_t> tokens;
  bool fuse = false;
  for (char c : piece) {
    const int32_t token = model.vocabulary.find({&c, 1});
    if (token >= 0) tokens.push_back(token);
    if (token < 0 && rules.unknown >= 0 && !fuse) tokens.push_back(rules.unknown);
    fuse = token < 0 && rules.fuse_unknown;
  }
  for (;;) {
    size_t best = model.merges.size(), at = 0;
    for (size_t i = 0; i + 1 < tokens.size(); ++i) {
      const auto found = ranks.find({tokens[i], tokens[i + 1]});
      if (found != ranks.end() && found->second < best) best = found->second, at = i;
    }
    if (best == model.merges.size()) return tokens;
    tokens[at] = model.merges[best].merged;
    tokens.erase(tokens.begin() + static_cast<ptrdiff_t>(at) + 1);
  }
}

TEST(Bpe, MergesByItsDefinition) {
  for (uint64_t seed = 0; seed < 400; ++seed) {
    Rng rng(seed);
    const int letters = 2 + rng.below(4);
    const Model model = random_model(rng, letters, rng.below(60));
    BpeRules rules;
    rules.ignore_merges = rng.below(2) == 0;
    rules.fuse_unknown = rng.below(2) == 0;
    if (rng.below(2) == 0) rules.unknown = rng.below(model.vocabulary.size());
    const Bpe bpe(model.vocabulary, model.merges, rules);
    Bpe::Scratch scratch;
    for (int i = 0; i < 30; ++i) {
      std::string piece;  // short ones, and ones on both sides of where the queue takes over
      for (int n = rng.below(3) > 0 ? rng.below(12) : 50 + rng.below(150); n >= 0; --n) {
        piece += static_cast<char>('a' + rng.below(letters));
      }
      std::vector<int32_t> ids;
      bpe.encode(piece, scratch, ids);
      ASSERT_EQ(ids, defined(model, rules, piece)) << "seed " << seed << ", " << piece;
    }
  }
}

TEST(Bpe, AppendsToWhatIsThere) {
  Rng rng(1);
  const Model model = random_model(rng, 2, 5);
  const Bpe bpe(model.vocabulary, model.merges, {});
  Bpe::Scratch scratch;
  std::vector<int32_t> ids = {7};
  bpe.encode("", scratch, ids);
  EXPECT_EQ(ids, std::vector<int32_t>{7});
  bpe.encode("a", scratch, ids);
  EXPECT_EQ(ids.size(), 2u);
}

TEST(Bpe, AMegabyteInOnePiece) {
  Model model;
  int32_t token = add(model.vocabulary, "a");
  for (std::string text = "aa"; text.size() <= 64; text += text) {
    const int32_t merged = add(model.vocabulary, text);
    model.merges.push_back({token, token, merged});
    token = merged;
  }
  const Bpe bpe(model.vocabulary, model.merges, {});
  Bpe::Scratch scratch;
  std::vector<int32_t> ids;
  const Stopwatch watch;
  bpe.encode(std::string(1 << 20, 'a'), scratch, ids);
  EXPECT_LT(watch.seconds(), 10);
  EXPECT_EQ(ids, std::vector<int32_t>((1 << 20) / 64, token));
}

TEST(Vocabulary, FindsWhatIsIndexedAndNothingElse) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Rng rng(seed);
    Vocabulary vocabulary;
    if (rng.below(2) == 0) vocabulary.reserve(500, 1000);
    std::map<std::string, int32_t> known;
    std::set<int32_t> taken;
    for (int i = 0; i < 3000; ++i) {
      std::string token;
      for (int n = rng.below(20); n > 0; --n) token += static_cast<char>(rng.below(3));
      const int32_t id = rng.below(20000);
      if (!taken.insert(id).second) continue;
      vocabulary.add(id, token);
      ASSERT_EQ(vocabulary.index(id), known.emplace(token, id).second) << "seed " << seed;
      ASSERT_EQ(vocabulary.bytes(id), token);
    }
    EXPECT_EQ(vocabulary.size(), *taken.rbegin() + 1);
    for (const auto& [token, id] : known) {
      EXPECT_EQ(vocabulary.find(token), id);
      const std::string other = token + "x";
      EXPECT_EQ(vocabulary.find(other), -1);
    }
    for (int32_t id = -1; id < 20001; ++id) EXPECT_EQ(vocabulary.has(id), taken.contains(id));
    EXPECT_EQ(vocabulary.bytes(-1), "");
    EXPECT_EQ(vocabulary.bytes(int64_t{1} << 40), "");
  }
}

}  // namespace
}  // namespace tidar
