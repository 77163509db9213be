#include "train/token_stream.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/rng.h"
#include "train/permutation.h"

namespace tidar {

namespace {

constexpr int64_t kWindow = 256;
constexpr int64_t kMarkEvery = 64;

uint64_t mix(uint64_t state, uint64_t value) {
  const auto bits = philox(state, 0, value);
  return uint64_t{bits[0]} << 32 | bits[1];
}

double part_of(int64_t count, int64_t all) {
  return all == 0 ? 0 : static_cast<double>(count) / static_cast<double>(all);
}

/// What is given of a document's piece, counted from its first token.
std::vector<Range> given_within(const std::vector<Range>& of_document, const Piece& piece) {
  std::vector<Range> given;
  for (const Range& stretch : of_document) {
    const int64_t begin = std::max<int64_t>(stretch.begin - piece.from, 0);
    const int64_t end = std::min<int64_t>(stretch.end - piece.from, piece.rows + 1);
    if (begin < end) given.push_back({begin, end});
  }
  return given;
}

/// Of the permutations of an epoch: round 0 orders the pieces, round 1 + w the packs of window w.
uint64_t epoch_key(uint64_t seed, int64_t epoch) { return mix(seed, static_cast<uint64_t>(epoch)); }

}  // namespace

Result<TokenStream> TokenStream::open(const std::vector<std::filesystem::path>& paths,
                                      const StreamOptions& options) {
  TIDAR_CHECK_GE(options.rows, 2);
  TIDAR_CHECK(options.repeat.empty() || options.repeat.size() == paths.size());
  if (paths.empty()) return error("no token shards to train on; tidar data tokens makes them");
  std::vector<TokenShardFile> shards;
  for (const auto& path : paths) {
    TIDAR_TRY(TokenShardFile file, TokenShardFile::open(path));
    if (file.shard().vocabulary() > options.vocabulary) {
      return error(
          "{}: was made with a tokenizer of {} tokens, but the model has {}; the "
          "tokenizer does not fit the model",
          path.string(), file.shard().vocabulary(), options.vocabulary);
    }
    shards.push_back(std::move(file));
  }
  TokenStream stream(std::move(shards), options);
  stream.index_documents();
  if (stream.pieces_ == 0) {
    return error(
        "{}{}: no document of at least two tokens ({} of one token); there is nothing to "
        "train on",
        paths.front().string(), paths.size() > 1 ? " and the other shards" : "", stream.skipped_);
  }
  return stream;
}

void TokenStream::index_documents() {
  uint64_t print = mix(options_.seed, static_cast<uint64_t>(options_.rows));
  if (options_.packing != Packing::whole) print = mix(print, 1);
  int64_t stored = 0;
  for (size_t s = 0; s < shards_.size(); ++s) {
    const TokenShard& shard = shards_[s].shard();
    const int64_t first = stored;
    int64_t tokens = 0;
    print = mix(print, static_cast<uint64_t>(shard.documents()));
    for (int64_t document = 0; document < shard.documents(); ++document) {
      if (document % kMarkEvery == 0) {
        marks_.push_back({stored, static_cast<int32_t>(s), document});
      }
      const int64_t size = shard.size_of(document);
      const int64_t pieces = pieces_of(size);
      print = mix(print, static_cast<uint64_t>(size));
      stored += pieces;
      skipped_ += pieces == 0;
      tokens += pieces == 0 ? 0 : size - (size % options_.rows == 1);
    }
    documents_ += shard.documents();
    const double times = options_.repeat.empty() ? 1 : options_.repeat[s];
    Share share = {first, stored - first, pieces_, stored - first};
    if (times != 1 && share.stored > 0) {
      share.pieces = std::max<int64_t>(1, std::llround(times * static_cast<double>(share.stored)));
      print = mix(print, static_cast<uint64_t>(share.pieces));
    }
    pieces_ += share.pieces;
    tokens_ += std::llround(static_cast<double>(tokens) * part_of(share.pieces, share.stored));
    shares_.push_back(share);
  }
  position_.corpus = print;
}

int64_t TokenStream::stored_index(int64_t index, int64_t epoch) const {
  const auto after =
      std::upper_bound(shares_.begin(), shares_.end(), index,
                       [](int64_t piece, const Share& share) { return piece < share.first; });
  // Of shares that begin at one piece all but the last are empty.
  const Share& share = *std::prev(after);
  const int64_t at = index - share.first;
  if (share.pieces == share.stored) return share.first_stored + at;
  // Epoch after epoch goes on in one order of the shard, in which passages have no fixed place.
  const Permutation order(share.stored, options_.seed, static_cast<uint64_t>(share.first_stored));
  return share.first_stored + order((epoch * share.pieces + at) % share.stored);
}

int64_t TokenStream::pieces_of(int64_t document_tokens) const {
  const int64_t rest = document_tokens % options_.rows;
  return document_tokens / options_.rows + (rest >= 2);
}

Piece TokenStream::locate(int64_t stored_index) const {
  const auto after =
      std::upper_bound(marks_.begin(), marks_.end(), stored_index,
                       [](int64_t piece, const Mark& mark) { return piece < mark.piece; });
  Mark at = *std::prev(after);
  const TokenShard& from = shard(at.shard);
  int64_t size = from.size_of(at.document);
  for (; at.piece + pieces_of(size) <= stored_index; size = from.size_of(at.document)) {
    at.piece += pieces_of(size);
    at.document += 1;
  }
  Piece piece;
  piece.shard = at.shard;
  piece.document = at.document;
  piece.from = (stored_index - at.piece) * options_.rows;
  piece.rows = static_cast<int32_t>(std::min<int64_t>(options_.rows, size - piece.from));
  const int64_t prompt = from.prompt_of(at.document) - piece.from;
  piece.prompt = static_cast<int32_t>(std::clamp<int64_t>(prompt, 0, piece.rows));
  return piece;
}

int64_t TokenStream::windows() const { return (pieces_ + kWindow - 1) / kWindow; }

std::vector<std::vector<Piece>> TokenStream::packs_of(int64_t epoch, int64_t window) const {
  const Permutation order(pieces_, epoch_key(options_.seed, epoch), 0);
  const int64_t end = std::min((window + 1) * kWindow, pieces_);
  std::vector<Piece> pieces;
  for (int64_t i = window * kWindow; i < end; ++i)
    pieces.push_back(locate(stored_index(order(i), epoch)));
  return pack_pieces(std::move(pieces), options_.rows, options_.packing);
}

int64_t TokenStream::packs_of_epoch() const {
  int64_t packs = 0;
  for (int64_t window = 0; window < windows(); ++window) {
    packs += static_cast<int64_t>(packs_of(0, window).size());
  }
  return packs;
}

void TokenStream::load_window() {
  auto packs = packs_of(position_.epoch, position_.window);
  const auto count = static_cast<int64_t>(packs.size());
  const Permutation shuffle(count, epoch_key(options_.seed, position_.epoch),
                            1 + static_cast<uint64_t>(position_.window));
  packs_.resize(packs.size());
  for (int64_t i = 0; i < count; ++i) {
    packs_[static_cast<size_t>(shuffle(i))] = std::move(packs[static_cast<size_t>(i)]);
  }
}

Result<void> TokenStream::append(const Piece& piece, TokenPack& pack) const {
  const TokenShard& from = shard(piece.shard);
  TIDAR_CHECK_EQ(static_cast<size_t>(piece.first), pack.tokens.size());
  pack.tokens.resize(pack.tokens.size() + static_cast<size_t>(piece.rows));
  TIDAR_TRY_VOID(from.read(piece.document, piece.from,
                           std::span(pack.tokens).last(static_cast<size_t>(piece.rows))));
  const auto read = std::span(pack.tokens).last(static_cast<size_t>(piece.rows));
  const auto mask = std::find(read.begin(), read.end(), options_.mask_token);
  if (mask != read.end()) {
    return error(
        "{}: document {} holds the mask token {} at position {}; a model cannot learn to fill "
        "masks from text with masks: give another mask token, or make the shard without it",
        from.where(), piece.document, options_.mask_token, piece.from + (mask - read.begin()));
  }
  pack.pieces.push_back(piece);
  pack.given.push_back(given_within(from.given_of(piece.document), piece));
  const int64_t end = piece.from + piece.rows;
  if (end == from.size_of(piece.document)) return {};
  return from.read(piece.document, end, {&pack.pieces.back().next, 1});
}

Result<TokenPack> TokenStream::next() {
  if (packs_.empty()) load_window();
  TokenPack pack;
  for (const Piece& piece : packs_[static_cast<size_t>(position_.pack)]) {
    TIDAR_TRY_VOID(append(piece, pack));
  }
  position_.pack += 1;
  if (position_.pack == static_cast<int64_t>(packs_.size())) {
    position_.pack = 0;
    position_.window += 1;
    packs_.clear();
  }
  if (position_.window == windows()) {
    position_.window = 0;
    position_.epoch += 1;
  }
  return pack;
}

Result<void> TokenStream::seek(const StreamPosition& position) {
  if (position.corpus != position_.corpus) {
    return error(
        "the saved place in the corpus belongs to other token shards, another sequence "
        "length or another seed; resume with those of the first run");
  }
  const auto refuse = [&] {
    return error("the saved place in the corpus (epoch {}, window {}, pack {}) does not exist",
                 position.epoch, position.window, position.pack);
  };
  if (position.epoch < 0 || position.window < 0 || position.window >= windows() ||
      position.pack < 0) {
    return refuse();
  }
  const StreamPosition before = std::exchange(position_, position);
  load_window();
  if (position.pack < static_cast<int64_t>(packs_.size())) return {};
  position_ = before;
  packs_.clear();
  return refuse();
}

}  // namespace tidar
