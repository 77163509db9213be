#pragma once
// Learns a byte-level BPE vocabulary from text: starts from the 256 bytes and makes the most
// frequent pair of neighbouring tokens one token, again and again (Sennrich et al., "Neural machine
// translation of rare words with subword units", ACL 2016). Text is cut into pieces as Qwen2's
// tokenizer does it, and no token reaches across the border of two pieces.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/result.h"
#include "text/tokenizer_writer.h"

namespace tidar {

struct BpeTrainerOptions {
  int32_t vocabulary = 8192;  ///< tokens in all, special ones too
  int64_t min_count = 2;      ///< pairs that are met less often stay apart
  SpecialTokens special;
};

/// The same texts in any order give the same tokens. Not thread-safe.
class BpeTrainer {
 public:
  /// Refused: a vocabulary that cannot hold the bytes and the special tokens, special tokens that
  /// are empty, not UTF-8, a single byte, or given twice.
  static Result<BpeTrainer> create(BpeTrainerOptions options);

  BpeTrainer(BpeTrainer&&) noexcept;
  BpeTrainer& operator=(BpeTrainer&&) noexcept;
  ~BpeTrainer();

  /// Counts the pieces of a text. What is not UTF-8 becomes U+FFFD first, and special tokens teach
  /// nothing; nor do pieces of more than 1024 bytes, which are data rather than words.
  void add(std::string_view text);

  /// Learns from all texts that were added. Fewer tokens than asked for come out of a text that
  /// has too few pairs. Pairs that are equally frequent are taken in the order of their ids.
  LearntBpe learn() const;

  /// Different pieces counted so far.
  size_t pieces() const { return counts_.size(); }

 private:
  struct Hash {
    using is_transparent = void;  // NOLINT(readability-identifier-naming): the library looks for it
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  struct Cutter;
  BpeTrainer(BpeTrainerOptions options, std::unique_ptr<Cutter> cutter);

  BpeTrainerOptions options_;
  std::unique_ptr<Cutter> cutter_;
  std::unordered_map<std::string, int64_t, Hash, std::equal_to<>> counts_;
};

}  // namespace tidar
