#include "text/bpe_trainer.h"

#include <algorithm>
#include <queue>
#include <set>
#include <utility>

#include "text/byte_level.h"
#include "text/tokenizer_json.h"
#include "text/utf8.h"

namespace tidar {
namespace {

constexpr size_t kByteTokens = 256;
constexpr size_t kLongestPiece = 1024;

/// The single bytes, as a LearntBpe begins.
std::vector<std::string> byte_tokens() {
  std::vector<std::string> tokens;
  for (size_t byte = 0; byte < kByteTokens; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
  std::sort(tokens.begin(), tokens.end(), [](const std::string& a, const std::string& b) {
    return byte_level_character(static_cast<uint8_t>(a[0])) <
           byte_level_character(static_cast<uint8_t>(b[0]));
  });
  return tokens;
}

/// The state of learning: every piece as its tokens so far, and where each pair of neighbours is.
class Learner {
 public:
  Learner() {
    learnt_.tokens = byte_tokens();
    for (const std::string& token : learnt_.tokens) {
      ids_.emplace(token, static_cast<int32_t>(ids_.size()));
    }
  }

  void add(std::string_view piece, int64_t count) {
    Word word{{}, count};
    for (const char byte : piece) word.tokens.push_back(ids_.at(std::string(1, byte)));
    words_.push_back(std::move(word));
    count_pairs(words_.size() - 1);
  }

  LearntBpe run(size_t tokens, int64_t min_count) {
    for (const auto& [pair, use] : pairs_) queue_.push({use.count, pair});
    while (learnt_.tokens.size() < tokens && !queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      const int64_t count = pairs_.at(best.pair).count;
      if (count < min_count) continue;
      if (count == best.count) {
        merge(best.pair);
      } else {
        // Counts fall while a pair waits. This is where its turn is now.
        queue_.push({count, best.pair});
      }
    }
    return std::move(learnt_);
  }

 private:
  using Pair = std::pair<int32_t, int32_t>;
  struct PairHash {
    size_t operator()(const Pair& pair) const {
      const auto key = static_cast<uint64_t>(pair.first) << 32 | static_cast<uint32_t>(pair.second);
      return static_cast<size_t>((key * 0x9E3779B97F4A7C15u) >> 16);
    }
  };
  struct Word {
    std::vector<int32_t> tokens;
    int64_t count = 0;
  };
  struct Use {
    int64_t count = 0;
    std::vector<size_t> words;  ///< where the pair was once met; it may have gone since
  };
  struct Candidate {
    int64_t count = 0;
    Pair pair;
    /// The queue serves the largest: the most frequent, and of equals the one with lower ids.
    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };

  void count_pairs(size_t index) {
    const Word& word = words_[index];
    for (size_t i = 0; i + 1 < word.tokens.size(); ++i) {
      Use& use = pairs_[{word.tokens[i], word.tokens[i + 1]}];
      use.count += word.count;
      if (use.words.empty() || use.words.back() != index) use.words.push_back(index);
    }
  }

  void forget_pairs(const Word& word) {
    for (size_t i = 0; i + 1 < word.tokens.size(); ++i) {
      pairs_.at({word.tokens[i], word.tokens[i + 1]}).count -= word.count;
    }
  }

  /// Two ways may lead to one token: "a" + "bc" and "ab" + "c".
  int32_t token_of(const Pair& pair) {
    const std::string bytes = learnt_.tokens[static_cast<size_t>(pair.first)] +
                              learnt_.tokens[static_cast<size_t>(pair.second)];
    const auto [found, is_new] = ids_.emplace(bytes, static_cast<int32_t>(ids_.size()));
    if (is_new) learnt_.tokens.push_back(bytes);
    return found->second;
  }

  void merge(const Pair& pair) {
    const int32_t merged = token_of(pair);
    learnt_.merges.push_back(pair);
    const std::vector<size_t> places = std::exchange(pairs_.at(pair).words, {});
    std::set<Pair> grown;
    for (const size_t index : places) {
      Word& word = words_[index];
      const auto is_pair = [&](size_t i) {
        return word.tokens[i] == pair.first && i + 1 < word.tokens.size() &&
               word.tokens[i + 1] == pair.second;
      };
      size_t first = 0;
      while (first < word.tokens.size() && !is_pair(first)) ++first;
      if (first == word.tokens.size()) continue;
      forget_pairs(word);
      size_t kept = first;
      for (size_t i = first; i < word.tokens.size(); ++i) {
        const bool joins = is_pair(i);
        word.tokens[kept++] = joins ? merged : word.tokens[i];
        i += joins;
      }
      word.tokens.resize(kept);
      count_pairs(index);
      for (size_t i = 0; i + 1 < kept; ++i) {
        if (word.tokens[i] == merged || word.tokens[i + 1] == merged) {
          grown.emplace(word.tokens[i], word.tokens[i + 1]);
        }
      }
    }
    TIDAR_CHECK_EQ(pairs_.at(pair).count, 0);
    for (const Pair& with_merged : grown) {
      queue_.push({pairs_.at(with_merged).count, with_merged});
    }
  }

  LearntBpe learnt_;
  std::unordered_map<std::string, int32_t> ids_;
  std::vector<Word> words_;
  std::unordered_map<Pair, Use, PairHash> pairs_;
  std::priority_queue<Candidate> queue_;
};

}  // namespace

/// Cuts text as the finished tokenizer will: it is the one without merges, read from its own file.
struct BpeTrainer::Cutter {
  TokenizerParts parts;
  Matcher matcher;
  std::string repaired;
  std::string normalized;
  std::vector<TextSection> sections;
};

BpeTrainer::BpeTrainer(BpeTrainerOptions options, std::unique_ptr<Cutter> cutter)
    : options_(std::move(options)), cutter_(std::move(cutter)) {}
BpeTrainer::BpeTrainer(BpeTrainer&&) noexcept = default;
BpeTrainer& BpeTrainer::operator=(BpeTrainer&&) noexcept = default;
BpeTrainer::~BpeTrainer() = default;

Result<BpeTrainer> BpeTrainer::create(BpeTrainerOptions options) {
  const std::vector<std::string> special = options.special.all();
  std::set<std::string_view> seen;
  for (const std::string& token : special) {
    if (token.size() < 2 || !is_utf8(token)) {
      return error("the special token \"{}\" must be UTF-8 and have at least two bytes",
                   is_utf8(token) ? token : "");
    }
    if (!seen.insert(token).second) {
      return error("the special token \"{}\" is given twice", token);
    }
  }
  const size_t least = kByteTokens + special.size();
  if (options.vocabulary < static_cast<int64_t>(least) || options.vocabulary > kMaxVocabularySize) {
    return error("a vocabulary of {} tokens: expected {} (all bytes and {} special tokens) to {}",
                 options.vocabulary, least, special.size(), kMaxVocabularySize);
  }
  auto cutter = std::make_unique<Cutter>();
  const std::string untrained = tokenizer_json({byte_tokens(), {}}, options.special);
  TIDAR_TRY(cutter->parts, parse_tokenizer_json({untrained, "tokenizer.json"}, {}));
  return BpeTrainer(std::move(options), std::move(cutter));
}

void BpeTrainer::add(std::string_view text) {
  auto& [parts, matcher, repaired, normalized, sections] = *cutter_;
  if (!is_utf8(text)) {
    repaired.clear();
    append_lossy(repaired, text);
    text = repaired;
  }
  const auto count = [this](std::string_view piece) {
    if (piece.size() > kLongestPiece) return;
    const auto found = counts_.find(piece);
    if (found != counts_.end()) {
      ++found->second;
    } else {
      counts_.emplace(piece, 1);
    }
  };
  sections.clear();
  parts.raw_tokens.split(text, matcher, sections);
  for (const TextSection& section : sections) {
    if (section.id >= 0) continue;
    const auto place = section.text.data() == text.data() ? TextPlace::begin : TextPlace::inside;
    parts.pre_tokenizer.split(parts.normalizer.apply(section.text, normalized), place, matcher,
                              count);
  }
}

LearntBpe BpeTrainer::learn() const {
  Learner learner;
  for (const auto& [piece, count] : counts_) learner.add(piece, count);
  const size_t tokens = static_cast<size_t>(options_.vocabulary) - options_.special.all().size();
  return learner.run(tokens, options_.min_count);
}

}  // namespace tidar
