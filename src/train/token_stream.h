#pragma once
// From token shards to what a training step reads: documents, cut where they are too long, packed
// side by side, in an order that is shuffled anew each epoch.
//
// Long documents are cut into *pieces* of at most `rows` tokens. A piece is read by itself, as one
// sequence of a pass (train/objective.h), so documents never see each other. Every token is in
// exactly one piece, but for a last one that would be a piece alone: it is only a label. Pieces are
// packed into *packs* of at most `rows` tokens together, as train/packing.h says.
//
// Nothing is loaded as a whole. An epoch visits the pieces in the order of a counter-based
// permutation; each window of 256 pieces in that order is packed by itself, and its packs are
// shuffled. So three numbers say where a stream is, and the text behind them is the same on every
// machine.

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "format/token_shards.h"
#include "train/packing.h"

namespace tidar {

struct StreamOptions {
  int rows = 512;           ///< tokens of one pack at most; at least 2
  int64_t vocabulary = 0;   ///< of the model; shards with a larger one are refused
  uint64_t seed = 0;        ///< of the shuffle
  int32_t mask_token = -1;  ///< a text that holds it is refused when it is read; -1: none
  Packing packing = Packing::whole;
  /// How often an epoch reads each shard, in their order; empty: each once. 2.5: two of its
  /// passages in an epoch, and half of a third, which the next epoch goes on with.
  std::vector<double> repeat{};
};

/// What one sequence of training holds.
struct TokenPack {
  std::vector<int32_t> tokens;
  std::vector<Piece> pieces;
  /// Of each piece what is given behind its document's prompt, counted from its first token; the
  /// token behind its last one included.
  std::vector<std::vector<Range>> given;

  std::span<const int32_t> tokens_of(const Piece& piece) const {
    return std::span(tokens).subspan(static_cast<size_t>(piece.first),
                                     static_cast<size_t>(piece.rows));
  }
};

/// A place in a stream, to be saved with a checkpoint.
struct StreamPosition {
  uint64_t corpus = 0;  ///< fingerprint of the lengths of all documents, and of options
  int64_t epoch = 0;
  int64_t window = 0;
  int64_t pack = 0;  ///< in the window
  friend bool operator==(const StreamPosition&, const StreamPosition&) = default;
};

/// An endless stream of packs. Not thread-safe.
class TokenStream {
 public:
  /// Refused: no shards, shards with a larger vocabulary than the model's, and shards that hold no
  /// document of at least two tokens.
  static Result<TokenStream> open(const std::vector<std::filesystem::path>& paths,
                                  const StreamOptions& options);

  /// The next pack. An Error when a shard holds an id outside its vocabulary, or the mask token; it
  /// names shard, document and position. The stream then stands where it stood.
  Result<TokenPack> next();

  /// Where the pack is that next() returns next.
  const StreamPosition& position() const { return position_; }
  /// Goes on from a saved position. Refused when it was saved over shards with documents of other
  /// lengths or with other options, or does not exist; then nothing has changed.
  Result<void> seek(const StreamPosition& position);

  int64_t documents() const { return documents_; }
  /// Documents of one token, from which nothing can be learnt.
  int64_t skipped() const { return skipped_; }
  /// What an epoch reads, before pieces are cut for the sake of packing.
  int64_t pieces() const { return pieces_; }
  /// Of these pieces; on average, where shards are not read as a whole.
  int64_t tokens() const { return tokens_; }
  /// Packs of the first epoch; further ones may have some more or less. Packs them all once.
  int64_t packs_of_epoch() const;

 private:
  /// Before `document` of `shard` there are `piece` pieces. Kept for every 64th document.
  struct Mark {
    int64_t piece = 0;
    int32_t shard = 0;
    int64_t document = 0;
  };

  /// What an epoch reads of a shard: `pieces` of its `stored` ones.
  struct Share {
    int64_t first_stored = 0, stored = 0;
    int64_t first = 0, pieces = 0;
  };

  TokenStream(std::vector<TokenShardFile> shards, const StreamOptions& options)
      : shards_(std::move(shards)), options_(options) {}
  const TokenShard& shard(int32_t index) const {
    return shards_[static_cast<size_t>(index)].shard();
  }
  void index_documents();
  int64_t pieces_of(int64_t document_tokens) const;
  /// Of an epoch's piece, its index among those of all shards.
  int64_t stored_index(int64_t index, int64_t epoch) const;
  Piece locate(int64_t stored_index) const;
  int64_t windows() const;
  /// Of an epoch, in no order.
  std::vector<std::vector<Piece>> packs_of(int64_t epoch, int64_t window) const;
  void load_window();
  Result<void> append(const Piece& piece, TokenPack& pack) const;

  std::vector<TokenShardFile> shards_;
  StreamOptions options_;
  std::vector<Mark> marks_;
  std::vector<Share> shares_;  ///< of each shard
  int64_t documents_ = 0;
  int64_t skipped_ = 0;
  int64_t pieces_ = 0;
  int64_t tokens_ = 0;

  StreamPosition position_;
  std::vector<std::vector<Piece>> packs_;  ///< of the window at position_; empty: not loaded yet
};

}  // namespace tidar
